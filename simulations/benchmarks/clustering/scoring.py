"""K-means cost over that of the best run without privacy, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

ROWS_AT_A_TIME = 16384
STARTS = 10
MOST_ROUNDS = 60
FEWER_STARTS_FROM = 50_000
"""From so many users on, the reference is the best of 4: the starts hardly differ there."""


def cells_of(points: NDArray[np.floating], centres: NDArray[np.floating]) -> Labels:
    """Return the nearest centre of each point: int64, shape (n,)."""
    return np.concatenate([squares.argmin(axis=1) for squares in _batches(points, centres)])


def kmeans_cost(points: NDArray[np.floating], centres: NDArray[np.floating]) -> float:
    """Return the sum of squared distances to the nearest centre."""
    batches = _batches(points, np.nan_to_num(centres))
    return float(sum(np.maximum(squares.min(axis=1), 0.0).sum() for squares in batches))


def best_cost(points: NDArray[np.floating], k: int, seed: int) -> float:
    """Return the cost of scikit-learn's K-means, best of 10."""
    starts = STARTS if len(points) < FEWER_STARTS_FROM else 4
    fitted = KMeans(k, n_init=starts, max_iter=MOST_ROUNDS, random_state=seed).fit(points)
    return kmeans_cost(points, fitted.cluster_centers_)


def _batches(points: NDArray[np.floating], centres: NDArray[np.floating]) -> list[Array]:
    centres = np.asarray(centres, dtype=np.float64)
    lengths = (centres**2).sum(axis=1)
    squares = []
    for start in range(0, len(points), ROWS_AT_A_TIME):
        rows = np.asarray(points[start : start + ROWS_AT_A_TIME], dtype=np.float64)
        squares.append((rows**2).sum(axis=1)[:, None] - 2 * rows @ centres.T + lengths)
    return squares
