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

from privacy.query import FloatArray
from strategies.aggregation import (
    CellMoves,
    NoisySum,
    cell_moves,
    histogram_quantile,
    shrink_mean,
    shrink_rows,
)
from strategies.clustering import NORM_BOUND, Clustering, Floats, nowhere, single_precision
from strategies.directions import (
    Directions,
    directions_above_noise,
    principal_directions,
    random_directions,
    refine_public,
    shrink_to_likely,
)
from strategies.fallback import fall_back
from strategies.initialization import (
    drawn_candidates,
    public_candidates,
    public_centroids,
    weighted_kmeans,
)
from strategies.k_curve import k_curve
from strategies.questions import (
    CellSums,
    DistanceHistogram,
    ItemWeights,
    MapQuality,
    Question,
    SecondMoments,
    bin_ends,
)

Array = NDArray[np.float64]

BINS = 48
"""Of the histograms of distances: six octaves."""


def everywhere(dim: int) -> FloatArray:
    """Return the basis that leaves all dimensions as they are: float32, shape (dim, 0)."""
    return np.zeros((dim, 0), np.float32)


def distances(
    *, origin: Floats, basis: Floats, centres: Array, largest: float
) -> DistanceHistogram:
    """Return the question how far users are from their nearest centre."""
    return DistanceHistogram(
        origin=single_precision(origin),
        basis=single_precision(basis),
        centres=single_precision(centres),
        largest=largest,
        bins=BINS,
    )


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

    @staticmethod
    def quantile(known: Clustering, answer: NoisySum, largest: float, quantile: float) -> float:
        """Return a quantile of distances; the largest where there is no noise to save."""
        histogram = answer.sums["histogram"][:, 0]
        return histogram_quantile(
            histogram, bin_ends(largest, BINS), quantile if known.is_private else 1.0
        )


