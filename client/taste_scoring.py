"""Scores by taste: what goes with a user's latest items, what is close in text, what is popular.

recency-weighted histories  +  cluster map  +  item vectors  ->  scores of the candidates

Everything is done for many users at once, on the candidates only: a catalogue may be large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.text_closeness import TextCloseness
from privacy.query import IntArray
from privacy.row_norms import squared_norms
from strategies.cluster_map import ClusterMap
from strategies.exact_geometry import project
from strategies.fusion import Fusion
from strategies.taste import Product

Scores = NDArray[np.float64]

LARGEST_LIFT = 1.5
"""Logarithm of how much more popular than ever an item can be lately."""
LEAST_TASTE = 1e-7
"""What speaks against an item counts as if nothing spoke for it."""


class TasteScoring:
    """Scores candidates by a map that knows taste.

    Parameters
    ----------
    cluster_map : ClusterMap
    texts : TextCloseness
    fusion : Fusion
    exact : bool
        Whether a user's scores must be the same to the last bit whoever else is scored: for
        what leaves the client. Slower.

    Raises
    ------
    ValueError
        If the map knows nothing of taste.
    """

    def __init__(
        self,
        cluster_map: ClusterMap,
        texts: TextCloseness,
        fusion: Fusion | None = None,
        *,
        exact: bool = False,
    ) -> None:
        if cluster_map.taste is None:
            raise ValueError("This map knows nothing of taste.")
        self.taste = cluster_map.taste
        self.cluster_map = cluster_map
        self.fusion = fusion or Fusion()
        self._product: Product = project if exact else np.matmul
        self._texts = texts
        self._lift = np.exp(self.fusion.lift * recent_lift(cluster_map))

    def scores(self, last_days: csr_matrix, cluster: int, candidates: IntArray) -> Scores:
        """Score candidates for users of one cluster.

        What goes with the history, times how much more popular than usual an item is lately
        and in the cluster; closeness in text; and how popular an item is with everybody, lately
        and in the cluster, by its logarithm. Each is standardised.

        Parameters
        ----------
        last_days : sparse, shape (n, n_items)
            Days since each item was met.
        cluster : int
        candidates : int64, shape (c,)
            Ascending places in the catalogue.

        Returns
        -------
        float64, shape (n, c)
        """
        history = recency_weighted(last_days, self.fusion.half_life)
        liked = self._liking(history, candidates)
        np.maximum(liked, LEAST_TASTE, out=liked)
        followed = self._follow(cluster, candidates)
        liked *= followed
        close = self._texts.of(history, candidates, self._product)
        popular = np.log(followed * np.maximum(self.cluster_map.popularity[candidates], 1e-12))
        return (
            standardised(liked)
            + self.fusion.text * standardised(close)
            + self.fusion.popularity * standardised(popular[None])
        )

    def _liking(self, history: csr_matrix, candidates: IntArray) -> Scores:
        """Return how well candidates go with histories: float64, shape (n, c); 0 if not known."""
        items = self.taste.items
        place = np.minimum(np.searchsorted(candidates, items), len(candidates) - 1)
        there = candidates[place] == items
        found = np.zeros((history.shape[0], len(candidates)))
        found[:, place[there]] = self.taste.scores(history, self._product)[:, there]
        return found

    def _follow(self, cluster: int, candidates: IntArray) -> Scores:
        """Return what taste is multiplied by in a cluster: float64, shape (c,)."""
        usual = np.maximum(self.cluster_map.popularity[candidates], 1e-12)
        own = np.maximum(self.cluster_map.item_weights[cluster, candidates] / usual, 1e-12)
        return np.asarray(self._lift[candidates] * own.astype(np.float64) ** self.fusion.cluster)


def recency_weighted(last_days: csr_matrix, half_life: float) -> csr_matrix:
    """Weigh each user's items by how many newer ones there are.

    Parameters
    ----------
    last_days : sparse, shape (n, n_items)
        Days since the last event on each item; of equally late ones the earlier in the
        catalogue is the newer.
    half_life : float
        In items.

    Returns
    -------
    sparse float64, shape (n, n_items)
    """
    users = np.repeat(np.arange(last_days.shape[0]), np.diff(last_days.indptr))
    order = np.lexsort((last_days.indices, last_days.data, users))
    rank = np.empty(last_days.nnz, dtype=np.int64)
    rank[order] = np.arange(last_days.nnz) - last_days.indptr[users[order]]
    # By a table of whole blocks of 64: a power may be rounded otherwise at a row's ragged end.
    ranks = np.arange(64 * (1 + int(rank.max(initial=0)) // 64))
    weights = (0.5 ** (ranks / half_life))[rank]
    return csr_matrix((weights, last_days.indices, last_days.indptr), shape=last_days.shape)


def recent_lift(cluster_map: ClusterMap) -> Scores:
    """Return how much more popular items are lately: float64, shape (n_items,), logarithms."""
    if not cluster_map.recent_popularity.size:
        return np.zeros(len(cluster_map.popularity))
    ratio = cluster_map.recent_popularity / np.maximum(cluster_map.popularity, 1e-12)
    return np.clip(np.log(np.maximum(ratio, 1e-12)), -LARGEST_LIFT, LARGEST_LIFT)


def standardised(values: Scores) -> Scores:
    """Return each row with mean 0 and standard deviation 1; rows of one value become 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = np.sqrt(squared_norms(centred) / values.shape[1])[:, None]
    centred /= np.where(spread, spread, 1.0)
    return np.asarray(centred)
