"""A minimum cluster size: clusters too small to tell from noise join their neighbours.

centres, noisy sizes (released)  ->  fewer centres, their sizes, old -> new

All of it is post-processing of a release, hence free. A cluster that few
people are in is of little use, and its centre is mostly noise. Merging hides
nobody: that is the noise's task, which the sizes already have inside.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from strategies.hierarchy import ward_costs
from strategies.synthetic_users import LEAST_SHARE, check_noisy_summary, check_vectors, nearest

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class SmallClusterMerger(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Merge the smallest cluster into its nearest neighbour until all are large enough.

    Parameters
    ----------
    least_size : float
        In users.
    least_sigmas : float
        A cluster's size has to rise so many standard deviations of its noise
        above zero.
    nearest_by : {"ward", "centroid"}
        What near means: the least rise of the sum of squares (Ward 1963), which
        spares large clusters, or the least distance between centres.

    Attributes
    ----------
    cluster_centers_ : shape (k_new, m)
        Means weighted by size; at least one.
    sizes_ : shape (k_new,)
        Sums of the noisy sizes as they came: negative ones lower the sum, or
        noise would count as users.
    size_noise_ : shape (k_new,)
        Noise standard deviation of each: grows as the root of the members.
    labels_ : int64, shape (k_old,)
        Old cluster to new cluster, numbered in the order of the old ones.
    """

    def __init__(
        self,
        least_size: float = 0.0,
        least_sigmas: float = 2.0,
        nearest_by: Literal["ward", "centroid"] = "ward",
    ) -> None:
        self.least_size = least_size
        self.least_sigmas = least_sigmas
        self.nearest_by = nearest_by

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        size_noise: float = 0.0,
    ) -> Self:
        """Merge.

        Parameters
        ----------
        X, sample_weight : shapes (k_old, m), (k_old,)
            Centres and their noisy sizes, which may be negative.
        y : ignored
        size_noise : float
            Standard deviation of the noise on each size, in users.

        Raises
        ------
        ValueError
            If input is not finite or its shapes do not fit, or a threshold is
            negative.
        """
        centres, sizes = check_noisy_summary(X, sample_weight)
        self._check_thresholds(size_noise)
        groups = [[old] for old in range(len(centres))]
        while len(groups) > 1:
            pooled, totals = _pool(centres, sizes, groups)
            lacking = self._threshold(groups, size_noise) - totals
            if lacking.max() <= 0:
                break
            small = int(lacking.argmax())
            into = self._neighbour(small, pooled, totals)
            groups[into] = sorted(groups[into] + groups[small])
            del groups[small]
        groups.sort()
        self.n_features_in_ = centres.shape[1]
        self.cluster_centers_, self.sizes_ = _pool(centres, sizes, groups)
        self.size_noise_ = size_noise * np.sqrt([len(members) for members in groups])
        self.labels_ = np.empty(len(centres), dtype=np.int64)
        for label, members in enumerate(groups):
            self.labels_[members] = label
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """Return the nearest new centre of each vector: int64, shape (n,)."""
        check_is_fitted(self)
        return nearest(check_vectors(X, self.n_features_in_), self.cluster_centers_)

    def _check_thresholds(self, size_noise: float) -> None:
        """Refuse thresholds and noise that are negative or no numbers."""
        numbers = (self.least_size, self.least_sigmas, size_noise)
        if not all(np.isfinite(number) and number >= 0 for number in numbers):
            raise ValueError(
                f"least_size, least_sigmas and size_noise are {numbers}. Nothing was merged. "
                "Give finite numbers of at least 0."
            )
        if self.nearest_by not in ("ward", "centroid"):
            raise ValueError(
                f"nearest_by is {self.nearest_by!r}. Nothing was merged. "
                'Choose "ward" or "centroid".'
            )

    def _threshold(self, groups: list[list[int]], size_noise: float) -> Array:
        """Return the size that each group needs, shape (n_groups,)."""
        noise = size_noise * np.sqrt([len(members) for members in groups])
        return np.maximum(self.least_size, self.least_sigmas * noise)

    def _neighbour(self, small: int, centres: Array, totals: Array) -> int:
        """Return the group that ``small`` should join."""
        if self.nearest_by == "ward":
            weights = _weights(totals)
            costs = ward_costs(centres[small], float(weights[small]), centres, weights)
        else:
            costs = ((centres - centres[small]) ** 2).sum(axis=1)
        costs[small] = np.inf
        return int(costs.argmin())


def _weights(sizes: Array) -> Array:
    """Return positive weights for means; equal ones where the sizes are all noise."""
    positive = sizes[sizes > 0]
    if not positive.size:
        return np.ones_like(sizes)
    return np.asarray(np.maximum(sizes, LEAST_SHARE * positive.mean()))


def _pool(centres: Array, sizes: Array, groups: list[list[int]]) -> tuple[Array, Array]:
    """Return the weighted mean centre and the total noisy size of each group."""
    weights = _weights(sizes)
    pooled = [np.average(centres[members], axis=0, weights=weights[members]) for members in groups]
    return np.stack(pooled), np.array([sizes[members].sum() for members in groups])
