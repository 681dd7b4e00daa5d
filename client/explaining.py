"""Finds why items are on somebody's list: own items that speak for them, and the own cluster.

history  +  cluster map  +  item vectors  ->  a reason for each item of a list

From what is known on this machine; nothing of it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.reasons import Reason
from client.taste_scoring import recency_weighted
from privacy.query import FloatArray, IntArray
from strategies.cluster_map import ClusterMap

Scores = NDArray[np.float64]

LEAST_LIFT = 1.1
"""From here on a reason says that an item is popular in the user's own cluster."""
LEAST_COSINE = 0.5
"""From here on a reason names an own item for its text."""
NEXT_TO_IT = 0.2
"""Of what speaks most for an item by taste, a second own item has to have so much."""


class Explainer:
    """Finds the reasons for the items of a list.

    Parameters
    ----------
    cluster_map : ClusterMap
    item_vectors : float32, shape (n_items, d)
    names : tuple of str, length n_items
        Of the items, as reasons spell them.
    half_life : float
        After so many newer items one of a history says half as much.
    """

    def __init__(
        self,
        cluster_map: ClusterMap,
        item_vectors: FloatArray,
        names: tuple[str, ...],
        half_life: float,
    ) -> None:
        self._map = cluster_map
        self._taste = cluster_map.taste
        self._vectors = item_vectors
        self._names = names
        self._half_life = half_life

    def reasons(
        self,
        history: csr_matrix,
        cluster: int,
        items: IntArray,
        stated: Mapping[int, str] | None = None,
    ) -> list[Reason]:
        """Return why each item is on the list.

        Parameters
        ----------
        history : sparse, shape (1, n_items)
            Days since each own item was met.
        cluster : int
        items : int64, shape (k,)
            Of the list.
        stated : mapping of int to str, optional
            Items of the history that were not met, but stand for a stated interest.
        """
        stated = stated or {}
        own = history.indices.astype(np.int64)
        speaks = self._speaks_for(history, own, items)
        usual = np.maximum(self._map.popularity[items], 1e-12)
        lifts = self._map.item_weights[cluster, items] / usual
        return [
            Reason(
                because_of=tuple(
                    self._names[own[place]].lower() for place in best if own[place] not in stated
                ),
                interests=tuple(
                    dict.fromkeys(stated[own[place]] for place in best if own[place] in stated)
                ),
                popular_in=self._map.labels[cluster] if lift >= LEAST_LIFT else "",
            )
            for best, lift in zip(_two_best(speaks), lifts, strict=True)
        ]

    def _speaks_for(self, history: csr_matrix, own: IntArray, items: IntArray) -> Scores:
        """Return how much each own item speaks for each of the list: shape (k, n); 0: not at all.

        By taste, where anything speaks for it; else by their texts.
        """
        speaks = self._by_text(own, items)
        itself = items[:, None] == own  # what stands in for a history may be listed, too
        speaks[itself] = 0.0
        if self._taste is None or not len(own):
            return speaks
        weights = recency_weighted(history, self._half_life).data
        goes_with = self._taste.between(own, items).T * weights
        goes_with[itself] = 0.0
        most = goes_with.max(axis=1, keepdims=True)
        goes_with = np.where(goes_with >= NEXT_TO_IT * most, goes_with, 0.0)
        return np.where(most > 0, goes_with, speaks)

    def _by_text(self, own: IntArray, items: IntArray) -> Scores:
        """Return how close texts are, if the best one is close enough; the next keeps company."""
        close = (self._vectors[items] @ self._vectors[own].T).astype(np.float64)
        enough = close.max(axis=1, initial=-1.0, keepdims=True) >= LEAST_COSINE
        return np.where(enough, np.exp(close), 0.0)


def _two_best(speaks: Scores) -> list[list[int]]:
    """Return for each row the places of the two largest values above zero, largest first."""
    order = np.argsort(-speaks, axis=1, kind="stable")[:, :2]
    return [
        [int(place) for place in best if row[place] > 0]
        for row, best in zip(speaks, order, strict=True)
    ]
