"""How a user's own latest items would have been ranked: by popularity, and by each option.

histories without their latest tenth  ->  exact scores  ->  ranks of what was taken out
                                      ->  hits, discounted gains: one row per user

What a user gets here depends on that user alone, to the last bit: scores come from exact
products, sums along the user's own row and steps on single numbers; of equally good items the
earlier in the catalogue ranks first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.candidates import Candidates
from client.taste_scoring import TasteScoring
from client.text_closeness import TextCloseness
from client.tuning import without_latest
from privacy.query import FloatArray, IntArray
from strategies.fusion import Fusion
from strategies.question_kinds.votes import MOST_CHANGE, USERS_WEIGHT, K
from strategies.questions import ListVotes

Doubles = NDArray[np.float64]

USERS_AT_A_TIME = 250


def list_votes(
    question: ListVotes, vectors: FloatArray, last_days: csr_matrix, item_vectors: FloatArray
) -> dict[str, FloatArray]:
    """Return what each user adds to each block.

    Parameters
    ----------
    question : ListVotes
    vectors : float32, shape (n, d)
    last_days : sparse, shape (n, n_items)
    item_vectors : float32, shape (n_items, d)

    Returns
    -------
    mapping of str to float32, shape (n, width)
        Zeros for who has met fewer than two items.
    """
    several = np.flatnonzero(np.diff(last_days.indptr) > 1)
    earlier, latest = without_latest(last_days[several].sorted_indices())
    popular = _by_popularity(question, earlier, latest)
    if question.cluster_map.taste is None:
        ranks = [popular] * len(question.options)
    else:
        clusters = question.cluster_map.clusters_of(vectors[several], last_days[several])
        ranks = _by_options(question, clusters, earlier, latest, item_vectors)
    gain = 1 / np.log2(2.0 + np.arange(question.n_items + 1))
    gains = [_mean_of_user(gain[one], latest) for one in ranks]
    hits = [_mean_of_user((one < K).astype(np.float64), latest) for one in (popular, ranks[0])]
    changes = [(one - gains[0]) / MOST_CHANGE for one in gains[1:]]
    rows = {
        "users": [np.full(len(several), USERS_WEIGHT)],
        "hits": hits,
        "votes": changes,
    }
    return {name: _of_everybody(columns, several, len(vectors)) for name, columns in rows.items()}


def _by_popularity(question: ListVotes, earlier: csr_matrix, latest: csr_matrix) -> IntArray:
    """Return ranks from 0 of what was taken out, among what is left: shape (latest.nnz,)."""
    n_items = question.n_items
    place = np.empty(n_items, dtype=np.int64)
    place[np.argsort(-question.cluster_map.popularity, kind="stable")] = np.arange(n_items)
    users = _users_of(latest)
    met = np.sort(_users_of(earlier) * n_items + place[earlier.indices])
    wanted = place[latest.indices]
    ahead = np.searchsorted(met, users * n_items + wanted) - earlier.indptr[users]
    return np.asarray(wanted - ahead, dtype=np.int64)


def _by_options(
    question: ListVotes,
    clusters: IntArray,
    earlier: csr_matrix,
    latest: csr_matrix,
    item_vectors: FloatArray,
) -> list[IntArray]:
    """Return the same ranks by each option, from a map with taste."""
    pushed = question.cluster_map
    texts = TextCloseness(item_vectors)
    scorings = [TasteScoring(pushed, texts, Fusion.of(row), exact=True) for row in question.options]
    candidates = Candidates(pushed)
    found = [np.zeros(latest.nnz, dtype=np.int64) for _ in scorings]
    for cluster in np.unique(clusters):
        items = candidates.of(int(cluster))
        of_cluster = np.flatnonzero(clusters == cluster)
        for start in range(0, len(of_cluster), USERS_AT_A_TIME):
            some = of_cluster[start : start + USERS_AT_A_TIME]
            past, wanted, entries = earlier[some], latest[some], _entries(latest, some)
            for ranks, scoring in zip(found, scorings, strict=True):
                scores = scoring.scores(past, int(cluster), items)
                ranks[entries] = _ranks(scores, items, past, wanted)
    return found


def _ranks(scores: Doubles, items: IntArray, past: csr_matrix, wanted: csr_matrix) -> IntArray:
    """Rank wanted items among candidates that a user has not met.

    Parameters
    ----------
    scores : float64, shape (n, c)
        Changed in place.
    items : int64, shape (c,)
        The candidates, ascending places in the catalogue.
    past, wanted : sparse, shape (n, n_items)

    Returns
    -------
    int64, shape (wanted.nnz,)
        From 0; the number of items in the catalogue for what is no candidate.
    """
    scores[~np.isfinite(scores)] = -np.inf  # what a map cannot score comes last, not first
    users, place, known = _places(past, items)
    scores[users[known], place[known]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(items))[None], axis=1)
    users, place, known = _places(wanted, items)
    return np.where(known, rank[users, place], wanted.shape[1])


def _places(met: csr_matrix, items: IntArray) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
    """Return of each entry its row, its place among the items, and whether it is one of them."""
    users = _users_of(met)
    place = np.minimum(np.searchsorted(items, met.indices), len(items) - 1)
    return users, place, items[place] == met.indices


def _entries(matrix: csr_matrix, rows: IntArray) -> IntArray:
    """Return where the entries of some rows are stored, row after row."""
    spans = zip(matrix.indptr[rows], matrix.indptr[rows + 1], strict=True)
    found = [np.arange(start, end) for start, end in spans]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _mean_of_user(values: Doubles, latest: csr_matrix) -> Doubles:
    """Return each user's mean over what was taken out: float64, shape (n,)."""
    counts = np.diff(latest.indptr)
    return np.asarray(np.bincount(_users_of(latest), values, latest.shape[0]) / counts)


def _users_of(met: csr_matrix) -> IntArray:
    """Return the row of each entry: int64, shape (met.nnz,)."""
    return np.repeat(np.arange(met.shape[0], dtype=np.int64), np.diff(met.indptr))


def _of_everybody(columns: list[Doubles], users: IntArray, n: int) -> FloatArray:
    rows = np.zeros((n, len(columns)), np.float32)
    rows[users] = np.stack(columns, axis=1)
    return rows
