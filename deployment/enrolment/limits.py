"""How much the service takes on: requests for each second, and at one moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimit:
    """A bucket of permissions that fills steadily.

    Parameters
    ----------
    per_second : float
        Permissions that come each second.
    at_once : int
        Permissions that it holds at most.
    clock : callable
        Seconds, never running backwards.
    """

    def __init__(
        self, per_second: float, at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._clock = clock
        self._left = float(at_once)
        self._last = clock()
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Take a permission, if there is one."""
        with self._lock:
            now = self._clock()
            self._left = min(self._at_once, self._left + (now - self._last) * self._per_second)
            self._last = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
