"""What the finished clusters are like: what each goes for, and how well the map fits people."""

from __future__ import annotations

from typing import final

import numpy as np

from strategies.aggregation import NoisySum
from strategies.clustering import NORM_BOUND, Clustering, single_precision
from strategies.phases.phase import Phase
from strategies.questions import ItemWeights, MapQuality, Question

AGREEMENT_SIGMAS = 4.0
"""Two noisy counts of the same users differ by no more noise standard deviations."""


@final
class Items(Phase):
    """Which items each cluster takes up."""

    asks = ItemWeights

    RECENT_DAYS = 60.0
    SATURATION = 10.0
    CLUSTER_WEIGHT = 0.6
    CLUSTER_WEIGHT_BESIDE_POPULARITY = 0.95
    """Where everybody's weights were released before, hardly anything is spent on them again."""
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
            cluster_weight=self._cluster_weight(known),
            space=known.space,
        )

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Lift each cluster's weights above everybody's as far as they rise above the noise.

        Each weight is taken as everybody's times (1 + lift), with lifts normal
        around zero; the posterior mean keeps what the noise allows. Unshrunk
        rows would rank worse than no clusters at all.
        """
        cluster_weight = self._cluster_weight(known)
        sigma_cluster = answer.sigma / cluster_weight
        clusters = answer.sums["by_cluster"] / cluster_weight
        popularity = known.popularity
        if not popularity.size:
            overall_weight = np.sqrt(1 - cluster_weight**2)
            overall = answer.sums["overall"][0] / overall_weight
            popularity = np.maximum(overall, self.FLOOR_SIGMAS * answer.sigma / overall_weight)
        parts = np.maximum(clusters @ popularity / (popularity @ popularity), 0.0)
        expected = parts[:, None] * popularity
        spread = (self.TYPICAL_LIFT * expected) ** 2
        lift = self.TYPICAL_LIFT**2 * expected * (clusters - expected)
        lift /= spread + sigma_cluster**2
        known.popularity = popularity
        known.item_weights = popularity * (1 + np.clip(lift, *self.LIFT_RANGE))

    def _cluster_weight(self, known: Clustering) -> float:
        """Return how much of a user's contribution is about the own cluster."""
        asked_before = known.popularity.size > 0
        return self.CLUSTER_WEIGHT_BESIDE_POPULARITY if asked_before else self.CLUSTER_WEIGHT


@final
class Quality(Phase):
    """The push-back: clients keep the map and say, with noise, how well it fits."""

    asks = MapQuality

    def ask(self, known: Clustering) -> Question:
        """Send the map along with the question."""
        return MapQuality(cluster_map=known.cluster_map(), largest_distance=2 * NORM_BOUND)

    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Take means over the noisy number of users that answered this question."""
        counted = float(answer.sums["users"][0, 0])
        users = max(counted, 1.0)
        silhouette = float(answer.sums["silhouette"][0, 0]) / users
        squares = float(answer.sums["squared_distance"][0, 0]) / users
        largest = (2 * NORM_BOUND) ** 2
        # The number of users that a mean is taken over is as noisy as the sum.
        known.silhouette = float(np.clip(silhouette, -1.0, 1.0))
        known.silhouette_noise = answer.sigma / users * float(np.hypot(1.0, known.silhouette))
        known.squared_distance = largest * float(np.clip(squares, 0.0, 1.0))
        known.squared_distance_noise = (
            largest * answer.sigma / users * float(np.hypot(1.0, known.squared_distance / largest))
        )
        known.users, known.users_noise = pooled(
            (known.users, known.users_noise), (counted, answer.sigma)
        )


def pooled(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Return one number of users of two noisy counts, and its noise: weighed by precision.

    Where the two disagree by more than the noise explains, silos came or went
    in between, and the second stands alone.

    Parameters
    ----------
    first, second : (float, float)
        A count and the standard deviation of its noise.
    """
    noises = np.array([first[1], second[1]])
    if abs(first[0] - second[0]) > AGREEMENT_SIGMAS * np.hypot(*noises):
        return max(second[0], 1.0), second[1]
    weights = 1 / noises**2
    users = float(np.average([first[0], second[0]], weights=weights))
    return max(users, 1.0), float(weights.sum() ** -0.5)
