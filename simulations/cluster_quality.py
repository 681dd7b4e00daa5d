"""How good centroids are, judged against everybody's exact vectors: for simulations only."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from privacy.query import FloatArray
from strategies.exact_geometry import squared_distances

N_INIT = 10


def kmeans_cost(vectors: FloatArray, centroids: FloatArray) -> float:
    """Return the K-means cost: the sum of squared distances to the nearest centroid."""
    return float(squared_distances(vectors, centroids).min(axis=1).sum())


def normalized_costs(vectors: FloatArray, centroids: FloatArray, seed: int) -> tuple[float, float]:
    """Return the cost of ``centroids`` and of one exact mean, over non-private Lloyd's.

    Parameters
    ----------
    vectors : float32, shape (n_users, d)
    centroids : float32, shape (k, d)
    seed : int
        Of the reference: scikit-learn's K-means, best of 10.
    """
    reference = KMeans(len(centroids), n_init=N_INIT, random_state=seed).fit(vectors)
    best = kmeans_cost(vectors, reference.cluster_centers_)
    mean = np.asarray(vectors.mean(axis=0, keepdims=True), dtype=np.float32)
    return kmeans_cost(vectors, centroids) / best, kmeans_cost(vectors, mean) / best
