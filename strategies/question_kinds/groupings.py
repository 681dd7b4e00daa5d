"""Questions about several ways to group people: which of them tells best what people take up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from privacy.query import Block, FloatArray, IntArray
from strategies.question_kinds.checks import finite, require, require_positive
from strategies.question_kinds.items import MOST_TASTE_ITEMS

MOST_GROUPINGS = 8
MOST_GROUPS = 64
"""Of each grouping: a client holds a number for each user and group at a time."""
MOST_LIFTS = 2**24
"""Of all groups together: a question must not exhaust a client's memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupingGains:
    """How much better each grouping tells a user's latest items than the first one does.

    Of the items asked about, a user's latest tenth, at least one, is taken out. In each grouping
    the user is of the group whose lifts of the earlier items add up to most, and the items that
    are not among the earlier ones are ranked by that group's lift plus ``logs``. The
    gain is the mean of 1 / log2(1 + rank) over the latest items. A user adds, for each
    grouping but the first, by how much its gain is larger than the first one's; all of these
    together are clipped to ``largest``. Who met fewer than two of the items adds nothing.

    Parameters
    ----------
    items : float32, shape (n_items,)
        1 for the items asked about, 0 for the others.
    logs : float32, shape (m,)
        How popular these are: logarithms.
    lifts : float32, shape (groupings, k, m)
        How much more each group goes for each of these: logarithms.
    largest : float
        Clipping norm of a user's differences.
    """

    kind: ClassVar[str] = "grouping-gains"

    items: FloatArray
    logs: FloatArray
    lifts: FloatArray
    largest: float

    def __post_init__(self) -> None:
        require(self.kind, self.items.ndim == 1, "items")
        require(self.kind, bool(np.isin(self.items, (0, 1)).all()), "items of 0 and 1")
        m = len(self.places)
        require(self.kind, 1 <= m <= MOST_TASTE_ITEMS, f"1 to {MOST_TASTE_ITEMS} items")
        require(self.kind, self.logs.shape == (m,), "a popularity of each item")
        require(self.kind, self.lifts.ndim == 3 and self.lifts.shape[2] == m, "lifts of each item")
        groupings, k = self.lifts.shape[:2]
        require(self.kind, 2 <= groupings <= MOST_GROUPINGS, f"2 to {MOST_GROUPINGS} groupings")
        require(self.kind, 0 < k <= MOST_GROUPS and self.lifts.size <= MOST_LIFTS, "groups")
        require(self.kind, finite(self.logs, self.lifts), "finite arrays")
        require_positive(self.kind, self.largest, "largest difference")

    @property
    def places(self) -> IntArray:
        """Which items it is about: int64, shape (m,), ascending."""
        return np.flatnonzero(self.items)

    @property
    def n_items(self) -> int:
        """Length of the catalogue."""
        return len(self.items)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``gains``: one difference for each grouping but the first."""
        width = len(self.lifts) - 1
        return (Block(name="gains", cells=1, width=width, clipping_norm=self.largest),)
