"""The phases of a clustering: what each asks, and what it makes of the answer.

known  ->  ask  ->  question;  noisy sum  ->  absorb  ->  known better

A phase asks a question that depends on public and released values only, and
absorbs the noisy sum that comes back. Everything in ``absorb`` is
post-processing: it costs nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from strategies.aggregation import (
    NoisySum,
    histogram_quantile,
    shrink_mean,
    shrink_rows,
    shrink_spectrum,
)
from strategies.clustering import NORM_BOUND, Clustering, single_precision
from strategies.initialization import public_basis, public_candidates, weighted_kmeans
from strategies.labels import label_clusters
from strategies.questions import CellSums, DistanceHistogram, ItemWeights, MapQuality, Question

Array = NDArray[np.float64]

BINS = 32
"""Of the histograms of distances: fine enough for a median, few enough for their noise."""
MEDIAN = 0.5
CELL_SIGNAL = 6.0
"""A cell is affordable while its users' sum is so many times the noise in a typical direction."""
CANDIDATE_REACH = 0.8
"""Candidates lie within this part of the typical distance from the mean."""


class Phase(ABC):
    """One question of a run.

    Parameters
    ----------
    name : str
        As it stands in plans, ledgers and reports.
    share : float
        Part of the run's mu^2.

    Attributes
    ----------
    asks : type of Question
        The kind of its question.
    """

    asks: ClassVar[type[Question]]

    def __init__(self, name: str, share: float) -> None:
        self.name = name
        self.share = share

    @abstractmethod
    def ask(self, known: Clustering) -> Question:
        """Return the question, from what is known so far."""

    @abstractmethod
    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Learn from the noisy sum over all users that took part."""


@final
class Mean(Phase):
    """The mean of all interest vectors, shrunk towards the catalogue's mean."""

    asks = CellSums

    COUNT_WEIGHT = 0.3

    def ask(self, known: Clustering) -> Question:
        """Ask for one cell at the origin."""
        return CellSums(
            origin=np.zeros(known.dim, np.float32),
            basis=np.zeros((known.dim, 0), np.float32),
            centres=np.zeros((1, known.dim), np.float32),
            radius=NORM_BOUND,
            count_weight=self.COUNT_WEIGHT,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Divide by the noisy number of users, never by an exact one."""
        counted = float(answer.sums["counts"][0, 0]) / (self.COUNT_WEIGHT * NORM_BOUND)
        known.users = max(counted, 1.0)
        mean = answer.sums["sums"][0] / known.users
        known.mean = shrink_mean(mean, answer.sigma / known.users)


@final
class Radius(Phase):
    """How far people are from the mean; then the public basis and candidates, for free."""

    asks = DistanceHistogram

    def ask(self, known: Clustering) -> Question:
        """Ask for the histogram of distances from the mean."""
        return DistanceHistogram(
            centres=single_precision(known.mean[None]), largest=2 * NORM_BOUND, bins=BINS
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the median; lay out the cells of the summary."""
        histogram = answer.sums["histogram"][:, 0]
        known.radius = histogram_quantile(histogram, 2 * NORM_BOUND, MEDIAN)
        vectors = known.catalogue.vectors.astype(np.float64)
        known.basis = public_basis(vectors, min(known.k, *vectors.shape))
        known.cells = public_candidates(
            (vectors - known.mean) @ known.basis,
            self._affordable_cells(known),
            longest=CANDIDATE_REACH * known.radius,
            seed=known.seed,
        )

    @staticmethod
    def _affordable_cells(known: Clustering) -> int:
        """As many cells as keep a typical cell's sum above its noise, 2K to 12K."""
        dimensions = known.basis.shape[1]
        signal = known.users * known.effective_mu * np.sqrt(Summary.BOTH_SHARES)
        cells = signal / (CELL_SIGNAL * np.sqrt(dimensions))
        return int(np.clip(cells, 2 * known.k, 12 * known.k))


@final
class Summary(Phase):
    """Weighted cells in the public subspace: the private summary of everybody.

    The first one moves the candidates to where people are and drops what holds
    nobody; the last one is clustered by weighted k-means++.
    """

    asks = CellSums

    COUNT_WEIGHT = 0.5
    """Counts matter here: they weigh the cells and tell which hold anybody."""
    BOTH_SHARES = 0.24
    """What both rounds of the usual plan spend; decides how many cells are affordable."""
    LEAST_SIGMAS = 1.5
    """A cell holds somebody if its count rises so many noise standard deviations above zero."""
    JITTER = 0.35
    """How far from a heavy cell an empty one is put, in typical distances."""

    def __init__(self, name: str, share: float, *, last: bool) -> None:
        super().__init__(name, share)
        self.last = last

    def ask(self, known: Clustering) -> Question:
        """Ask for residual sums and counts of the present cells."""
        return CellSums(
            origin=single_precision(known.mean),
            basis=single_precision(known.basis),
            centres=single_precision(known.cells),
            radius=known.radius,
            count_weight=self.COUNT_WEIGHT,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Move the cells; keep those that rise above the noise."""
        count = self.COUNT_WEIGHT * known.radius
        weights = answer.sums["counts"][:, 0] / count
        held = weights > max(self.LEAST_SIGMAS * answer.sigma / count, 1.0)
        if held.sum() < known.k:
            held = weights >= np.sort(weights)[-min(known.k + 2, len(weights))]
        moves = shrink_rows(answer.sums["sums"], np.maximum(weights, 1.0), answer.sigma)
        cells = known.cells + moves * held[:, None]
        weights = np.maximum(weights, 1.0)
        if not self.last:
            known.cells = self._refill(known, cells, weights, held)
            return
        known.cells, known.cell_weights = cells[held], weights[held]
        chosen = weighted_kmeans(known.cells, known.cell_weights, known.k, seed=known.seed)
        known.centroids = chosen @ known.basis.T + known.mean

    def _refill(
        self, known: Clustering, cells: Array, weights: Array, held: NDArray[np.bool_]
    ) -> Array:
        """Move cells that hold nobody next to heavy ones."""
        rng = np.random.default_rng(known.seed)
        heavy = weights * held
        near = rng.choice(len(cells), size=int((~held).sum()), p=heavy / heavy.sum())
        step = self.JITTER * known.radius / np.sqrt(cells.shape[1])
        refilled = cells.copy()
        refilled[~held] = cells[near] + step * rng.standard_normal((len(near), cells.shape[1]))
        return refilled


@final
class Spread(Phase):
    """How far people are from their centroid: the clipping norm of the Lloyd rounds."""

    asks = DistanceHistogram

    def ask(self, known: Clustering) -> Question:
        """Ask for the histogram of distances from the nearest centroid."""
        return DistanceHistogram(
            centres=single_precision(known.centroids), largest=2 * NORM_BOUND, bins=BINS
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the median."""
        histogram = answer.sums["histogram"][:, 0]
        known.spread = histogram_quantile(histogram, 2 * NORM_BOUND, MEDIAN)


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

    DISCOUNT = 0.8
    """Older rounds count less: users have moved between cells since."""

    def __init__(self) -> None:
        self.start: Array | None = None
        self.weighted: Array | float = 0.0
        self.precision: Array | float = 0.0

    def add(self, known: Clustering, residuals: Array, counts: Array, sigma: float) -> Array:
        """Take in one round; return the pooled, shrunk centroids, shape (k, d)."""
        start = known.centroids if self.start is None else self.start
        self.start = start
        n = counts[:, None]
        self.weighted = self.DISCOUNT * self.weighted + (known.centroids + residuals / n) * n**2
        self.precision = self.DISCOUNT * self.precision + n**2
        moves = (self.weighted / self.precision - start) * n
        pooled_sigma = float(np.median(sigma * n / np.sqrt(self.precision)))
        inside = moves @ known.basis
        outside = moves - inside @ known.basis.T
        return np.asarray(
            start
            + shrink_rows(inside, counts, pooled_sigma) @ known.basis.T
            + shrink_spectrum(outside, counts, pooled_sigma)
        )


@final
class Lloyd(Phase):
    """One noisy Lloyd round in all dimensions, by relative updates."""

    asks = CellSums

    COUNT_WEIGHT = 0.3

    def __init__(self, name: str, share: float, pool: LloydPool) -> None:
        super().__init__(name, share)
        self.pool = pool

    def ask(self, known: Clustering) -> Question:
        """Ask for residual sums and counts per centroid."""
        return CellSums(
            origin=np.zeros(known.dim, np.float32),
            basis=np.zeros((known.dim, 0), np.float32),
            centres=single_precision(known.centroids),
            radius=known.spread,
            count_weight=self.COUNT_WEIGHT,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Move the centroids by their pooled, shrunk residual means."""
        count = self.COUNT_WEIGHT * known.spread
        sizes = answer.sums["counts"][:, 0] / count
        counts = np.maximum(sizes, 2 * answer.sigma / count)
        known.centroids = self.pool.add(known, answer.sums["sums"], counts, answer.sigma)
        known.sizes = sizes
        known.size_noise = answer.sigma / count


@final
class Items(Phase):
    """Which items each cluster takes up; then the labels, for free."""

    asks = ItemWeights

    RECENT_DAYS = 60.0
    SATURATION = 10.0
    CLUSTER_WEIGHT = 0.6
    FLOOR_SIGMAS = 2.0
    """Weights below so many noise standard deviations are all the same."""
    TYPICAL_LIFT = 0.2
    """Prior standard deviation of a cluster's relative deviation from everybody's weight."""
    LIFT_RANGE = (-0.5, 1.0)
    """A cluster's weight stays between half and twice everybody's."""

    def ask(self, known: Clustering) -> Question:
        """Ask for cluster-by-item sums and the overall ones."""
        return ItemWeights(
            centroids=single_precision(known.centroids),
            n_items=len(known.catalogue.item_ids),
            recent_days=self.RECENT_DAYS,
            saturation=self.SATURATION,
            cluster_weight=self.CLUSTER_WEIGHT,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Lift each cluster's weights above everybody's as far as they rise above the noise.

        Each weight is taken as everybody's times (1 + lift), with lifts normal
        around zero; the posterior mean keeps what the noise allows. Unshrunk
        rows would rank worse than no clusters at all.
        """
        overall_weight = np.sqrt(1 - self.CLUSTER_WEIGHT**2)
        sigma_overall = answer.sigma / overall_weight
        sigma_cluster = answer.sigma / self.CLUSTER_WEIGHT
        overall = answer.sums["overall"][0] / overall_weight
        clusters = answer.sums["by_cluster"] / self.CLUSTER_WEIGHT
        popularity = np.maximum(overall, self.FLOOR_SIGMAS * sigma_overall)
        parts = np.maximum(clusters @ popularity / (popularity @ popularity), 0.0)
        expected = parts[:, None] * popularity
        spread = (self.TYPICAL_LIFT * expected) ** 2
        lift = self.TYPICAL_LIFT**2 * expected * (clusters - expected)
        lift /= spread + sigma_cluster**2
        known.popularity = popularity
        known.item_weights = popularity * (1 + np.clip(lift, *self.LIFT_RANGE))
        known.labels = label_clusters(known.centroids, known.catalogue)


@final
class Quality(Phase):
    """The push-back: clients keep the map and say, with noise, how well it fits."""

    asks = MapQuality

    def ask(self, known: Clustering) -> Question:
        """Send the map along with the question."""
        return MapQuality(cluster_map=known.cluster_map(), largest_distance=2 * NORM_BOUND)

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take means over the noisy number of users that answered this question."""
        users = max(float(answer.sums["users"][0, 0]), 1.0)
        silhouette = float(answer.sums["silhouette"][0, 0]) / users
        squares = float(answer.sums["squared_distance"][0, 0]) * (2 * NORM_BOUND) ** 2
        known.silhouette = float(np.clip(silhouette, -1.0, 1.0))
        known.squared_distance = float(np.clip(squares / users, 0.0, (2 * NORM_BOUND) ** 2))
        known.silhouette_noise = answer.sigma / users
