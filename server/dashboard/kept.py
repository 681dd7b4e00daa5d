"""What was made once, for all who ask: made anew when what it was made from has changed.

value(key, state, make) -> the same key in the same state? -> what was made then
                           else -> make() -> kept; whoever asks for it meanwhile waits for that
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

Value = TypeVar("Value")


class Kept:
    """Values by key, each of one state; those that nobody asked for longest go first.

    Parameters
    ----------
    most : int
        How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, tuple[str, Any]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def value(self, key: Hashable, state: str, make: Callable[[], Value]) -> Value:
        """Return what ``make`` returns, of now or of the same state.

        Parameters
        ----------
        key : hashable
            What is asked for.
        state : str
            Of what ``make`` reads, as it was before; a value of another state is not used.
        make : callable
            What it raises is raised here, and nothing is kept.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                known = self._values.get(key)
            if known is None or known[0] != state:
                try:
                    known = (state, make())
                except BaseException:
                    with self._lock:
                        self._making.pop(key, None)
                    raise
            self._keep(key, known)
        return cast(Value, known[1])

    def _keep(self, key: Hashable, known: tuple[str, Any]) -> None:
        with self._lock:
            self._values[key] = known
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                gone, _ = self._values.popitem(last=False)
                self._making.pop(gone, None)
