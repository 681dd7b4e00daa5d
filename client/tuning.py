"""How much each view counts, chosen at home: by what the client's own users took up last.

histories without their latest item  ->  scores by each choice  ->  the choice that ranks it best

Nothing is released for it and nothing leaves: it only decides what the client shows to its own
users. A client with few users keeps the usual weights.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.interest_profile import InterestProfiles
from client.taste_scoring import Fusion, TasteScoring
from privacy.query import FloatArray, IntArray
from strategies.cluster_map import ClusterMap

MOST_USERS = 2000
"""To choose by; of more, so many are drawn."""
USERS_AT_A_TIME = 250
STANDARD_ERRORS = 1.0
"""Another choice has to be better than the usual one by so many."""
CHOICES = tuple(
    Fusion(half_life=half_life, lift=lift, cluster=cluster)
    for half_life, lift, cluster in product((8.0, 20.0, 1e9), (0.0, 1.0), (1.0, 0.0))
)


def tuned(
    profiles: InterestProfiles,
    cluster_map: ClusterMap,
    item_vectors: FloatArray,
    *,
    usual: Fusion | None = None,
    seed: int = 0,
) -> Fusion:
    """Return the choice that ranks the users' own latest items best.

    Parameters
    ----------
    profiles : InterestProfiles
    cluster_map : ClusterMap
    item_vectors : float32, shape (n_items, d)
    usual : Fusion, optional
        Kept where no other is clearly better.
    seed : int
        Which users are drawn.
    """
    usual = usual or Fusion()
    if cluster_map.taste is None:
        return usual
    several = np.flatnonzero(np.diff(profiles.last_days.indptr) > 1)
    if len(several) < 2:
        return usual
    if len(several) > MOST_USERS:
        drawn = np.random.default_rng(seed).choice(several, MOST_USERS, replace=False)
        several = np.sort(drawn)
    earlier, latest = without_latest(profiles.last_days[several])
    clusters = cluster_map.nearest(profiles.vectors[several])

    def worth(choice: Fusion) -> NDArray[np.float64]:
        return _worth(choice, earlier, latest, clusters, cluster_map, item_vectors)

    before = worth(usual)
    best, gain = usual, 0.0
    for choice in CHOICES:
        difference = worth(choice) - before
        error = STANDARD_ERRORS * difference.std() / np.sqrt(len(difference))
        if difference.mean() > max(gain, error):
            best, gain = choice, float(difference.mean())
    return best


def without_latest(last_days: csr_matrix) -> tuple[csr_matrix, IntArray]:
    """Take each user's latest item out of the history.

    Parameters
    ----------
    last_days : sparse, shape (n, n_items)
        At least one item in each row.

    Returns
    -------
    sparse, shape (n, n_items)
        The earlier ones.
    int64, shape (n,)
        The latest.
    """
    users = np.repeat(np.arange(last_days.shape[0]), np.diff(last_days.indptr))
    order = np.lexsort((last_days.indices, last_days.data, users))
    first = order[last_days.indptr[:-1]]
    kept = np.ones(last_days.nnz, dtype=bool)
    kept[first] = False
    at = (users[kept], last_days.indices[kept])
    earlier = csr_matrix((last_days.data[kept], at), shape=last_days.shape)
    return earlier, last_days.indices[first].astype(np.int64)


def _worth(
    choice: Fusion,
    earlier: csr_matrix,
    latest: IntArray,
    clusters: IntArray,
    cluster_map: ClusterMap,
    item_vectors: FloatArray,
) -> NDArray[np.float64]:
    """Return the discounted gain of each user's latest item: 1 / log2(1 + its rank)."""
    scoring = TasteScoring(cluster_map, item_vectors, choice)
    items = np.arange(len(item_vectors))
    found = np.zeros(len(latest))
    for cluster in np.unique(clusters):
        everybody = np.flatnonzero(clusters == cluster)
        for start in range(0, len(everybody), USERS_AT_A_TIME):
            some = everybody[start : start + USERS_AT_A_TIME]
            scores = scoring.scores(earlier[some], int(cluster), items)
            scores[earlier[some].nonzero()] = -np.inf
            own = np.take_along_axis(scores, latest[some, None], axis=1)
            found[some] = 1 / np.log2(2 + (scores > own).sum(axis=1))
    return found
