"""Doors to try things on: new ones in a temporary folder, with ledgers marked as simulated.

noise  ->  a door that answers nearly everything  ->  its answers to made-up users

Nothing here knows how the door works; it is built and asked as a client would. So what is
examined is the code that is installed, with its libraries, on this machine.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from privacy.door import Batch, Contribute, Door
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.policy import Answers, Budget, Policy, Windows
from privacy.query import (
    LARGEST_NORM,
    LEAST_NOISE,
    Block,
    Contributions,
    FloatArray,
    IntArray,
    NoiseKind,
    SumQuery,
    TrustModel,
    sensitivity_of,
)
from privacy.records import LedgerEntry
from privacy.release import Answer, ClippedSum, Release

REGION = "examined"
KIND = "examination"
AMPLE = 1e12
"""An epsilon that is never used up."""
DELTA = 1e-9
"""So small that a thousand canaries' deltas add up to nothing beside the tests' errors."""
SMALL = (
    Block(name="sums", cells=16, width=3, clipping_norm=1.0),
    Block(name="counts", cells=16, width=1, clipping_norm=0.5),
)
"""Blocks of a question where size does not matter."""
FIRST_WINDOW = datetime(2000, 1, 1, tzinfo=UTC)

Doubles = NDArray[np.float64]
AnswerT = TypeVar("AnswerT", Release, ClippedSum)


class NoReleaseError(Exception):
    """A door under examination did not answer what it has to answer."""


def fresh_door(folder: Path, noise: NoiseSource, *, epsilon: float = AMPLE) -> Door:
    """Return a door with a new ledger of its own, in a new folder inside ``folder``."""
    policy = Policy(
        region=REGION,
        budget=Budget(epsilon=epsilon, delta=DELTA, lifetime_epsilon=epsilon, lifetime_delta=DELTA),
        window=Windows(start=FIRST_WINDOW, days=36500),
        answers=Answers(
            questions=frozenset({KIND}),
            trust_models=frozenset(TrustModel),
            noise_kinds=frozenset(NoiseKind),
            least_noise_multiplier=LEAST_NOISE,
            largest_clipping_norm=LARGEST_NORM,
            most_releases_per_run=1000,
        ),
    )
    path = folder / secrets.token_hex(8) / "ledger.sqlite"
    path.parent.mkdir()
    return Door(Ledger(path, policy, simulated=True), noise)


def source(kind: NoiseKind, seed: int) -> NoiseSource:
    """Return a source of noise; ``seed`` is for seeded noise, others take theirs elsewhere."""
    return NoiseSource(kind, seed if kind is NoiseKind.SEEDED else None)


def request(
    *blocks: Block,
    noise_multiplier: float,
    round_number: int = 1,
    trust_model: TrustModel = TrustModel.LOCAL,
) -> SumQuery:
    """Return a query for ``blocks`` with noise of so many sensitivities."""
    return SumQuery(
        purpose="examination",
        kind=KIND,
        blocks=blocks,
        sigma=noise_multiplier * sensitivity_of(blocks),
        trust_model=trust_model,
        run="examination",
        round_number=round_number,
        nonce="",
    )


def one_per_cell(rows: Mapping[str, Doubles], cells: int) -> dict[str, Contributions]:
    """Put the same user into each of ``cells`` cells: as many users as cells."""
    return {
        name: Contributions(
            np.arange(cells, dtype=np.int64), np.tile(row, (cells, 1)).astype(np.float32)
        )
        for name, row in rows.items()
    }


def small_users(cells: IntArray, rows: FloatArray) -> dict[str, Contributions]:
    """Return users of the blocks :data:`SMALL`; ``rows`` has shape (n_users, 3)."""
    return {
        "sums": Contributions(cells, rows),
        "counts": Contributions(cells, np.abs(rows[:, :1])),
    }


def give(contributions: Batch | Sequence[Batch]) -> Contribute:
    """Return what a door asks for: the same users, whatever the window, at once or in batches."""
    return lambda window: contributions


def release_of(door: Door, query: SumQuery, contributions: Batch | Sequence[Batch]) -> Release:
    """Return the door's release.

    Raises
    ------
    NoReleaseError
        If it gave something else.
    """
    return _expect(door.answer(query, give(contributions)), Release)


def clipped_sum_of(
    door: Door, query: SumQuery, contributions: Batch | Sequence[Batch]
) -> ClippedSum:
    """Return the exact sum that the door gives to a trusted server: ``query`` is ``central``."""
    return _expect(door.answer(query, give(contributions)), ClippedSum)


def entry_of(door: Door, release: Release) -> LedgerEntry:
    """Return what the door's ledger has for a release of its.

    Raises
    ------
    NoReleaseError
        If it has nothing.
    """
    found = door.ledger.account().entries.get(release.entry)
    if found is None:
        raise NoReleaseError(f"The door's release {release.entry} has no entry in its ledger.")
    return found


def _expect(answer: Answer, wanted: type[AnswerT]) -> AnswerT:
    if not isinstance(answer, wanted):
        raise NoReleaseError(
            f"The door gave a {type(answer).__name__}, not a {wanted.__name__}: {answer!r}"
        )
    return answer
