"""Where people are and how far they spread: the scale of everything that follows.

histograms of distances  ->  a quantile  ->  the clipping norm of the next questions
"""

from __future__ import annotations

from typing import final

import numpy as np

from strategies.aggregation import NoisySum, shrink_mean, within_ball
from strategies.clustering import NORM_BOUND, Clustering
from strategies.fallback import fall_back
from strategies.phases.phase import Phase, distances, everywhere
from strategies.questions import CellSums, DistanceHistogram, Question


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
            space=known.space,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Divide by the noisy number of users, never by an exact one."""
        counted = float(answer.sums["counts"][0, 0]) / (self.COUNT_WEIGHT * NORM_BOUND)
        known.users = max(counted, 1.0)
        known.users_noise = answer.sigma / (self.COUNT_WEIGHT * NORM_BOUND)
        known.silo_sizes = self._sizes(answer) | known.silo_sizes
        mean = answer.sums["sums"][0] / known.users
        shrunk = shrink_mean(mean, answer.sigma / known.users)
        known.mean = within_ball(shrunk[None], NORM_BOUND)[0]
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
            known,
            origin=known.mean,
            basis=everywhere(known.dim),
            centres=np.zeros((1, known.dim)),
            largest=2 * NORM_BOUND,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the quantile."""
        known.radius = self.quantile(known, answer, 2 * NORM_BOUND, self.QUANTILE)


@final
class Reach(Phase):
    """How far people are from their cell: the clipping norm of the summary."""

    asks = DistanceHistogram

    QUANTILE = 0.6

    def ask(self, known: Clustering) -> Question:
        """Ask for the histogram of distances from the nearest cell."""
        return distances(
            known, origin=known.mean, basis=known.basis, centres=known.cells, largest=2 * NORM_BOUND
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the quantile."""
        known.reach = self.quantile(known, answer, 2 * NORM_BOUND, self.QUANTILE)


@final
class Spread(Phase):
    """How far people are from their centroid: the clipping norm of the Lloyd rounds."""

    asks = DistanceHistogram

    QUANTILE = 0.25
    """A short norm keeps most of a residual's direction and costs less noise."""

    def ask(self, known: Clustering) -> Question:
        """Ask for the histogram of distances from the nearest centroid."""
        return distances(
            known,
            origin=np.zeros(known.dim),
            basis=everywhere(known.dim),
            centres=known.centroids,
            largest=2 * NORM_BOUND,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take the quantile."""
        known.spread = self.quantile(known, answer, 2 * NORM_BOUND, self.QUANTILE)
