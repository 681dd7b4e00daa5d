"""Time windows: how often a region's budget is renewed.

start, days, renewal  ->  the window of a moment

Windows follow each other without gaps. A region may let them renew themselves,
or have its operator renew the budget each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Renewal(StrEnum):
    """Who opens the next window."""

    AUTOMATIC = "automatic"
    """The calendar."""
    BY_OPERATOR = "by-operator"
    """A person, with ``fedinterest ledger renew``; until then requests are refused."""


class WindowEvents(StrEnum):
    """Which of a user's events answers in a window are made of."""

    ALL = "all"
    """Everything up to now; windows compose then, and the lifetime's budget is the promise."""
    WINDOW = "window"
    """Only what happened in the window; each event then counts in one window."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A span of time, from ``start`` up to but without ``end``; both in UTC."""

    start: datetime
    end: datetime

    @property
    def name(self) -> str:
        """ISO 8601 interval; dates alone where the window begins and ends at midnight."""
        return f"{_spell(self.start)}/{_spell(self.end)}"

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def window_of(moment: datetime, *, start: datetime, days: int) -> Window:
    """Return the window of length ``days`` that ``moment`` lies in, counted from ``start``."""
    length = timedelta(days=days)
    begin = start.astimezone(UTC) + length * ((moment - start) // length)
    return Window(begin, begin + length)


def is_window_name(text: str) -> bool:
    """Tell whether ``text`` is the name of some window."""
    try:
        start, end = (datetime.fromisoformat(part) for part in text.split("/"))
    except (ValueError, TypeError):
        return False
    zone = start.tzinfo or UTC
    window = Window(start.replace(tzinfo=zone), end.replace(tzinfo=end.tzinfo or UTC))
    return window.start < window.end and window.name == text


def _spell(moment: datetime) -> str:
    if moment == moment.replace(hour=0, minute=0, second=0, microsecond=0):
        return moment.date().isoformat()
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
