"""Scores by clusters: what the user's cluster goes for, and what is close to the user's basket.

cluster map  +  what each user met  +  item vectors  ->  scores of the candidates

For maps that know no taste: nobody asked, or nothing rose above the noise.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.taste_scoring import standardised
from client.text_closeness import TextCloseness
from privacy.query import FloatArray, IntArray
from strategies.cluster_map import ClusterMap

Scores = NDArray[np.float64]

CONTENT_WEIGHT = 0.25
"""Weight of closeness beside the logarithm of the cluster's item weight."""
TYPICAL_BASKET = 5.0
"""A basket counts as so many items of the typical one and its own; steadies short histories."""
TEXT_WEIGHT = 0.1
"""Weight of closeness, standardised, where items are too many to be compared with each other."""


class ClusterScoring:
    """Scores candidates by the user's cluster and basket.

    Parameters
    ----------
    cluster_map : ClusterMap
    texts : TextCloseness
    """

    def __init__(self, cluster_map: ClusterMap, texts: TextCloseness) -> None:
        self.cluster_map = cluster_map
        self._texts = texts

    def scores(self, last_days: csr_matrix, cluster: int, candidates: IntArray) -> Scores:
        """Score candidates for users of one cluster.

        The logarithm of the cluster's weight of an item, plus
        ``CONTENT_WEIGHT`` times that of how much closer the item is to the
        user's items than to the typical basket.

        Parameters
        ----------
        last_days : sparse, shape (n, n_items)
            Stored where a user met an item.
        cluster : int
        candidates : int64, shape (c,)

        Returns
        -------
        float64, shape (n, c)
        """
        weights = self.cluster_map.item_weights[cluster, candidates]
        wanted = np.log(np.maximum(weights, 1e-12)).astype(np.float64)
        met = csr_matrix(
            (np.ones(last_days.nnz, np.float32), last_days.indices, last_days.indptr),
            shape=last_days.shape,
        )
        if not self._texts.compares_all:
            close = standardised(self._texts.of(met, candidates))
            return np.asarray(wanted + TEXT_WEIGHT * close)
        typical = self._typical[candidates]
        own = met @ self._texts.compared[:, candidates]
        basket = np.diff(met.indptr)[:, None]
        ratio = (own + TYPICAL_BASKET * typical) / ((basket + TYPICAL_BASKET) * typical)
        return np.asarray(wanted + CONTENT_WEIGHT * np.log(ratio))

    @cached_property
    def _typical(self) -> FloatArray:
        popularity = self.cluster_map.popularity
        return np.asarray(popularity / popularity.sum() @ self._texts.compared)
