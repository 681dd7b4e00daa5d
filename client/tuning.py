"""How much each view counts, chosen at home: by what the client's own users took up last.

histories without the items met latest  ->  scores by each choice  ->  the choice that ranks it best

Nothing is released for it and nothing leaves: it only decides what the client shows to its own
users. A client with few users, such as a device, keeps the usual weights: those that users have
voted for, where a run has asked them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.interest_profile import InterestProfiles
from client.taste_scoring import TasteScoring
from client.text_closeness import TextCloseness
from privacy.query import FloatArray, IntArray
from strategies.cluster_map import ClusterMap
from strategies.fusion import CLUSTERS, HALF_LIVES, Fusion

MOST_USERS = 2000
"""To choose by; of more, so many are drawn."""
USERS_AT_A_TIME = 250
LATEST = 0.1
"""Part of a user's items, at least one, that is taken out: one alone would favour what is
popular this very day."""
FEWEST_USERS = 20
"""To choose by; what fewer took up, such as a device's one user, tells hardly anything."""
STANDARD_ERRORS = 1.0
"""Another choice has to be better than the usual one by so many."""
TEXTS = (0.0, 0.3, 1.0)
POPULARITIES = (0.0, 1.0)
"""Beside the usual weights; not voted on."""


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
        Left out, :func:`usual_fusion`. Kept where no other is clearly better; ``lift`` is kept
        in any case. What is popular lately was released from the very items that would judge
        it: it looks good at home whether or not the trend will last.
    seed : int
        Which users are drawn.
    """
    usual = usual or usual_fusion(cluster_map)
    if cluster_map.taste is None:
        return usual
    several = np.flatnonzero(np.diff(profiles.last_days.indptr) > 1)
    if len(several) < FEWEST_USERS:
        return usual
    if len(several) > MOST_USERS:
        drawn = np.random.default_rng(seed).choice(several, MOST_USERS, replace=False)
        several = np.sort(drawn)
    # By when they were met first: what is bought again tells nothing of what will be new.
    earlier, latest = without_latest(profiles.last_days[several], by=profiles.first_days[several])
    clusters = cluster_map.clusters_of(profiles.vectors[several], profiles.last_days[several])

    texts = TextCloseness(item_vectors)

    def worth(choice: Fusion) -> NDArray[np.float64]:
        return _worth(choice, earlier, latest, clusters, cluster_map, texts)

    memories = [
        replace(usual, half_life=half_life, cluster=cluster)
        for half_life, cluster in product(HALF_LIVES, CLUSTERS)
    ]
    best = _best(usual, memories, worth)
    best = _best(best, [replace(best, text=text) for text in TEXTS], worth)
    return _best(best, [replace(best, popularity=weight) for weight in POPULARITIES], worth)


def _best(
    usual: Fusion, choices: Sequence[Fusion], worth: Callable[[Fusion], NDArray[np.float64]]
) -> Fusion:
    """Return the choice that is worth most, if it is clearly worth more than the usual one."""
    before = worth(usual)
    best, gain = usual, 0.0
    for choice in choices:
        difference = worth(choice) - before
        error = STANDARD_ERRORS * difference.std() / np.sqrt(len(difference))
        if difference.mean() > max(gain, error):
            best, gain = choice, float(difference.mean())
    return best


def usual_fusion(cluster_map: ClusterMap, lift: float = 0.0) -> Fusion:
    """Return what users have voted for, or else the default; ``lift`` is the operator's."""
    return replace(cluster_map.voted or Fusion(), lift=lift)


def without_latest(
    last_days: csr_matrix, part: float = LATEST, *, by: csr_matrix | None = None
) -> tuple[csr_matrix, csr_matrix]:
    """Take each user's latest items out of the history.

    Parameters
    ----------
    last_days : sparse, shape (n, n_items)
        At least one item in each row.
    part : float
        Of a user's items, rounded down; at least one is taken out.
    by : sparse, shape (n, n_items), optional
        Other days to tell the latest by, at the same places.

    Returns
    -------
    earlier, latest : sparse, shape (n, n_items)
    """
    counts = np.diff(last_days.indptr)
    users = np.repeat(np.arange(last_days.shape[0]), counts)
    days = last_days.data if by is None else by.data
    order = np.lexsort((last_days.indices, days, users))
    place = np.arange(last_days.nnz) - last_days.indptr[users]
    is_latest = np.zeros(last_days.nnz, dtype=bool)
    is_latest[order] = place < np.maximum(1, (counts * part).astype(np.int64))[users]
    return _only(last_days, users, ~is_latest), _only(last_days, users, is_latest)


def _only(days: csr_matrix, users: IntArray, kept: NDArray[np.bool_]) -> csr_matrix:
    return csr_matrix((days.data[kept], (users[kept], days.indices[kept])), shape=days.shape)


def _worth(
    choice: Fusion,
    earlier: csr_matrix,
    latest: csr_matrix,
    clusters: IntArray,
    cluster_map: ClusterMap,
    texts: TextCloseness,
) -> NDArray[np.float64]:
    """Return the mean discounted gain of each user's latest items: 1 / log2(1 + rank)."""
    scoring = TasteScoring(cluster_map, texts, choice)
    items = np.arange(latest.shape[1])
    found = np.zeros(latest.shape[0])
    for cluster in np.unique(clusters):
        everybody = np.flatnonzero(clusters == cluster)
        for start in range(0, len(everybody), USERS_AT_A_TIME):
            some = everybody[start : start + USERS_AT_A_TIME]
            past = earlier[some]
            scores = scoring.scores(past, int(cluster), items)
            scores[np.repeat(np.arange(len(some)), np.diff(past.indptr)), past.indices] = -np.inf
            order = np.argsort(-scores, axis=1)
            rank = np.empty_like(order)
            np.put_along_axis(rank, order, np.arange(len(items))[None], axis=1)
            wanted = latest[some]  # by what is stored: of an item met just now it is 0 days
            counts = np.diff(wanted.indptr)
            users = np.repeat(np.arange(len(some)), counts)
            gains = 1 / np.log2(2 + rank[users, wanted.indices])
            found[some] = np.bincount(users, gains, len(some)) / counts
    return found
