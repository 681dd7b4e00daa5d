"""How many clusters the private weighted summary holds, if it holds a definite number.

cells, weights  ->  K-means for every K  ->  silhouette and inertia over K  ->  K

All of it is post-processing of a release, hence free: any number of K can be
tried. The silhouette is the simplified one (Hruschka, de Castro and Campello
2004), in which distances to centroids stand for mean distances to members;
``(b - a) / max(a, b)`` is then ``1 - a / b``.
"""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from strategies.estimator_checks import check_number
from strategies.synthetic_users import (
    check_summary,
    check_vectors,
    distances,
    nearest,
)

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

LEAST_BEND = 0.03
"""Distance from the chord, in shares of the ranges, that noise alone hardly reaches."""


def simplified_silhouette(cells: Array, weights: Array, centres: Array) -> float:
    """Return the weighted mean of ``1 - a / b`` over the cells; 0 for a single centre.

    Parameters
    ----------
    cells, weights : shapes (n_cells, m), (n_cells,)
    centres : shape (k, m)
    """
    if len(centres) < 2:
        return 0.0
    a, b = np.sort(distances(cells, centres), axis=1)[:, :2].T
    return float(np.average(1 - a / np.maximum(b, 1e-300), weights=weights))


def elbow(ks: Labels, inertias: Array) -> int:
    """Return the K at which the inertia lies furthest below its chord, on log-log scale.

    Quantising a population without clusters leaves an inertia in proportion to
    ``K ** (-2 / m)`` (Zador 1982): a straight line on log-log scale, and on no
    other. Only clusters bend it. The distance from the chord is that of
    Satopaa et al. (2011, "kneedle").

    Parameters
    ----------
    ks, inertias : shape (n_k,)

    Returns
    -------
    int
        The first K, where the line bends by less than ``LEAST_BEND``: no elbow.
    """
    x, y = np.log(ks), np.log(np.maximum(inertias, 1e-12 * max(inertias.max(), 1e-300)))
    if len(ks) < 3 or y[0] <= y[-1]:
        return int(ks[0])
    below = 1 - (x - x[0]) / (x[-1] - x[0]) - (y - y[-1]) / (y[0] - y[-1])
    return int(ks[below.argmax() if below.max() >= LEAST_BEND else 0])


