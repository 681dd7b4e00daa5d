"""Spectral clustering of the private weighted summary: clusters of any shape.

cells, weights  ->  affinities  ->  normalised cut

All of it is post-processing of a release, hence free. Affinities fall with the
square of the distance over the local scale of both cells (Zelnik-Manor and
Perona 2004); times both weights, as each cell stands for so many users at one
place.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import SpectralClustering
from sklearn.utils.validation import check_is_fitted

from strategies.estimator_checks import check_number
from strategies.synthetic_users import (
    check_number_of_clusters,
    check_summary,
    check_vectors,
    distances,
    nearest,
)

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

LEAST_AFFINITY = 1e-10
"""Keeps the graph in one piece, without a say in where it is cut."""


def weighted_affinities(cells: Array, weights: Array, n_neighbors: int) -> Array:
    """Return ``w_i w_j exp(-d_ij^2 / (s_i s_j))``, s the distance of a cell's n-th neighbour.

    Parameters
    ----------
    cells, weights : shapes (n_cells, m), (n_cells,)
    n_neighbors : int

    Returns
    -------
    shape (n_cells, n_cells)
    """
    between = distances(cells, cells)
    scale = np.sort(between, axis=1)[:, min(n_neighbors, len(cells) - 1)]
    scales = np.maximum(np.outer(scale, scale), 1e-300)
    affinities = np.maximum(np.exp(-(between**2) / scales), LEAST_AFFINITY)
    return np.asarray(affinities * np.outer(weights, weights) / weights.mean() ** 2)


class SummarySpectral(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Spectral clustering (Shi and Malik 2000) over weighted cells.

    Parameters
    ----------
    n_clusters : int
    n_neighbors : int
        The local scale of a cell is the distance of this neighbour.
    random_state : int

    Attributes
    ----------
    affinity_matrix_ : shape (n_cells, n_cells)
    labels_ : int64, shape (n_cells,)
    cells_ : shape (n_cells, m)
    """

    def __init__(self, n_clusters: int = 8, *, n_neighbors: int = 7, random_state: int = 0) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Cut the graph of the cells.

        Parameters
        ----------
        X, sample_weight : shapes (n_cells, m), (n_cells,)
        y : ignored

        Raises
        ------
        ValueError
            If the summary is not finite or its shapes do not fit, or there are
            fewer cells than clusters.
        """
        cells, weights = check_summary(X, sample_weight)
        check_number_of_clusters(self.n_clusters, len(cells))
        check_number("n_neighbors", self.n_neighbors, least=1, whole=True)
        self.n_features_in_ = cells.shape[1]
        self.cells_ = cells
        self.affinity_matrix_ = weighted_affinities(cells, weights, self.n_neighbors)
        self.labels_ = self._cut(self.affinity_matrix_)
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """Return the cluster of each vector's nearest cell: int64, shape (n,)."""
        check_is_fitted(self)
        vectors = check_vectors(X, self.n_features_in_)
        return np.asarray(self.labels_[nearest(vectors, self.cells_)], dtype=np.int64)

    def _cut(self, affinities: Array) -> Labels:
        """Return the clusters of the normalised cut, shape (n_cells,)."""
        n_cells = len(affinities)
        if not np.ptp(self.cells_, axis=0).any():
            return np.zeros(n_cells, dtype=np.int64)  # One place is one cluster.
        # The eigensolver needs fewer eigenvectors than cells.
        if self.n_clusters == n_cells:
            return np.arange(n_cells, dtype=np.int64)
        spectral = SpectralClustering(
            self.n_clusters, affinity="precomputed", random_state=self.random_state
        )
        return np.asarray(spectral.fit(affinities).labels_, dtype=np.int64)
