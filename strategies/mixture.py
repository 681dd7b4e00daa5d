"""A Gaussian mixture fitted to the private weighted summary.

cells, weights  ->  synthetic users  ->  soft clusters

All of it is post-processing of a release, hence free. scikit-learn's mixture
takes no weights, so it gets synthetic users, as many from each cell as its
weight deserves.
"""

from __future__ import annotations

import warnings
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from strategies.estimator_checks import check_number
from strategies.synthetic_users import (
    check_number_of_clusters,
    check_spread,
    check_summary,
    check_vectors,
    neighbour_distance,
    synthetic_users,
)

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

LEAST_VARIANCE = 1e-3
"""Added to every variance, as a share of the users' mean variance: keeps covariances regular."""


class SummaryMixture(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian mixture, started from the weighted K-means of the cells.

    Parameters
    ----------
    n_components : int
    covariance_type : {"diag", "spherical", "tied", "full"}
        ``"full"`` has m (m + 1) / 2 numbers for each component to learn, more
        than a few cells can tell.
    n_users : int
        How many synthetic users are drawn. More than a few dozen for each cell
        only cost time.
    n_init, random_state : int
        Of the K-means; ``random_state`` seeds the draw too.

    Attributes
    ----------
    means_ : shape (n_components, m)
    covariances_ : shape depends on ``covariance_type`` as in scikit-learn
    weights_ : shape (n_components,)
        Shares of the users; they sum to 1.
    spread_ : float
        What the synthetic users were scattered by.
    labels_ : int64, shape (n_cells,)
    converged_ : bool
    """

    def __init__(
        self,
        n_components: int = 8,
        *,
        covariance_type: Literal["diag", "spherical", "tied", "full"] = "diag",
        n_users: int = 5000,
        n_init: int = 10,
        random_state: int = 0,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.n_users = n_users
        self.n_init = n_init
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        spread: float | None = None,
    ) -> Self:
        """Draw synthetic users and fit.

        Parameters
        ----------
        X, sample_weight : shapes (n_cells, m), (n_cells,)
        y : ignored
        spread : float, optional
            Released root mean square distance of users from their cell; by
            default that between neighbouring cells, which is close to it for
            cells that k-means would lay out.

        Raises
        ------
        ValueError
            If the summary is not finite or its shapes do not fit, or there are
            fewer cells than components.
        """
        cells, weights = check_summary(X, sample_weight)
        check_number_of_clusters(self.n_components, len(cells))
        check_number("n_users", self.n_users, least=max(self.n_components, 2), whole=True)
        check_number("n_init", self.n_init, least=1, whole=True)
        self.spread_ = (
            neighbour_distance(cells, weights) if spread is None else check_spread(spread)
        )
        rng = np.random.default_rng(self.random_state)
        users, _ = synthetic_users(cells, weights, self.n_users, spread=self.spread_, rng=rng)
        # Taken apart from the fit: the least variance has to follow the data's scale, and
        # variances of what lies far from the origin lose their digits.
        self._centre = users.mean(axis=0)
        self._scale = float(np.sqrt(users.var(axis=0).mean())) or 1.0
        with warnings.catch_warnings():
            # Whether it converged is told by ``converged_``.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._mixture = GaussianMixture(
                self.n_components,
                covariance_type=self.covariance_type,
                reg_covar=LEAST_VARIANCE,
                means_init=self._scaled(self._starting_means(cells, weights)),
                random_state=self.random_state,
            ).fit(self._scaled(users))
        self._tell(cells)
        return self

    def predict(self, X: ArrayLike) -> Labels:
        """Return the likeliest component of each vector: int64, shape (n,)."""
        check_is_fitted(self)
        vectors = check_vectors(X, self.n_features_in_)
        return np.asarray(self._mixture.predict(self._scaled(vectors)), dtype=np.int64)

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return how likely each vector is of each component: shape (n, n_components)."""
        check_is_fitted(self)
        vectors = check_vectors(X, self.n_features_in_)
        return np.asarray(self._mixture.predict_proba(self._scaled(vectors)), dtype=np.float64)

    def _scaled(self, vectors: Array) -> Array:
        return np.asarray((vectors - self._centre) / self._scale)

    def _starting_means(self, cells: Array, weights: Array) -> Array:
        """Return the centroids of weighted K-means, shape (n_components, m)."""
        kmeans = KMeans(self.n_components, n_init=self.n_init, random_state=self.random_state)
        fitted = kmeans.fit(cells, sample_weight=weights)
        return np.asarray(fitted.cluster_centers_, dtype=np.float64)

    def _tell(self, cells: Array) -> None:
        """Set the fitted attributes."""
        self.n_features_in_ = cells.shape[1]
        means = np.asarray(self._mixture.means_, dtype=np.float64)
        self.means_ = means * self._scale + self._centre
        covariances = np.asarray(self._mixture.covariances_, dtype=np.float64)
        self.covariances_ = covariances * self._scale**2
        self.weights_ = np.asarray(self._mixture.weights_, dtype=np.float64)
        self.converged_ = bool(self._mixture.converged_)
        self.labels_ = self.predict(cells)
