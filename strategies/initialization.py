"""Where the clustering starts: public or drawn candidates, k-means++ on the summary.

public item vectors  ->  candidates                 (cost nothing)
variances (released) ->  candidates where there is no catalogue
noisy weighted cells ->  K starting centroids       (post-processing)
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

Array = NDArray[np.float64]

N_INIT = 30
MOST_PRODUCTS = 5e6
"""Of starts, points and clusters: larger problems are tried from fewer starts, 3 at the least."""


def public_candidates(points: Array, n_candidates: int, *, longest: float, seed: int) -> Array:
    """Return centres of a public point set, none further than ``longest`` from the origin.

    Single items lie further out than people, who mix many items; so candidates
    are pulled in to where people can be.

    Parameters
    ----------
    points : shape (n_items, m)
    n_candidates : int
    longest : float
        In the unit of the points.
    seed : int

    Returns
    -------
    shape (n_candidates, m)
    """
    n_candidates = min(n_candidates, len(points))
    return _pulled_in(_kmeans(points, None, n_candidates, n_init=1, seed=seed), longest)


def public_centroids(vectors: Array, k: int, *, seed: int) -> Array:
    """Return the centroids of public vectors of shape (n_items, d), around their mean: (k, d)."""
    centred = vectors - vectors.mean(axis=0)
    return _kmeans(centred, None, k, n_init=2, seed=seed)


def drawn_candidates(variances: Array, n_candidates: int, *, longest: float, seed: int) -> Array:
    """Return points drawn from a normal distribution, none further than ``longest`` from 0.

    Parameters
    ----------
    variances : shape (m,)
        Along each dimension.

    Returns
    -------
    shape (n_candidates, m)
    """
    normal = np.random.default_rng(seed).standard_normal((n_candidates, len(variances)))
    return _pulled_in(normal * np.sqrt(variances), longest)


def _pulled_in(points: Array, longest: float) -> Array:
    norms = np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    return np.asarray(points * np.minimum(1.0, longest / norms))


def weighted_kmeans(points: Array, weights: Array, k: int, *, seed: int) -> Array:
    """Cluster weighted points by k-means++ and Lloyd (Arthur and Vassilvitskii 2007).

    Parameters
    ----------
    points : shape (cells, m)
    weights : shape (cells,)
        Positive.
    k : int
        At most the number of cells.

    Returns
    -------
    shape (k, m)
    """
    n_init = int(np.clip(MOST_PRODUCTS / (len(points) * k), 3, N_INIT))
    return _kmeans(points, weights, k, n_init=n_init, seed=seed)


def _kmeans(points: Array, weights: Array | None, k: int, *, n_init: int, seed: int) -> Array:
    """Return the centres of K-means, shape (k, m); points that coincide may leave some equal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(k, n_init=n_init, random_state=seed).fit(points, sample_weight=weights)
    return np.asarray(fitted.cluster_centers_, dtype=np.float64)
