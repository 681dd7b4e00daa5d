"""How good recommendations are, judged by what people did afterwards: for simulations only.

Events before a moment are history, later ones the truth (a global time split).
New items and items bought before are judged apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.interest_profile import InterestProfiles
from client.recommender import Recommender
from privacy.query import FloatArray
from server.report import RankingPart, RecommendationPart, RepeatBaseline, RepeatPart

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """What everybody did before and after the moment.

    Attributes
    ----------
    before, after : bool, shape (n_users, n_items)
        Whether a user met an item in the history, and afterwards.
    popularity : float64, shape (n_items,)
        Exact numbers of users who met each item in the history: an oracle's.
    item_vectors : float32, shape (n_items, d)
    """

    before: Bools
    after: Bools
    popularity: Floats
    item_vectors: FloatArray


def truth_of(
    profiles: InterestProfiles, events: pd.DataFrame, moment: pd.Timestamp, item_vectors: FloatArray
) -> Truth:
    """Collect what the profiles' users did after ``moment``."""
    later = events[(events.timestamp >= moment) & events.user_id.isin(profiles.user_ids)]
    rows = pd.Categorical(later.user_id, categories=list(profiles.user_ids)).codes
    columns = pd.Categorical(later.item_id, categories=list(profiles.item_ids)).codes
    shape = profiles.counts.shape
    after = csr_matrix((np.ones(len(later)), (rows, columns)), shape=shape)
    before = profiles.counts.astype(bool).toarray()
    return Truth(
        before=before,
        after=after.toarray() > 0,
        popularity=before.sum(axis=0).astype(np.float64),
        item_vectors=item_vectors,
    )


def judge_new(truth: Truth, recommender: Recommender, k: int = 10) -> RecommendationPart | None:
    """Judge the ranking of items that are new for their users; None where nobody took up any.

    Only users who took up at least one new item count. The baseline is exact
    popularity among the items that the user did not have.
    """
    wanted = truth.after & ~truth.before
    users = np.flatnonzero(wanted.any(axis=1))
    if not len(users):
        return None
    ours = _top(recommender.scores_of_new(users), k)
    popular = _top(np.where(truth.before[users], -np.inf, truth.popularity), k)
    judged = _judge(truth, wanted[users], ours)
    difference = _hit(wanted[users], ours) - _hit(wanted[users], popular)
    return RecommendationPart(
        k=k,
        **judged.model_dump(),
        hit_rate_standard_error=float(
            np.sqrt(judged.hit_rate * (1 - judged.hit_rate) / len(users))
        ),
        difference_to_popularity=float(difference.mean()),
        difference_standard_error=float(difference.std() / np.sqrt(len(users))),
        n_evaluated=len(users),
        baselines={"popularity": _judge(truth, wanted[users], popular)},
    )


def judge_usuals(truth: Truth, recommender: Recommender, k: int = 10) -> RepeatPart | None:
    """Judge the ranking of items met before; None where nobody came back to anything.

    The baseline ranks all items by exact popularity.
    """
    wanted = truth.after & truth.before
    users = np.flatnonzero(wanted.any(axis=1))
    if not len(users):
        return None
    ours = _recall(wanted[users], _top(recommender.scores_of_usuals(users), k))
    everybody = np.broadcast_to(truth.popularity, (len(users), len(truth.popularity)))
    popular = _recall(wanted[users], _top(everybody, k))
    return RepeatPart(
        k=k,
        recall=float(ours.mean()),
        recall_standard_error=float(ours.std() / np.sqrt(len(users))),
        n_evaluated=len(users),
        baselines={"popularity": RepeatBaseline(recall=float(popular.mean()))},
    )


def _top(scores: Floats, k: int) -> Ints:
    """Return the k best items of each row, best first; ties go to the earlier item."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _hit(wanted: Bools, ranked: Ints) -> Floats:
    return np.asarray(np.take_along_axis(wanted, ranked, axis=1).any(axis=1), dtype=np.float64)


def _recall(wanted: Bools, ranked: Ints) -> Floats:
    hits = np.take_along_axis(wanted, ranked, axis=1).sum(axis=1)
    return np.asarray(hits / wanted.sum(axis=1))


def ranking_measures(
    wanted: Bools, ranked: Ints, popularity: Floats, n_people: int, item_vectors: FloatArray
) -> RankingPart:
    """Average the usual ranking measures over users (binary relevance).

    Parameters
    ----------
    wanted : bool, shape (n, n_items)
        At least one in each row.
    ranked : int64, shape (n, k)
        Items, best first.
    popularity : float64, shape (n_items,)
        Numbers of people who met each item, of ``n_people``.
    item_vectors : float32, shape (n_items, d)
    """
    k = ranked.shape[1]
    hits = np.take_along_axis(wanted, ranked, axis=1)
    relevant = wanted.sum(axis=1)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(relevant, k) - 1]
    first = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0)
    precision = float((hits.sum(axis=1) / k).mean())
    recall = float((hits.sum(axis=1) / relevant).mean())
    shares = np.maximum(popularity, 1) / max(n_people, 1)
    return RankingPart(
        hit_rate=float(hits.any(axis=1).mean()),
        ndcg=float((hits @ discounts / ideal).mean()),
        mrr=float(first.mean()),
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(precision + recall, 1e-12),
        coverage=len(np.unique(ranked)) / wanted.shape[1],
        diversity=_diversity(item_vectors, ranked),
        novelty=float(-np.log2(shares[ranked]).mean()),
    )


def _judge(truth: Truth, wanted: Bools, ranked: Ints) -> RankingPart:
    return ranking_measures(wanted, ranked, truth.popularity, len(truth.before), truth.item_vectors)


def _diversity(vectors: FloatArray, ranked: Ints) -> float:
    """Return one minus the mean cosine of two different items of one list."""
    k = ranked.shape[1]
    summed = vectors[ranked].sum(axis=1)
    cosines = ((summed**2).sum(axis=1) - k) / (k * (k - 1))
    return float(1 - cosines.mean())
