"""To the last bit, one user more moves the answer by that user, and no more.

neighbouring data  ->  doors with the same seed  ->  answers whose noise cancels out

The exact sums are seen, too: a trusted server gets them under ``central``, by the same
clipping and summing. So the change is compared in whole steps of the lattice, and once more in
what leaves under ``local``, where single precision rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privacy.audit.check import Check, CheckKind
from privacy.audit.trial import clipped_sum_of, fresh_door, release_of, request, source
from privacy.query import Block, Contributions, FloatArray, NoiseKind, SumQuery, TrustModel

MULTIPLIER = 2.0**-8
"""So little noise that single precision rounds little."""
TIGHT = 0.99
"""Of the declared sensitivity; somebody has to make use of so much, or it is not the real one."""
CELLS = (
    Block(name="sums", cells=4, width=3, clipping_norm=1.0),
    Block(name="counts", cells=4, width=1, clipping_norm=0.75),
)
MOMENTS = (Block(name="moments", cells=1, width=3, clipping_norm=2.0, moments=True),)
SOMEBODY = [[0.3, -0.2, 0.1], [0.6, 0.0, 0.8], [5.0, 5.0, 5.0], [1e-20, 0.0, 0.0], [0.1, 0.7, 0.3]]
"""Rows of those who are there anyway."""
ROWS = {
    "huge": [3e30, -4e30, 0.0],
    "largest": [3.4e38, 3.4e38, -3.4e38],
    "tiny": [1e-30, -1e-30, 1e-30],
    "zero": [0.0, 0.0, 0.0],
    "tied": [0.6, 0.0, 0.8],
    "at the norm": [0.0, 1.0, 0.0],
    "within": [0.25, -0.5, 0.125],
    "long in every entry": [1.0, 1.0, 1.0],
    "along one axis": [0.0, 0.0, -1e6],
    "not finite": [math.nan, 1.0, math.inf],
}
"""The user who comes or goes, before clipping."""

IntArray = NDArray[np.int64]
Users = Mapping[str, Contributions]


@dataclass(frozen=True, slots=True)
class Change:
    """What one user more changed.

    Attributes
    ----------
    user : str
        Who it was.
    length : float
        L2 length over the declared sensitivity.
    within : bool
        Whether the length in whole steps is at most the sensitivity, compared in integers.
    alone : bool
        Whether it is what the user contributes alone, in exact sums and in releases.
    """

    user: str
    length: float
    within: bool
    alone: bool


def check_sensitivity(folder: Path, seed: int) -> list[Check]:
    """Return the check for sums and counts, and the one for moments."""
    return [
        _check("sums and counts", list(_changes(folder, seed, CELLS))),
        _check("moments", list(_changes(folder, seed, MOMENTS))),
    ]


def _check(what: str, changes: list[Change]) -> Check:
    longest = max(change.length for change in changes)
    faults = [
        *(f"{one.user}: longer than declared" for one in changes if not one.within),
        *(f"{one.user}: others' sums or noise move, too" for one in changes if not one.alone),
    ]
    if longest < TIGHT:
        faults.append("nobody comes near what is declared")
    return Check(
        name=f"sensitivity-of-{what.replace(' ', '-')}",
        question=f"Does one user more change {what} by that user's clipped row alone, and is the "
        "longest change the declared sensitivity?",
        passed=not faults,
        kind=CheckKind.EXACT,
        measured=longest,
        bound=1.0,
        confidence=1.0,
        detail="; ".join(faults)
        or f"The longest of {len(changes)} changes is {longest:.7f} of the declared sensitivity.",
    )


def _changes(folder: Path, seed: int, blocks: tuple[Block, ...]) -> Iterator[Change]:
    """Let each user of :data:`ROWS` come to a door and, under the same noise, not to another."""
    doors = [fresh_door(folder, source(NoiseKind.SEEDED, seed)) for _ in range(2)]
    exact = [fresh_door(folder, source(NoiseKind.SEEDED, seed)) for _ in range(3)]
    before = _users(blocks, np.array(SOMEBODY, np.float32))
    first = request(*blocks, noise_multiplier=MULTIPLIER, trust_model=TrustModel.CENTRAL)
    nobody_else = clipped_sum_of(exact[0], first, before).sums
    for number, (name, row) in enumerate(ROWS.items(), start=1):
        user = _users(blocks, np.array([row], np.float32))
        after = _together(before, user)
        query = request(*blocks, noise_multiplier=MULTIPLIER, round_number=number)
        one, other = (
            release_of(door, query, users).sums
            for door, users in zip(doors, (before, after), strict=True)
        )
        central = replace(query, trust_model=TrustModel.CENTRAL)
        with_user, alone = (
            clipped_sum_of(door, central, users).sums
            for door, users in zip(exact[1:], (after, user), strict=True)
        )
        changes = {block: with_user[block] - nobody_else[block] for block in with_user}
        by_user_alone = all(
            np.array_equal(change, alone[block])
            and _moved_by(one[block], other[block], alone[block] * query.step)
            for block, change in changes.items()
        )
        yield _measured(name, query, list(changes.values()), alone=by_user_alone)


def _users(blocks: tuple[Block, ...], rows: FloatArray) -> Users:
    """Put one user after the other into the next cell; in the second block, one further on."""
    cells = np.arange(len(rows), dtype=np.int64)
    return {
        block.name: Contributions((cells + place) % block.cells, rows[:, : block.width])
        for place, block in enumerate(blocks)
    }


def _together(some: Users, others: Users) -> Users:
    return {
        name: Contributions(
            np.concatenate([part.cells, others[name].cells]),
            np.vstack([part.rows, others[name].rows]),
        )
        for name, part in some.items()
    }


def _measured(user: str, query: SumQuery, changes: list[IntArray], *, alone: bool) -> Change:
    squared = sum(int(entry) ** 2 for change in changes for entry in change.ravel())
    declared = sum((block.exact_sensitivity**2 for block in query.blocks), Fraction())
    ratio = squared * Fraction(query.step) ** 2 / declared
    return Change(user, math.sqrt(ratio), ratio <= 1, alone)


def _moved_by(one: FloatArray, other: FloatArray, expected: NDArray[np.floating]) -> bool:
    """Tell whether ``other`` is ``one`` moved by ``expected``, but for single precision."""
    rounding = (np.spacing(np.abs(one)) + np.spacing(np.abs(other))) / 2
    change = other.astype(np.float64) - one.astype(np.float64)
    return bool((np.abs(change - expected) <= rounding).all())
