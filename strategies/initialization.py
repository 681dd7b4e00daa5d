"""Where the clustering starts: public directions, public candidates, k-means++ on the summary.

public item vectors  ->  basis, candidates          (cost nothing)
noisy weighted cells ->  K starting centroids       (post-processing)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

Array = NDArray[np.float64]

N_INIT = 10


def public_basis(vectors: Array, m: int) -> Array:
    """Return the first ``m`` principal directions of public vectors.

    Parameters
    ----------
    vectors : shape (n_items, d)
    m : int
        At most min(n_items, d).

    Returns
    -------
    shape (d, m)
        Orthonormal columns.
    """
    _, _, right = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    return np.asarray(right[:m].T)


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
    centres = np.asarray(fitted.cluster_centers_, dtype=np.float64)
    norms = np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return np.asarray(centres * np.minimum(1.0, longest / norms))


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
