"""Interests of interests: a weighted Ward tree over cluster centres, cut at a few levels.

centres, noisy sizes (released)  ->  merges  ->  levels, coarse to fine

All of it is post-processing of a release, hence free. Ward (1963) merges the
two clusters whose union raises the within-cluster sum of squares least, by

    n_a n_b / (n_a + n_b) * |c_a - c_b|^2

with n the number of users, so that two small interests meet before two large
ones equally far apart do. ``scipy.cluster.hierarchy.linkage`` takes every
centre as one user.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from strategies.synthetic_users import (
    check_number_of_clusters,
    check_summary,
    check_vectors,
    nearest,
)

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

COARSE_RANGE = 1.5
"""The coarse level has between sqrt(k) over and times this many clusters."""


def ward_costs(centre: Array, size: float, centres: Array, sizes: Array) -> Array:
    """Return what merging one cluster with each of the others adds to the sum of squares.

    Parameters
    ----------
    centre, size : shape (m,), float
    centres, sizes : shapes (k, m), (k,)
        Sizes positive.

    Returns
    -------
    shape (k,)
    """
    squares = ((centres - centre) ** 2).sum(axis=1)
    return np.asarray(size * sizes / (size + sizes) * squares)


def ward_merges(centres: Array, sizes: Array) -> Array:
    """Merge the cheapest pair until one cluster is left.

    Parameters
    ----------
    centres, sizes : shapes (k, m), (k,)
        Sizes positive.

    Returns
    -------
    shape (k - 1, 4)
        As from ``scipy.cluster.hierarchy.linkage``: two nodes, the height
        ``sqrt(2 * cost)``, the number of leaves. Node k + i is the union that
        row i makes.
    """
    k = len(centres)
    # Each union takes the place of its first member; the second one's is closed.
    places, weights = centres.copy(), sizes.copy()
    nodes, leaves = np.arange(k), np.ones(k, dtype=np.int64)
    costs = np.stack([ward_costs(places[i], weights[i], places, weights) for i in range(k)])
    np.fill_diagonal(costs, np.inf)
    merges = np.zeros((k - 1, 4))
    for row in range(k - 1):
        a, b = sorted(int(i) for i in np.unravel_index(costs.argmin(), costs.shape))
        leaves[a] += leaves[b]
        merges[row] = [*sorted((nodes[a], nodes[b])), np.sqrt(2 * costs[a, b]), leaves[a]]
        places[a] = np.average(places[[a, b]], axis=0, weights=weights[[a, b]])
        weights[a] += weights[b]
        nodes[a] = k + row
        closed = np.isinf(costs[a])
        costs[b, :] = costs[:, b] = np.inf
        fresh = ward_costs(places[a], weights[a], places, weights)
        fresh[closed | (np.arange(k) == b)] = np.inf
        costs[a, :] = costs[:, a] = fresh
    return merges


class InterestHierarchy(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """A tree of clusters over k given ones.

    Parameters
    ----------
    levels : sequence of int, optional
        Numbers of clusters at the levels above the leaves. By default one
        level of about sqrt(k): the number within a factor of 1.5 of it whose
        cut is clearest, by the ratio of the next merge's height to the last
        one's. None below 4 leaves, or where all of them coincide.

    Attributes
    ----------
    cluster_centers_, sizes_ : shapes (k, m), (k,)
        The leaves; sizes at or below zero raised to a small positive floor.
    merges_ : shape (k - 1, 4)
        See :func:`ward_merges`.
    levels_ : tuple of int
        Numbers of clusters, coarse to fine; the last is k.
    parents_ : list of int64 arrays
        ``parents_[i][j]`` is the cluster of level i that holds cluster j of
        level i + 1; one array fewer than levels.
    labels_ : int64, shape (k,)
        The leaves' clusters at the coarsest level.
    """

    def __init__(self, levels: Sequence[int] | None = None) -> None:
        self.levels = levels

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Build the tree.

        Parameters
        ----------
        X, sample_weight : shapes (k, m), (k,)
            Cluster centres and their noisy sizes.
        y : ignored

        Raises
        ------
        ValueError
            If input is not finite or its shapes do not fit, or a level has
            more clusters than there are leaves.
        """
        self.cluster_centers_, self.sizes_ = check_summary(X, sample_weight)
        k = len(self.cluster_centers_)
        self.n_features_in_ = self.cluster_centers_.shape[1]
        for wanted in () if self.levels is None else self.levels:
            check_number_of_clusters(wanted, k)
        self.merges_ = ward_merges(self.cluster_centers_, self.sizes_)
        coarse = self._coarse_levels() if self.levels is None else self.levels
        self.levels_ = tuple(sorted({*(int(level) for level in coarse), k}))
        at = [self.labels_at(level) for level in self.levels_]
        self.parents_ = [
            upper[np.unique(lower, return_index=True)[1]] for upper, lower in pairwise(at)
        ]
        self.labels_ = at[0]
        return self

    def labels_at(self, n_clusters: int) -> Labels:
        """Return the cluster of each leaf when the tree is cut into ``n_clusters``.

        Returns
        -------
        int64, shape (k,)
            Numbered in the order of their first leaves, so k clusters are the
            leaves themselves. A finer cut only ever splits a coarser one.

        Raises
        ------
        ValueError
            If there are fewer leaves.
        """
        check_is_fitted(self)
        k = len(self.cluster_centers_)
        check_number_of_clusters(n_clusters, k)
        groups = {leaf: [leaf] for leaf in range(k)}
        for row in range(k - n_clusters):
            a, b = (int(node) for node in self.merges_[row, :2])
            groups[k + row] = sorted(groups.pop(a) + groups.pop(b))
        labels = np.empty(k, dtype=np.int64)
        for label, members in enumerate(sorted(groups.values())):
            labels[members] = label
        return labels

    def predict(self, X: ArrayLike) -> Labels:
        """Return each vector's cluster at the coarsest level, through its nearest leaf."""
        check_is_fitted(self)
        vectors = check_vectors(X, self.n_features_in_)
        return np.asarray(self.labels_[nearest(vectors, self.cluster_centers_)], dtype=np.int64)

    def _coarse_levels(self) -> Sequence[int]:
        """Return the clearest cut of about sqrt(k) clusters, if there is any above the leaves."""
        k = len(self.cluster_centers_)
        least = max(2, int(np.ceil(np.sqrt(k) / COARSE_RANGE)))
        most = min(k - 1, int(np.sqrt(k) * COARSE_RANGE))
        heights = self.merges_[:, 2]
        if k < 4 or least > most or not heights[-1] > 0:
            return ()
        # Cutting into n clusters leaves out the last n - 1 merges.
        cuts = np.arange(least, most + 1)
        clearness = heights[k - cuts] / np.maximum(heights[k - cuts - 1], 1e-300)
        return (int(cuts[clearness.argmax()]),)
