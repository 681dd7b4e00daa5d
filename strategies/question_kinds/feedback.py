"""Questions about what came of the lists that people were shown, by the arms of an experiment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from privacy.query import Block
from strategies.question_kinds.checks import is_number, require

MOST_ARMS = 16
LONGEST_WINDOW = 3660.0
"""Days."""
LONGEST_DWELL = 86400.0
"""Seconds."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""Of experiments and arms: lower case, digits, hyphens; at most 40 characters."""

COUNT_WEIGHT = 0.5
"""A user counts so much: the count is only divided by, so its noise matters less."""
DWELL_WEIGHT = 0.5
"""Dwell counts so much beside the shares: experiments are decided by what is accepted."""
LENGTH = (COUNT_WEIGHT**2 + 1.0 + DWELL_WEIGHT**2) ** 0.5
"""Of the longest row: everything accepted, and looked at up to the cap."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListFeedback:
    """What came of the lists that users were shown, for each arm of an experiment.

    A user adds one row to the cell of the own arm: ``COUNT_WEIGHT``, the share of the shown
    items that were accepted, the share that were skipped, and ``DWELL_WEIGHT`` times the mean
    of their dwell over the cap. Each is between 0 and 1 and the two shares are at most 1
    together, so the row is at most ``LENGTH`` long. Whoever was shown nothing adds zeros.

    Parameters
    ----------
    experiment : str
    arms : list of str
        Their names, in the order of the answer's cells; 2 to 16 different ones.
    window_days : float
        What was shown earlier than so many days ago is not looked at.
    dwell_cap : float
        Seconds; a longer dwell counts as it.
    """

    kind: ClassVar[str] = "list-feedback"

    experiment: str
    arms: list[str]
    window_days: float
    dwell_cap: float

    def __post_init__(self) -> None:
        names = [self.experiment, *self.arms] if isinstance(self.arms, list) else []
        require(self.kind, bool(names) and all(map(is_name, names)), "names")
        some = f"2 to {MOST_ARMS} different arms"
        require(self.kind, 2 <= len(self.arms) == len(set(self.arms)) <= MOST_ARMS, some)
        for value, most, what in (
            (self.window_days, LONGEST_WINDOW, "window of days"),
            (self.dwell_cap, LONGEST_DWELL, "dwell cap"),
        ):
            require(self.kind, is_number(value) and 0 < value <= most, f"a {what} in (0, {most:g}]")

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``arms`` (arms, 4): users, accepted, skipped, dwell."""
        return (Block(name="arms", cells=len(self.arms), width=4, clipping_norm=LENGTH),)


def is_name(value: object) -> bool:
    """Tell whether a value can name an experiment or an arm."""
    return isinstance(value, str) and NAME.fullmatch(value) is not None
