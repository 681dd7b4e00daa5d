"""Density clustering of the private weighted summary: any number of clusters, and noise cells.

cells, weights  ->  dense cells              ->  DBSCAN   ->  clusters, noise
cells, weights  ->  scattered synthetic users  ->  HDBSCAN  ->  clusters, noise

All of it is post-processing of a release, hence free. DBSCAN takes weights;
what counts as dense is measured in cells of average weight. HDBSCAN takes
none, so it gets synthetic users. In both, more users alone change nothing.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.utils.validation import check_is_fitted

from strategies.choose_k import simplified_silhouette
from strategies.estimator_checks import check_number
from strategies.synthetic_users import (
    check_summary,
    check_vectors,
    distances,
    nearest,
    neighbour_distance,
    synthetic_users,
)

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

NOISE = -1
"""Label of cells that belong to no cluster, as in scikit-learn."""

ROUNDING = 1e-9
"""Sums of weights that should be equal differ by less, relatively."""


def core_distances(between: Array, weights: Array, core_weight: float) -> Array:
    """Return the radius within which each cell finds ``core_weight``, its own included.

    Parameters
    ----------
    between : shape (n_cells, n_cells)
        Distances.
    weights : shape (n_cells,)
    core_weight : float
        At most the sum of the weights.

    Returns
    -------
    shape (n_cells,)
    """
    order = np.argsort(between, axis=1)
    reached = np.cumsum(weights[order], axis=1) >= core_weight * (1 - ROUNDING)
    last = np.take_along_axis(order, reached.argmax(axis=1)[:, None], axis=1)
    return np.asarray(np.take_along_axis(between, last, axis=1)[:, 0])


def _cluster_means(cells: Array, weights: Array, labels: Labels) -> tuple[Array, Array]:
    """Return each cluster's weighted mean and weight, noise left out."""
    member = (labels == np.arange(labels.max() + 1)[:, None]) * weights
    sizes = member.sum(axis=1)
    return np.asarray(member @ cells / sizes[:, None]), np.asarray(sizes)


class _DensityClusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """What both have in common: what is told after fitting."""

    def _tell(self, cells: Array, weights: Array, labels: Labels) -> Self:
        """Set the attributes that follow from the labels."""
        self.n_features_in_ = cells.shape[1]
        self.cells_ = cells
        self.labels_ = labels.astype(np.int64)
        self.cluster_centers_, self.sizes_ = _cluster_means(cells, weights, self.labels_)
        self.noise_share_ = float(weights[self.labels_ == NOISE].sum() / weights.sum())
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """Return the label of each vector's nearest cell, -1 for noise: int64, shape (n,)."""
        check_is_fitted(self)
        vectors = check_vectors(X, self.n_features_in_)
        return np.asarray(self.labels_[nearest(vectors, self.cells_)], dtype=np.int64)


class SummaryDBSCAN(_DensityClusterer):
    """DBSCAN (Ester et al. 1996) over weighted cells.

    Parameters
    ----------
    eps : float, optional
        Neighbourhood radius. By default the one of ``n_eps`` between the
        median and 1.2 times the largest core distance whose clusters have the
        best simplified silhouette, noise counted as 0. If even that stays
        below ``least_silhouette`` there are no clusters to tell apart, and eps
        is the 0.9 quantile of the core distances.
    core_cells : float
        A cell is dense if so many cells of average weight lie within eps.
    n_eps : int
    least_silhouette : float

    Attributes
    ----------
    eps_ : float
    silhouette_ : float
        With noise counted as 0.
    labels_ : int64, shape (n_cells,)
        -1 for noise.
    cluster_centers_, sizes_ : shapes (n_clusters, m), (n_clusters,)
    noise_share_ : float
        Of the weight.
    """

    def __init__(
        self,
        eps: float | None = None,
        *,
        core_cells: float = 2.0,
        n_eps: int = 40,
        least_silhouette: float = 0.45,
    ) -> None:
        self.eps = eps
        self.core_cells = core_cells
        self.n_eps = n_eps
        self.least_silhouette = least_silhouette

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the dense cells and what connects them.

        Parameters
        ----------
        X, sample_weight : shapes (n_cells, m), (n_cells,)
        y : ignored

        Raises
        ------
        ValueError
            If the summary is not finite or its shapes do not fit, or a
            parameter is out of range.
        """
        cells, weights = check_summary(X, sample_weight)
        self._check_parameters()
        between = distances(cells, cells)
        core_weight = self._core_weight(weights)
        self.eps_ = (
            self._best_eps(cells, weights, between, core_weight) if self.eps is None else self.eps
        )
        labels = self._labels(between, weights / core_weight, self.eps_)
        self.silhouette_ = self._silhouette(cells, weights, labels)
        return self._tell(cells, weights, labels)

    def _check_parameters(self) -> None:
        """Refuse parameters that are out of range."""
        if self.eps is not None:
            check_number("eps", self.eps, above=0)
        check_number("core_cells", self.core_cells, above=0)
        check_number("n_eps", self.n_eps, least=1, whole=True)
        check_number("least_silhouette", self.least_silhouette, least=-1, most=1)

    def _core_weight(self, weights: Array) -> float:
        """Return the weight that makes a neighbourhood dense."""
        return min(self.core_cells * float(weights.mean()), float(weights.sum()))

    def _best_eps(self, cells: Array, weights: Array, between: Array, core_weight: float) -> float:
        """Return the radius whose clusters stand out most."""
        core = core_distances(between, weights, core_weight)
        if core.max() <= 0:
            return 1.0  # All cells are one point, whatever the radius.
        least = max(float(np.median(core)), 1e-3 * float(core.max()))
        candidates = np.geomspace(least, 1.2 * float(core.max()), self.n_eps)
        scores = [
            self._silhouette(cells, weights, self._labels(between, weights / core_weight, eps))
            for eps in candidates
        ]
        if max(scores) < self.least_silhouette:
            return max(float(np.quantile(core, 0.9)), least)
        return float(candidates[int(np.argmax(scores))])

    @staticmethod
    def _labels(between: Array, relative_weights: Array, eps: float) -> Labels:
        """Return DBSCAN's labels; a neighbourhood of relative weight 1 is dense."""
        dbscan = DBSCAN(eps=eps, min_samples=1, metric="precomputed")
        fitted = dbscan.fit(between, sample_weight=relative_weights * (1 + ROUNDING))
        return np.asarray(fitted.labels_, dtype=np.int64)

    @staticmethod
    def _silhouette(cells: Array, weights: Array, labels: Labels) -> float:
        """Return the silhouette of the clustered cells times their share of the weight."""
        kept = labels != NOISE
        if labels.max() < 1:
            return 0.0
        centres, sizes = _cluster_means(cells, weights, labels)
        value = simplified_silhouette(cells[kept], weights[kept], centres)
        return value * float(sizes.sum() / weights.sum())


