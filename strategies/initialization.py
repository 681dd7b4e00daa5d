"""Where the clustering starts: public or drawn candidates, k-means++ on the summary.

public item vectors  ->  candidates                 (cost nothing)
variances (released) ->  candidates where there is no catalogue
noisy weighted cells ->  K starting centroids       (post-processing)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

Array = NDArray[np.float64]

N_INIT = 30


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
    fitted = KMeans(n_candidates, n_init=1, random_state=seed).fit(points)
    return _pulled_in(np.asarray(fitted.cluster_centers_, dtype=np.float64), longest)


def public_centroids(vectors: Array, k: int, *, seed: int) -> Array:
    """Return the centroids of public vectors of shape (n_items, d), around their mean: (k, d)."""
    centred = vectors - vectors.mean(axis=0)
    fitted = KMeans(k, n_init=2, random_state=seed).fit(centred)
    return np.asarray(fitted.cluster_centers_, dtype=np.float64)


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
    fitted = KMeans(k, n_init=N_INIT, random_state=seed).fit(points, sample_weight=weights)
    return np.asarray(fitted.cluster_centers_, dtype=np.float64)
