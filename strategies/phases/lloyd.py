"""Lloyd rounds in all dimensions: what the summary's few directions left out.

centroids  ->  noisy residual means  ->  pooled over the rounds, shrunk to likely directions
"""

from __future__ import annotations

from typing import Any, final

import numpy as np

from strategies.aggregation import CellMoves, NoisySum, cell_moves, within_ball
from strategies.clustering import NORM_BOUND, Clustering, single_precision
from strategies.directions import shrink_to_likely
from strategies.merging import SmallClusterMerger
from strategies.phases.phase import Array, Phase, everywhere
from strategies.questions import CellSums, Question


class LloydPool:
    """The estimates of all Lloyd rounds, pooled by their precision.

    Attributes
    ----------
    start : shape (k, d)
        The centroids before the first round; pooled estimates are shrunk
        towards them.
    weighted, precision : shapes (k, d), (k, 1)
        Sums over the rounds of precision times estimate, and of precision.
    """

    def __init__(self) -> None:
        self.start: Array | None = None
        self.weighted: Array | float = 0.0
        self.precision: Array | float = 0.0

    def kept(self) -> dict[str, Any]:
        """Return what an interrupted run needs to go on."""
        return {"start": self.start, "weighted": self.weighted, "precision": self.precision}

    def restore(self, kept: dict[str, Any]) -> None:
        """Know again what :meth:`kept` returned."""
        self.start = kept["start"]
        self.weighted, self.precision = kept["weighted"], kept["precision"]

    def add(self, known: Clustering, moves: CellMoves) -> Array:
        """Take in one round; return the pooled, shrunk centroids, shape (k, d)."""
        start = known.centroids if self.start is None or not known.is_private else self.start
        if start is not self.start:
            self.start, self.weighted, self.precision = start, 0.0, 0.0
        precision = 1 / moves.noise[:, None]
        self.weighted = self.weighted + (known.centroids + moves.means) * precision
        self.precision = self.precision + precision
        pooled = self.weighted / self.precision - start
        noise = 1 / np.asarray(self.precision)[:, 0]
        return start + shrink_to_likely(pooled, noise, known.directions)


@final
class Lloyd(Phase):
    """One noisy Lloyd round in all dimensions, by relative updates.

    Parameters
    ----------
    pool : LloydPool
        Of all rounds.
    last : bool
        Whether small clusters are merged after it.
    """

    asks = CellSums

    COUNT_WEIGHT = 0.15

    def __init__(self, name: str, share: float, pool: LloydPool, *, last: bool) -> None:
        super().__init__(name, share)
        self.pool = pool
        self.last = last

    @property
    def memory(self) -> LloydPool:
        """The pool."""
        return self.pool

    def ask(self, known: Clustering) -> Question:
        """Ask for residual sums and counts per centroid."""
        return CellSums(
            origin=np.zeros(known.dim, np.float32),
            basis=everywhere(known.dim),
            centres=single_precision(known.centroids),
            radius=known.spread,
            count_weight=self.COUNT_WEIGHT,
            space=known.space,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Move the centroids by their pooled, shrunk residual means."""
        count = self.COUNT_WEIGHT * known.spread
        moved = self.pool.add(known, cell_moves(answer, count, known.silo_sizes))
        known.centroids = within_ball(moved, NORM_BOUND)
        known.sizes = answer.sums["counts"][:, 0] / count
        known.size_noise = answer.sigma / count
        if self.last and known.least_size > 0:
            merge_small(known)


def merge_small(known: Clustering) -> None:
    """Merge clusters that are too small into their neighbours, by their noisy sizes."""
    merger = SmallClusterMerger(known.least_size).fit(
        known.centroids, sample_weight=known.sizes, size_noise=known.size_noise
    )
    left = len(merger.cluster_centers_)
    if left == known.k:
        return
    known.merged = (
        f"{known.k} clusters became {left}: some had fewer than {known.least_size:g} users, or "
        "were too small to rise above the noise, and were merged into their neighbours."
    )
    known.k, known.centroids, known.sizes = left, merger.cluster_centers_, merger.sizes_
    known.size_noise = float(merger.size_noise_.max())
