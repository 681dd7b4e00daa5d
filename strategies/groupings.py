"""Groups of people in a space of items, before anybody was asked: from public items, for nothing.

item vectors, popularity (released)  ->  weighted k-means of items  ->  what each group goes for

Rough, and only good enough to compare spaces by: which of them is made of what people take up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.initialization import weighted_kmeans
from strategies.labels import directions

Array = NDArray[np.float64]

STRENGTH = 0.5
"""Logarithm of the lift of an item that is one standard deviation closer than usual."""
MOST_LIFT = 1.0


def group_lifts(vectors: Array, popularity: Array, k: int, *, seed: int) -> Array:
    """Return how much more each group goes for each item: shape (k, m), logarithms.

    Parameters
    ----------
    vectors : shape (m, d)
        Of the items.
    popularity : shape (m,)
        Positive.
    k : int
        Groups; at most m.
    seed : int
    """
    usual = np.average(vectors, axis=0, weights=popularity)
    around = vectors - usual
    lengths = np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 1e-12)
    centroids = weighted_kmeans(around / lengths, popularity, k, seed=seed)
    close = directions(centroids) @ around.T
    lifts = STRENGTH * close / max(float(close.std()), 1e-12)
    return np.asarray(np.clip(lifts, -MOST_LIFT, MOST_LIFT))