class KSelector(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Weighted K-means with the K at which the silhouette of the cells peaks.

    K stays below a share of the cells, or the silhouette climbs again towards
    one cell per cluster. Fewer K are tried, down to K = 1 alone, where there
    are fewer cells.

    Parameters
    ----------
    k_min, k_max : int, int or None
        Range of K, as far as the cells allow it.
    n_tried : int, optional
        At most so many K of the range are tried, in equal ratios; by default all.
    cells_per_cluster : float
        K is at most the number of cells over this.
    tolerance : float
        K whose silhouettes lie so close to the peak are as good.
    least_silhouette : float
        A peak below it shows "no substantial structure" (Kaufman and
        Rousseeuw 1990, chapter 2).
    n_init, random_state : int
        Of each K-means.

    Attributes
    ----------
    ks_ : int64, shape (n_k,)
    silhouettes_ : shape (n_k,)
        Of the cells; 0 at K = 1. Higher than that of users.
    inertias_ : shape (n_k,)
        Weighted sums of squared distances.
    k_, elbow_k_ : int
        K at the peak of the silhouette, and at the elbow of the inertia (the
        first K tried where there is none).
    plateau_ : int64, shape (n_plateau,)
        All K within ``tolerance`` of the peak.
    is_sharp_ : bool
        Whether there is a definite number of clusters: the peak reaches
        ``least_silhouette``, its plateau is at most a quarter of ``k_`` wide
        (or 1) and does not touch the largest K tried, and the inertia has an
        elbow, be it elsewhere. A curve that is flat or climbs to the end
        touches the largest K.
    cluster_centers_ : shape (k_, m)
    labels_ : int64, shape (n_cells,)
    sizes_ : shape (k_,)
        Weight per cluster.
    """

    def __init__(
        self,
        k_min: int = 1,
        k_max: int | None = None,
        *,
        n_tried: int | None = None,
        cells_per_cluster: float = 5.0,
        tolerance: float = 0.02,
        least_silhouette: float = 0.25,
        n_init: int = 10,
        random_state: int = 0,
    ) -> None:
        self.k_min = k_min
        self.k_max = k_max
        self.n_tried = n_tried
        self.cells_per_cluster = cells_per_cluster
        self.tolerance = tolerance
        self.least_silhouette = least_silhouette
        self.n_init = n_init
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Cluster the cells for every K and choose.

        Parameters
        ----------
        X, sample_weight : shapes (n_cells, m), (n_cells,)
        y : ignored

        Raises
        ------
        ValueError
            If the summary is not finite or its shapes do not fit, the range of K is
            empty, or a parameter is out of range.
        """
        cells, weights = check_summary(X, sample_weight)
        self._check_parameters()
        self.n_features_in_ = cells.shape[1]
        self.ks_ = self._range(cells)
        fits = [self._kmeans(cells, weights, int(k)) for k in self.ks_]
        centres = [np.asarray(fitted.cluster_centers_, dtype=np.float64) for fitted in fits]
        self.inertias_ = np.array([fitted.inertia_ for fitted in fits])
        self.silhouettes_ = np.array(
            [simplified_silhouette(cells, weights, each) for each in centres]
        )
        best = int(self.silhouettes_.argmax())
        self.k_ = int(self.ks_[best])
        self.elbow_k_ = elbow(self.ks_, self.inertias_)
        self.plateau_ = self.ks_[self.silhouettes_ >= self.silhouettes_[best] - self.tolerance]
        self.is_sharp_ = self._is_sharp(float(self.silhouettes_[best]))
        self.cluster_centers_ = centres[best]
        self.labels_ = self.predict(cells)
        self.sizes_ = np.bincount(self.labels_, weights, minlength=self.k_)
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """Return the nearest cluster of each vector: int64, shape (n,)."""
        check_is_fitted(self)
        return nearest(check_vectors(X, self.n_features_in_), self.cluster_centers_)

    def _check_parameters(self) -> None:
        """Refuse parameters that are out of range."""
        check_number("k_min", self.k_min, whole=True)
        if self.k_max is not None:
            check_number("k_max", self.k_max, whole=True)
        if self.n_tried is not None:
            check_number("n_tried", self.n_tried, least=1, whole=True)
        check_number("cells_per_cluster", self.cells_per_cluster, above=0)
        check_number("tolerance", self.tolerance, least=0)
        check_number("least_silhouette", self.least_silhouette, least=-1, most=1)
        check_number("n_init", self.n_init, least=1, whole=True)

    def _range(self, cells: Array) -> Labels:
        """Return the K to try: those asked for, as far as there are cells for them."""
        if self.k_min < 1 or (self.k_max is not None and self.k_max < self.k_min):
            raise ValueError(
                f"K from {self.k_min} to {self.k_max} is no range. Nothing was fitted. "
                "Ask for k_min of at least 1 and k_max of at least k_min."
            )
        distinct = len(np.unique(cells, axis=0))
        bound = min(int(len(cells) / self.cells_per_cluster), distinct)
        largest = max(bound if self.k_max is None else min(self.k_max, bound), 1)
        least = min(self.k_min, largest)
        if self.n_tried is None or largest - least < self.n_tried:
            return np.arange(least, largest + 1, dtype=np.int64)
        return np.unique(np.geomspace(least, largest, self.n_tried).round().astype(np.int64))

    def _kmeans(self, cells: Array, weights: Array, k: int) -> KMeans:
        """Return weighted K-means, fitted."""
        with warnings.catch_warnings():
            # Cells that all but coincide leave clusters empty; the curve shows it.
            warnings.simplefilter("ignore", ConvergenceWarning)
            kmeans = KMeans(k, n_init=self.n_init, random_state=self.random_state)
            return kmeans.fit(cells, sample_weight=weights)

    def _is_sharp(self, peak: float) -> bool:
        """Tell whether the peak is high, narrow and not at the end, and the inertia bends."""
        first, last = self.plateau_[0], self.plateau_[-1]
        narrow = last - first <= max(1.0, self.k_ / 4)
        # Where the range starts at K itself, no inertia is known that could bend there.
        bends = self.elbow_k_ > self.ks_[0] or self.k_ == self.ks_[0]
        return bool(peak >= self.least_silhouette and narrow and last < self.ks_[-1] and bends)
