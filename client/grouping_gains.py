"""How well groups of people tell what each user took up last: one gain for each grouping.

earlier items  ->  the user's group  ->  ranks of the latest items  ->  mean discounted gain

Exact and private: it goes to the door and nowhere else. A user's gain depends on that user's
items and the question alone, to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.tuning import without_latest
from privacy.query import FloatArray, IntArray
from strategies.question_kinds.groupings import GroupingGains

Floats = NDArray[np.float64]


def gains_over_the_first(question: GroupingGains, last_days: csr_matrix) -> FloatArray:
    """Return by how much each grouping tells a user's latest items better than the first.

    Parameters
    ----------
    question : GroupingGains
    last_days : sparse, shape (n, n_items)
        Days since the last event on each item met.

    Returns
    -------
    float32, shape (n, groupings - 1)
    """
    earlier, latest = without_latest(last_days[:, question.places])
    gains = np.column_stack(
        [_gains(earlier, latest, lifts, question.logs) for lifts in question.lifts]
    )
    differences = gains[:, 1:] - gains[:, :1]
    differences[np.diff(earlier.indptr) == 0] = 0.0
    return differences.astype(np.float32)


def _gains(earlier: csr_matrix, latest: csr_matrix, lifts: FloatArray, logs: FloatArray) -> Floats:
    """Return each user's mean of 1 / log2(1 + rank) over the latest items: float64, shape (n,)."""
    n, m = latest.shape
    met = csr_matrix((np.ones(earlier.nnz), earlier.indices, earlier.indptr), shape=(n, m))
    groups = np.asarray(met @ lifts.T.astype(np.float64)).argmax(axis=1)
    order = np.argsort(-(lifts + logs).astype(np.float64), axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(m)[None], axis=1)
    before = np.sort(_keys(earlier, groups, places))  # by user, then by place in the list
    own = _keys(latest, groups, places)
    users = own // m
    rank = own % m - (np.searchsorted(before, own) - np.searchsorted(before, users * m))
    counts = np.bincount(users, minlength=n)
    gain = 1 / np.log2(2.0 + np.arange(m))  # a table: its length is the question's, not people's
    summed = np.bincount(users, gain[rank], minlength=n)
    return np.asarray(summed / np.maximum(counts, 1))


def _keys(met: csr_matrix, groups: IntArray, places: IntArray) -> IntArray:
    """Return, for each entry, its user's number times m plus its place in the user's list."""
    n, m = met.shape
    users = np.repeat(np.arange(n), np.diff(met.indptr))
    return np.asarray(users * m + places[groups[users], met.indices])