class SummaryHDBSCAN(_DensityClusterer):
    """HDBSCAN (Campello, Moulavi and Sander 2013) over synthetic users of the cells.

    Each cell gets the label that most of its synthetic users got. They scatter
    round their cells by ``scatter``: with none, cells are piles of duplicates,
    any few of which make a cluster; with as much as real users have, gaps
    between clusters fill. Clusters that nearly touch are joined.

    Parameters
    ----------
    min_share : float
        Smallest cluster, as a share of the users.
    min_samples : int
        Synthetic users within the core distance.
    scatter : float
        In distances between neighbouring cells.
    n_users, random_state : int
        How many are drawn, and the seed of the draw.

    Attributes
    ----------
    labels_ : int64, shape (n_cells,)
        -1 for noise.
    probabilities_ : shape (n_cells,)
        Share of a cell's synthetic users with its label; 0 for noise.
    cluster_centers_, sizes_ : shapes (n_clusters, m), (n_clusters,)
    noise_share_ : float
        Of the weight.
    """

    def __init__(
        self,
        min_share: float = 0.02,
        *,
        min_samples: int = 5,
        scatter: float = 0.65,
        n_users: int = 2000,
        random_state: int = 0,
    ) -> None:
        self.min_share = min_share
        self.min_samples = min_samples
        self.scatter = scatter
        self.n_users = n_users
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the clusters that persist over the widest range of densities.

        Parameters and errors as for :meth:`SummaryDBSCAN.fit`.
        """
        cells, weights = check_summary(X, sample_weight)
        check_number("min_share", self.min_share, above=0, most=1)
        check_number("n_users", self.n_users, least=2, whole=True)
        check_number("min_samples", self.min_samples, least=1, most=self.n_users, whole=True)
        check_number("scatter", self.scatter, least=0)
        spread = self.scatter * neighbour_distance(cells, weights)
        rng = np.random.default_rng(self.random_state)
        users, cell = synthetic_users(cells, weights, self.n_users, spread=spread, rng=rng)
        user_labels = np.full(self.n_users, NOISE, dtype=np.int64)
        # Where all users are at one place, nothing can split into two clusters.
        if np.ptp(users, axis=0).max() > 0:
            hdbscan = HDBSCAN(
                min_cluster_size=max(2, round(self.min_share * self.n_users)),
                min_samples=self.min_samples,
                copy=True,
            )
            user_labels = np.asarray(hdbscan.fit(users).labels_, dtype=np.int64)
        labels, self.probabilities_ = _majority(user_labels, cell, len(cells))
        return self._tell(cells, weights, labels)


def _majority(user_labels: Labels, cell: Labels, n_cells: int) -> tuple[Labels, Array]:
    """Return each cell's most frequent label and its share; noise for cells without users.

    Labels are numbered anew, as a cluster may be no cell's most frequent one.
    """
    votes = np.zeros((n_cells, int(user_labels.max()) + 2))
    np.add.at(votes, (cell, user_labels), 1.0)  # Noise, -1, counts in the last column.
    winner = votes.argmax(axis=1)
    winner[(votes.sum(axis=1) == 0) | (winner == votes.shape[1] - 1)] = NOISE
    labels = np.full(n_cells, NOISE, dtype=np.int64)
    for label, old in enumerate(np.unique(winner[winner != NOISE])):
        labels[winner == old] = label
    shares = votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1.0)
    return labels, np.where(labels == NOISE, 0.0, shares)
