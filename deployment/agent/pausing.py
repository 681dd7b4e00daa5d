"""How long to wait before asking again: short while there is work, long when there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from deployment.agent.errors import LostAnswerError

SHARE = 0.1
"""Of the time since something last came: so much later, at most, is the next noticed."""
SHORTEST = 0.25
"""Seconds between two questions to the server, while there is work. Every region asks, and
the SuperLink is one process."""
FETCHING: dict[str, Any] = {"initial_backoff": 0.1, "backoff_cap": 2.0}
"""Seconds until a part of a message that has not come yet is asked for again, at first and at
most. Flower begins with a second: a task is handed out before its message is whole."""
AT_HAND = 0.05
"""Seconds between two looks at what lies in this process."""
PATIENCE = 5.0
"""Seconds that an answer may be awaited when nobody works on one any more."""


def pause_after(quiet: float, *, shortest: float, longest: float) -> float:
    """Return how many seconds to wait when nothing has come for ``quiet`` seconds."""
    return min(longest, max(shortest, SHARE * quiet))


class NodePauses:
    """Stands in for the module ``time`` in the node's loop, which sleeps and does nothing else.

    Flower sleeps 3 s between two questions to the server and 0.5 s between two looks for an
    answer. Here the first follow what has come, and the second are short. And the wait for an
    answer ends: when no task is left from which one could come, Flower would wait forever.

    Parameters
    ----------
    clock, sleep : callable
        Seconds that never go back; wait for seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._last_message = clock()
        self._works: Callable[[], bool] | None = None
        self._idle_since: float | None = None

    def heard(self) -> None:
        """Note that a message has come."""
        self._last_message = self._clock()

    def await_answer(self, works: Callable[[], bool]) -> None:
        """Begin to wait for an answer; ``works`` tells whether anybody may still give one."""
        self._works, self._idle_since = works, None

    def answered(self) -> None:
        """End the wait for an answer."""
        self._works = None
        self._last_message = self._clock()

    def sleep(self, asked: float) -> None:
        """Wait, at most for as long as Flower asks.

        Raises
        ------
        LostAnswerError
            If an answer is awaited that nobody works on.
        """
        if self._works is None:
            quiet = self._clock() - self._last_message
            self._sleep(pause_after(quiet, shortest=SHORTEST, longest=asked))
            return
        self._look_for_work(self._works)
        self._sleep(min(AT_HAND, asked))

    def _look_for_work(self, works: Callable[[], bool]) -> None:
        if works():
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._clock()
        elif self._clock() - self._idle_since > PATIENCE:
            raise LostAnswerError(
                f"An answer was awaited, but for {PATIENCE:g} s no task has been left from which "
                "it could come. It was given up; the server will ask again."
            )
