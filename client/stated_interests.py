"""Somebody new says what they are interested in: a history before there is any.

stated interests (vectors)  ->  well-known items close to each  ->  as if they were met lately

So everything that knows what to do with a history knows what to do with somebody new; as real
items come, they are the newer ones and count more.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from privacy.query import FloatArray

NEAR = 20
"""So many items are close to an interest."""
WELL_KNOWN = 3
"""So many of those, the most popular ones, stand for it."""


def as_history(
    interests: FloatArray, item_vectors: FloatArray, popularity: FloatArray
) -> csr_matrix:
    """Return a history that stands for stated interests.

    Parameters
    ----------
    interests : float32, shape (m, d)
        Unit vectors in the space of the items'.
    item_vectors : float32, shape (n_items, d)
    popularity : float32, shape (n_items,)
        Released.

    Returns
    -------
    sparse float64, shape (1, n_items)
        Days since each item was met; the first interests' are the latest.
    """
    days: dict[int, float] = {}
    close = interests @ item_vectors.T
    for row in close:
        near = np.argsort(-row, kind="stable")[:NEAR]
        known = near[np.argsort(-popularity[near], kind="stable")[:WELL_KNOWN]]
        for place, item in enumerate(known.tolist()):
            days.setdefault(item, float(place))
    items = sorted(days)
    shape = (1, len(item_vectors))
    return csr_matrix(([days[item] for item in items], ([0] * len(items), items)), shape=shape)
