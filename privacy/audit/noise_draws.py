"""Releases of new doors whose exact sums are known: evidence, and noise taken off.

a door whose users are the target in every trial, and another door without any user
    ->  evidence for the target  +  noise in standard deviations

The target is alone in each cell of ``sums`` and ``counts``, so a release is as many
independent trials as it has cells. A block of moments has one cell; there a target is alone
in each entry of the diagonal, by a row along that axis, which changes the answer by the whole
sensitivity (``29 r^2``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privacy.audit.trial import entry_of, fresh_door, one_per_cell, release_of, request, source
from privacy.query import Block, Contributions, NoiseKind, SumQuery
from privacy.release import Release

Doubles = NDArray[np.float64]
Noise = Mapping[str, Doubles]

REQUESTS = 3
"""To each door that has the target; that all of them coincide by chance cannot happen."""
MULTIPLIER = 0.5
"""Noise standard deviation over sensitivity: at mu = 2 few trials give a tight bound."""
TARGET = {"sums": np.array([3.0, -4.0]), "counts": np.array([9.0])}
"""What the target adds before clipping; it is too long for either block."""
LONG = 7.0
"""Length of a target's row over the clipping norm, for moments."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """What doors with and without the target gave, and what their ledger claims.

    Attributes
    ----------
    there, absent : sequence of mapping of str to float64 array, shape (cells, width)
        Noise of each release with and without the target, by block, in standard deviations.
    evidence_there, evidence_absent : float64, shape (n_trials,)
        How far each trial's answer lies in the direction of the target, over the sensitivity:
        1 on average with the target, 0 without.
    mu : float
        What the ledger claims for one release.
    """

    there: Sequence[Noise]
    absent: Sequence[Noise]
    evidence_there: Doubles
    evidence_absent: Doubles
    mu: float

    @property
    def releases(self) -> list[Noise]:
        """Noise of all releases."""
        return [*self.there, *self.absent]


def draw_cells(folder: Path, kind: NoiseKind, seed: int, cells: int) -> Draws:
    """Ask two new doors about sums and counts of ``cells`` cells."""
    blocks = (
        Block(name="sums", cells=cells, width=2, clipping_norm=1.0),
        Block(name="counts", cells=cells, width=1, clipping_norm=0.75),
    )
    users, nobody = one_per_cell(TARGET, cells), one_per_cell(TARGET, 0)
    queries = _requests(blocks)
    there, mu = _ask(folder, kind, 2 * seed, queries, users)
    absent, _ = _ask(folder, kind, 2 * seed + 1, queries[:1], nobody)
    changed = {block.name: _clipped(TARGET[block.name], block.clipping_norm) for block in blocks}
    length = queries[0].sensitivity

    def evidence(release: Release) -> Doubles:
        parts = [release.sums[name].astype(np.float64) @ row for name, row in changed.items()]
        return np.asarray(sum(parts) / length**2)

    sigma = queries[0].sigma
    return Draws(
        there=[_noise(release, changed, sigma) for release in there],
        absent=[_noise(release, {}, sigma) for release in absent],
        evidence_there=evidence(there[0]),
        evidence_absent=evidence(absent[0]),
        mu=mu,
    )


def draw_moments(folder: Path, kind: NoiseKind, seed: int, width: int, doors: int) -> Draws:
    """Ask ``doors`` pairs of new doors about moments of ``width`` dimensions."""
    block = Block(name="moments", cells=1, width=width, clipping_norm=2.0, moments=True)
    rows, columns = np.triu_indices(width)
    diagonal = rows == columns
    axes = (LONG * block.clipping_norm * np.eye(width)).astype(np.float32)
    users = {"moments": Contributions(np.zeros(width, np.int64), axes)}
    nobody = {"moments": Contributions(np.zeros(0, np.int64), axes[:0])}
    queries = _requests((block,))
    length, sigma = queries[0].sensitivity, queries[0].sigma
    changed = {"moments": length * diagonal[np.newaxis]}
    there: list[Release] = []
    absent: list[Release] = []
    for door in range(doors):
        own = 2 * (seed * doors + door)
        some, mu = _ask(folder, kind, own, queries, users)
        others, _ = _ask(folder, kind, own + 1, queries, nobody)
        there, absent = there + some, absent + others

    def evidence(releases: Sequence[Release]) -> Doubles:
        parts = [release.sums["moments"][0, diagonal] / length for release in releases]
        return np.concatenate(parts).astype(np.float64)

    return Draws(
        there=[_noise(release, changed, sigma) for release in there],
        absent=[_noise(release, {}, sigma) for release in absent],
        evidence_there=evidence(there),
        evidence_absent=evidence(absent),
        mu=mu,
    )


def _requests(blocks: tuple[Block, ...]) -> list[SumQuery]:
    return [
        request(*blocks, noise_multiplier=MULTIPLIER, round_number=number)
        for number in range(1, REQUESTS + 1)
    ]


def _ask(
    folder: Path,
    kind: NoiseKind,
    seed: int,
    queries: Sequence[SumQuery],
    users: Mapping[str, Contributions],
) -> tuple[list[Release], float]:
    """Return a new door's releases, and what its ledger claims for the first one."""
    door = fresh_door(folder, source(kind, seed))
    releases = [release_of(door, query, users) for query in queries]
    return releases, entry_of(door, releases[0]).event.mu


def _noise(release: Release, known: Mapping[str, Doubles], sigma: float) -> Noise:
    """Take the known sums off a release; rows of ``known`` stand for every cell."""
    return {
        name: (array.astype(np.float64) - known.get(name, 0.0)) / sigma
        for name, array in release.sums.items()
    }


def _clipped(row: Doubles, norm: float) -> Doubles:
    return np.asarray(row * (norm / np.linalg.norm(row)))