@final
class Mean(Phase):
    """The mean of all interest vectors, shrunk towards the catalogue's mean."""

    asks = CellSums

    COUNT_WEIGHT = 0.3

    def ask(self, known: Clustering) -> Question:
        """Ask for one cell at the origin."""
        return CellSums(
            origin=np.zeros(known.dim, np.float32),
            basis=everywhere(known.dim),
            centres=np.zeros((1, known.dim), np.float32),
            radius=NORM_BOUND,
            count_weight=self.COUNT_WEIGHT,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Divide by the noisy number of users, never by an exact one."""
        counted = float(answer.sums["counts"][0, 0]) / (self.COUNT_WEIGHT * NORM_BOUND)
        known.users = max(counted, 1.0)
        known.silo_sizes = self._sizes(answer) | known.silo_sizes
        mean = answer.sums["sums"][0] / known.users
        known.mean = shrink_mean(mean, answer.sigma / known.users)
        fall_back(known)

    def _sizes(self, answer: NoisySum) -> dict[str, float]:
        """Return the regions' numbers of users, shrunk to their average by what noise deserves."""
        if not answer.parts:
            return {}
        count = self.COUNT_WEIGHT * NORM_BOUND
        parts = answer.parts.values()
        noisy = np.array([part.sums["counts"][0, 0] for part in parts]) / count
        noise = np.array([(part.sigma / count) ** 2 for part in parts])
        spread = max(float(noisy.var() - noise.mean()), 0.0)
        average = max(float(noisy.mean()), 1.0)
        shrunk = average + (noisy - average) * spread / (spread + noise)
        return dict(zip(answer.parts, np.maximum(shrunk, 1.0).tolist(), strict=True))


@final
class Radius(Phase):
    """How far people are from the mean: the scale of everything that follows."""

    asks = DistanceHistogram

    QUANTILE = 0.3
    """Clipping longer vectors leaves directions as they are; the noise shrinks by its square."""

    def ask(self, known: Clustering) -> Question:
        """Ask for the histogram of distances from the mean."""
        return distances(
            origin=known.mean,
            basis=everywhere(known.dim),
            centres=np.zeros((1, known.dim)),
            largest=2 * NORM_BOUND,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the quantile."""
        known.radius = self.quantile(known, answer, 2 * NORM_BOUND, self.QUANTILE)


@final
class Basis(Phase):
    """In which directions people differ; then the summary's candidates, for free.

    With a catalogue, public directions are turned towards people's as far as the
    moments deserve; without one, the moments alone have to tell.

    Parameters
    ----------
    cell_signal : float
        A cell is affordable while its users' sum is so many times the noise in
        a typical direction.
    summary_share : float
        What all rounds of the summary spend; decides how many cells are affordable.
    """

    asks = SecondMoments

    MOST_DIRECTIONS = 512
    """Vectors of more dimensions are looked at in so many public, or else random directions."""
    MOST_CELLS = 12
    """For each centroid."""

    def __init__(
        self, name: str, share: float, *, cell_signal: float, summary_share: float
    ) -> None:
        super().__init__(name, share)
        self.cell_signal = cell_signal
        self.summary_share = summary_share

    def ask(self, known: Clustering) -> Question:
        """Ask for the second moments around the mean."""
        known.directions = self._before(known)
        return SecondMoments(
            origin=single_precision(known.mean),
            basis=single_precision(self._asked(known)),
            radius=known.radius,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Find the directions; lay out the cells of the summary."""
        triangle = answer.sums["moments"][0]
        if known.has_catalogue:
            known.directions = refine_public(known.directions, triangle, known.users, answer.sigma)
            width = known.k
        else:
            found = directions_above_noise(
                triangle, known.users, answer.sigma, fewest=2, most=2 * known.k
            )
            known.directions = Directions(
                columns=self._asked(known) @ found.columns
                if known.directions.columns.size
                else found.columns,
                variances=found.variances,
            )
            width = len(found.variances)
        known.basis = known.directions.columns[:, :width]
        known.cells = self._candidates(known)

    def _before(self, known: Clustering) -> Directions:
        """Return the directions that are known without asking anybody."""
        if known.has_catalogue:
            return principal_directions(known.catalogue.vectors.astype(np.float64))
        if known.dim <= self.MOST_DIRECTIONS:
            return nowhere()
        columns = random_directions(known.dim, self.MOST_DIRECTIONS, seed=known.seed)
        return Directions(columns=columns, variances=np.zeros(self.MOST_DIRECTIONS))

    def _asked(self, known: Clustering) -> Array:
        if known.has_catalogue:
            return known.directions.columns[:, : self.MOST_DIRECTIONS]
        return (
            known.directions.columns if known.directions.columns.size else np.zeros((known.dim, 0))
        )

    def _candidates(self, known: Clustering) -> Array:
        """Return the summary's first cells: public ones, or drawn where people differ."""
        count = self._affordable_cells(known)
        if known.has_catalogue:
            vectors = known.catalogue.vectors.astype(np.float64)
            points = (vectors - known.mean) @ known.basis
            return public_candidates(points, count, longest=known.radius, seed=known.seed)
        variances = known.directions.variances
        return drawn_candidates(variances, count, longest=known.radius, seed=known.seed)

    def _affordable_cells(self, known: Clustering) -> int:
        """As many cells as keep a typical cell's sum above its noise, 2K to 12K."""
        signal = known.users * known.effective_mu * np.sqrt(self.summary_share)
        cells = signal / (self.cell_signal * np.sqrt(known.basis.shape[1]))
        return int(np.clip(cells, 2 * known.k, self.MOST_CELLS * known.k))


@final
class Reach(Phase):
    """How far people are from their cell: the clipping norm of the summary."""

    asks = DistanceHistogram

    QUANTILE = 0.6

    def ask(self, known: Clustering) -> Question:
        """Ask for the histogram of distances from the nearest cell."""
        return distances(
            origin=known.mean, basis=known.basis, centres=known.cells, largest=2 * NORM_BOUND
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the quantile."""
        known.reach = self.quantile(known, answer, 2 * NORM_BOUND, self.QUANTILE)


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
    """

    asks = CellSums

    COUNT_WEIGHT = 0.5
    """Counts matter here: they weigh the cells and tell which hold anybody."""
    CLOSER = 0.9
    """From round to round, people are by so much closer to their cell."""
    LEAST_SIGMAS = 1.5
    """A cell holds somebody if its count rises so many noise standard deviations above zero."""
    JITTER = (-1.5, -0.3)
    """How far from a heavy cell an empty one is put: powers of 10, in typical distances. Nobody
    knows how tight the clusters are, so all scales are tried."""
    PUBLIC_PULL = 0.8
    """People mix items, so their clusters lie nearer to the mean than the catalogue's."""

    def __init__(self, name: str, share: float, *, number: int, last: bool) -> None:
        super().__init__(name, share)
        self.number = number
        self.last = last

    def ask(self, known: Clustering) -> Question:
        """Ask for residual sums and counts of the present cells."""
        return CellSums(
            origin=single_precision(known.mean),
            basis=single_precision(known.basis),
            centres=single_precision(known.cells),
            radius=self._radius(known),
            count_weight=self.COUNT_WEIGHT,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Move the cells; keep those that rise above the noise."""
        count = self.COUNT_WEIGHT * self._radius(known)
        weights = answer.sums["counts"][:, 0] / count
        held = weights > max(self.LEAST_SIGMAS * answer.sigma / count, 1.0)
        if held.sum() < known.k:
            held = weights >= np.sort(weights)[-min(known.k + 2, len(weights))]
        moves = shrink_rows(cell_moves(answer, count, known.silo_sizes, fewest=0.0))
        cells = known.cells + moves * held[:, None]
        weights = np.maximum(weights, 1.0)
        if not self.last:
            known.cells = self._refill(known, cells, weights, held)
            return
        known.cells, known.cell_weights = cells[held], weights[held]
        known.cell_noise = answer.sigma / count
        known.k_curve = k_curve(
            known.cells, known.cell_weights, known.cell_noise, known.k, seed=known.seed
        )
        if known.choosing_k:
            known.k = known.k_curve.chosen
        if known.starts_from_public:
            vectors = known.catalogue.vectors.astype(np.float64)
            chosen = public_centroids(vectors, known.k, seed=known.seed)
            known.centroids = self.PUBLIC_PULL * chosen + known.mean
            return
        chosen = weighted_kmeans(known.cells, known.cell_weights, known.k, seed=known.seed)
        known.centroids = chosen @ known.basis.T + known.mean

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


@final
class Spread(Phase):
    """How far people are from their centroid: the clipping norm of the Lloyd rounds."""

    asks = DistanceHistogram

    QUANTILE = 0.25
    """A short norm keeps most of a residual's direction and costs less noise."""

    def ask(self, known: Clustering) -> Question:
        """Ask for the histogram of distances from the nearest centroid."""
        return distances(
            origin=np.zeros(known.dim),
            basis=everywhere(known.dim),
            centres=known.centroids,
            largest=2 * NORM_BOUND,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the quantile."""
        known.spread = self.quantile(known, answer, 2 * NORM_BOUND, self.QUANTILE)


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
    """One noisy Lloyd round in all dimensions, by relative updates."""

    asks = CellSums

    COUNT_WEIGHT = 0.15

    def __init__(self, name: str, share: float, pool: LloydPool) -> None:
        super().__init__(name, share)
        self.pool = pool

    def ask(self, known: Clustering) -> Question:
        """Ask for residual sums and counts per centroid."""
        return CellSums(
            origin=np.zeros(known.dim, np.float32),
            basis=everywhere(known.dim),
            centres=single_precision(known.centroids),
            radius=known.spread,
            count_weight=self.COUNT_WEIGHT,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Move the centroids by their pooled, shrunk residual means."""
        count = self.COUNT_WEIGHT * known.spread
        known.centroids = self.pool.add(known, cell_moves(answer, count, known.silo_sizes))
        known.sizes = answer.sums["counts"][:, 0] / count
        known.size_noise = answer.sigma / count


@final
class Items(Phase):
    """Which items each cluster takes up."""

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
