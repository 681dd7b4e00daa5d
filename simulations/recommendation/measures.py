"""Ranking measures, one value for each person: means, errors and groups are made of them.

lists of one person each, what the person took up  ->  hit rate, precision, recall, F1, NDCG,
                                                       MRR, diversity, novelty
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEASURES = ("hit_rate", "precision", "recall", "f1", "ndcg", "mrr", "diversity", "novelty")


def measures(
    wanted: Bools, ranked: Ints, shares: Floats, item_vectors: FloatArray
) -> dict[str, Floats]:
    """Return each measure of each person, of binary relevance.

    Parameters
    ----------
    wanted : bool, shape (n, n_items)
        At least one in each row.
    ranked : int64, shape (n, k)
        Items, best first.
    shares : float64, shape (n_items,)
        Part of all people who met each item, above zero.
    item_vectors : float32, shape (n_items, d)

    Returns
    -------
    mapping of str to float64, shape (n,)
        By the names in ``MEASURES``. NDCG after Jarvelin and Kekalainen (2002); diversity is
        one minus the mean cosine of two items of the list; novelty the mean of -log2(share).
    """
    k = ranked.shape[1]
    hits = np.take_along_axis(wanted, ranked, axis=1)
    found, relevant = hits.sum(axis=1), wanted.sum(axis=1)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, k) - 1]
    summed = item_vectors[ranked].sum(axis=1).astype(np.float64)
    return {
        "hit_rate": (found > 0).astype(np.float64),
        "precision": found / k,
        "recall": found / relevant,
        "f1": 2 * found / (k + relevant),
        "ndcg": hits @ discounts / ideal,
        "mrr": np.where(found > 0, 1 / (hits.argmax(axis=1) + 1), 0.0),
        "diversity": 1 - (np.vecdot(summed, summed) - k) / (k * (k - 1)),
        "novelty": -np.log2(shares[ranked]).mean(axis=1),
    }
