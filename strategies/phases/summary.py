"""The private summary of everybody: weighted cells, and the first centroids made of them.

cells  ->  where people are, and how many  ->  weighted k-means++, curve over K
"""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from strategies.aggregation import NoisySum, cell_moves, shrink_rows
from strategies.clustering import Clustering, single_precision
from strategies.initialization import public_centroids, weighted_kmeans
from strategies.k_curve import k_curve
from strategies.phases.phase import Array, Phase
from strategies.questions import CellSums, Question


@final
class Summary(Phase):
    """Weighted cells in the basis: the private summary of everybody.

    Each round moves the cells to where people are; all but the last put those
    that hold nobody next to heavy ones. The last one is clustered by weighted
    k-means++.

    Parameters
    ----------
    number : int
        Of this round, from 1.
    last : bool
    count_weight : float
        Counts matter here: they weigh the cells and tell which hold anybody.
    """

    asks = CellSums

    CLOSER = 0.9
    """From round to round, people are by so much closer to their cell."""
    LEAST_SIGMAS = 1.5
    """A cell holds somebody if its count rises so many noise standard deviations above zero."""
    JITTER = (-1.5, -0.3)
    """How far from a heavy cell an empty one is put: powers of 10, in typical distances. Nobody
    knows how tight the clusters are, so all scales are tried."""
    PUBLIC_PULL = 0.8
    """People mix items, so their clusters lie nearer to the mean than the catalogue's."""

    def __init__(
        self, name: str, share: float, *, number: int, last: bool, count_weight: float
    ) -> None:
        super().__init__(name, share)
        self.count_weight = count_weight
        self.number = number
        self.last = last

    def ask(self, known: Clustering) -> Question:
        """Ask for residual sums and counts of the present cells."""
        return CellSums(
            origin=single_precision(known.mean),
            basis=single_precision(known.basis),
            centres=single_precision(known.cells),
            radius=self._radius(known),
            count_weight=self.count_weight,
            space=known.space,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Move the cells; then lay out the next round's, or finish the summary."""
        noise = answer.sigma / (self.count_weight * self._radius(known))
        cells, weights, held = self._moved(known, answer, noise)
        if not self.last:
            known.cells = self._refill(known, cells, weights, held)
            return
        known.cells, known.cell_weights, known.cell_noise = cells[held], weights[held], noise
        self._choose(known)
        known.centroids = self._first_centroids(known)

    def _moved(
        self, known: Clustering, answer: NoisySum, noise: float
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Return the cells where their people are, the weights, and which rise above the noise."""
        count = self.count_weight * self._radius(known)
        weights = answer.sums["counts"][:, 0] / count
        held = weights > max(self.LEAST_SIGMAS * noise, 1.0)
        if held.sum() < known.k:
            held = weights >= np.sort(weights)[-min(known.k + 2, len(weights))]
        moves = shrink_rows(cell_moves(answer, count, known.silo_sizes, fewest=0.0))
        return known.cells + moves * held[:, None], np.maximum(weights, 1.0), held

    @staticmethod
    def _choose(known: Clustering) -> None:
        """Try numbers of clusters on the finished summary; take one if that was asked for."""
        known.k_curve = k_curve(
            known.cells,
            known.cell_weights,
            known.cell_noise,
            known.k,
            choosing=known.choosing_k,
            seed=known.seed,
        )
        if known.choosing_k:
            known.k = known.k_curve.chosen

    def _first_centroids(self, known: Clustering) -> Array:
        """Return the public centroids where people are too few, else those of the summary."""
        if known.starts_from_public:
            vectors = known.placed.vectors.astype(np.float64)
            return (
                self.PUBLIC_PULL * public_centroids(vectors, known.k, seed=known.seed) + known.mean
            )
        chosen = weighted_kmeans(known.cells, known.cell_weights, known.k, seed=known.seed)
        return np.asarray(chosen @ known.basis.T + known.mean)

    def _radius(self, known: Clustering) -> float:
        return known.reach * self.CLOSER ** (self.number - 1)

    def _refill(
        self, known: Clustering, cells: Array, weights: Array, held: NDArray[np.bool_]
    ) -> Array:
        """Move cells that hold nobody next to heavy ones."""
        rng = np.random.default_rng((known.seed, self.number))
        heavy = weights * held
        near = rng.choice(len(cells), size=int((~held).sum()), p=heavy / heavy.sum())
        steps = known.reach / np.sqrt(cells.shape[1]) * 10 ** rng.uniform(*self.JITTER, len(near))
        refilled = cells.copy()
        moved = steps[:, None] * rng.standard_normal((len(near), cells.shape[1]))
        refilled[~held] = cells[near] + moved
        return refilled
