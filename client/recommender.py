"""Recommendations made at home, from public items, the cluster map and the user's own history.

usuals       the user's own decayed habits; nothing was released for them
new for you  what goes with the user's latest items, where the map knows taste;
             else what the own cluster goes for, and is close to the own basket

No network, and nothing here leaves the client.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.candidates import Candidates
from client.cluster_scoring import ClusterScoring
from client.errors import RecommendationError
from client.explaining import Explainer
from client.interest_profile import InterestProfiles
from client.reasons import Habit, Language, Reason
from client.reranking import ListRules, pick
from client.stated_interests import StatedInterests, with_stand_ins
from client.taste_scoring import TasteScoring
from client.text_closeness import TextCloseness
from client.tuning import usual_fusion
from privacy.query import FloatArray, IntArray
from strategies.cluster_map import ClusterMap
from strategies.fusion import Fusion

Scores = NDArray[np.float64]

USERS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One item for one user, and why.

    Attributes
    ----------
    item_id : str
    score : float
        Only its order means something.
    reason : str
        In plain words, from what is known on this machine.
    kind : str
        Of the reason: ``habit``, ``own-items``, ``cluster`` or ``everybody``.
    """

    item_id: str
    score: float
    reason: str
    kind: str


def _best_places(scores: Scores, width: int) -> IntArray:
    """Return where the best of each row are, ascending; of equal ones the earlier: (n, width)."""
    if not width:
        return np.zeros((len(scores), 0), dtype=np.int64)
    worth = np.where(np.isnan(scores), -np.inf, scores)
    least = np.partition(worth, -width, axis=1)[:, -width][:, None]
    better, equal = worth > least, worth == least
    equal &= np.cumsum(equal, axis=1) <= width - better.sum(axis=1, keepdims=True)
    return np.nonzero(better | equal)[1].reshape(len(scores), width)


class Recommender:
    """Ranks items for the users of one client.

    Parameters
    ----------
    profiles : InterestProfiles
        The client's users.
    item_vectors : float32, shape (n_items, d)
    cluster_map : ClusterMap
        As pushed back by the server.
    events : DataFrame
        The users' events, for the reasons.
    categories : tuple of str, length n_items, optional
        Paths such as ``GROCERY > BAKING``, for rules about them.
    ages : float64, shape (n_items,), optional
        For how many days items can be had, for rules about freshness; nan where not known.
    fusion : Fusion, optional
        How much each view counts where the map knows taste; left out, what was voted for.
    language : Language
        Of the reasons.

    Raises
    ------
    RecommendationError
        If the map is about other items.
    """

    def __init__(
        self,
        profiles: InterestProfiles,
        item_vectors: FloatArray,
        cluster_map: ClusterMap,
        events: pd.DataFrame,
        *,
        categories: tuple[str, ...] | None = None,
        ages: NDArray[np.float64] | None = None,
        fusion: Fusion | None = None,
        language: Language = Language.ENGLISH,
    ) -> None:
        if cluster_map.item_weights.shape[1] != len(profiles.item_ids):
            raise RecommendationError(
                f"The cluster map is about {cluster_map.item_weights.shape[1]} items, the "
                f"catalogue has {len(profiles.item_ids)}. Nothing was recommended. "
                "Wait for the map of a run with this catalogue."
            )
        self.profiles = profiles
        self.item_vectors = item_vectors
        self.cluster_map = cluster_map
        self.events = events
        self.categories = categories or ("",) * len(profiles.item_ids)
        self.ages = ages
        self.fusion = fusion or usual_fusion(cluster_map)
        self.language = language
        self.clusters = cluster_map.clusters_of(profiles.vectors, profiles.last_days)
        self._popularity_only = False
        self._candidates = Candidates(cluster_map, ages)
        self._texts = TextCloseness(item_vectors, np.flatnonzero(cluster_map.taste_weights))
        self._by_clusters = ClusterScoring(cluster_map, self._texts)
        self._explainer = self._explainer_with(self.fusion)
        self._by_taste = None
        if cluster_map.taste is not None:
            self._by_taste = TasteScoring(cluster_map, self._texts, self.fusion)

    def weighing(self, fusion: Fusion, *, popularity_only: bool = False) -> Recommender:
        """Return one for the same users that weighs the views otherwise.

        Parameters
        ----------
        fusion : Fusion
        popularity_only : bool
            Whether everybody gets what is popular, instead.
        """
        other = copy(self)
        other.fusion = fusion
        other._popularity_only = popularity_only
        other._explainer = self._explainer_with(fusion)
        if self._by_taste is not None:
            other._by_taste = TasteScoring(self.cluster_map, self._texts, fusion)
        return other

    def scores_of_new(self, rows: NDArray[np.int64]) -> Scores:
        """Score every item for the given users.

        Items that they met before, and those that are no candidates, get minus infinity.

        Parameters
        ----------
        rows : int64, shape (n,)
            Users by their row in the profiles.

        Returns
        -------
        float64, shape (n, n_items)
        """
        found = np.full((len(rows), len(self.profiles.item_ids)), -np.inf)
        for places, items, scores in self._scored(rows):
            found[np.ix_(places, items)] = scores
        return found

    def scores_of_usuals(self, rows: NDArray[np.int64]) -> Scores:
        """Score every item by the users' own habits: float64, shape (n, n_items); zero if new."""
        return np.asarray(self.profiles.habits[rows].toarray())

    def usuals(self, user_id: str, count: int = 10) -> list[Recommendation]:
        """Return what the user is likely to want again; empty for somebody new."""
        row = self._row(user_id)
        if row is None:
            return []
        scores = self.scores_of_usuals(np.array([row]))[0]
        best = [int(item) for item in np.argsort(-scores, kind="stable")[:count]]
        return [
            self._recommend(item, scores[item], self._habit(user_id, item))
            for item in best
            if scores[item] > 0
        ]

    def new_for(
        self,
        user_id: str,
        count: int = 10,
        rules: ListRules | None = None,
        interests: StatedInterests | None = None,
    ) -> list[Recommendation]:
        """Return what the user has not met yet.

        Stated interests count beside what was met, the less the more of that there is. Somebody
        new without any gets what is popular.
        """
        row = self._row(user_id)
        stated = self._stand_ins(row, interests)
        if row is None and not stated:
            return self._popular(count, rules or ListRules())
        met = csr_matrix((1, len(self.profiles.item_ids)))
        if row is not None:
            met = self.profiles.last_days[row]
        history = with_stand_ins(met, list(stated)) if stated else met
        cluster = self._cluster_of(row, history, interests)
        items = self._candidates.of(cluster)
        # What stands for an interest was never met: it may well be on the list.
        scores = _without(self._worth(history, cluster, items), met, items)[0]
        best = self._pick(scores, items, count, rules or ListRules())
        found = scores[np.searchsorted(items, best)]
        return self._explained(history, cluster, best, found, stated)

    def of_cluster(
        self, cluster: int, count: int = 10, rules: ListRules | None = None
    ) -> list[Recommendation]:
        """Return what a cluster goes for: a segment's list, about nobody in particular."""
        weights = self.cluster_map.item_weights[cluster].astype(np.float64)
        best = self._pick(weights, np.arange(len(weights)), count, rules or ListRules())
        nobody = csr_matrix((1, len(weights)))
        return self._explained(nobody, cluster, best, weights[best])

    def best_new(
        self, rows: NDArray[np.int64], count: int = 10, rules: ListRules | None = None
    ) -> tuple[IntArray, Scores]:
        """Return the best new items of many users, without reasons.

        Parameters
        ----------
        rows : int64, shape (n,)
            Users by their row in the profiles.
        count : int
        rules : ListRules, optional
            Lists with rules are made one by one: that takes longer.

        Returns
        -------
        int64, shape (n, count)
            Places in the catalogue, best first; -1 where there are no more.
        float64, shape (n, count)
            Their scores.
        """
        best = np.full((len(rows), count), -1, dtype=np.int64)
        values = np.full((len(rows), count), -np.inf)
        for places, items, scores in self._scored(rows):
            if rules is not None:
                for place, own in zip(places, scores, strict=True):
                    listed = self._pick(own, items, count, rules)
                    best[place, : len(listed)] = listed
                    values[place, : len(listed)] = own[np.searchsorted(items, listed)]
                continue
            width = min(count, len(items))
            top = _best_places(scores, width)
            chosen = np.take_along_axis(scores, top, 1)
            order = np.argsort(-chosen, axis=1, kind="stable")
            chosen = np.take_along_axis(chosen, order, 1)
            named = items[np.take_along_axis(top, order, 1)]
            best[places, :width] = np.where(np.isfinite(chosen), named, -1)
            values[places, :width] = chosen
        return best, values

    def cluster_of(self, user_id: str) -> int | None:
        """Return the user's cluster, or None for somebody new."""
        row = self._row(user_id)
        return None if row is None else int(self.clusters[row])

    def _scored(self, rows: NDArray[np.int64]) -> Iterator[tuple[IntArray, IntArray, Scores]]:
        """Go through users of one cluster at a time: which they are, the candidates, scores."""
        clusters = self.clusters[rows]
        for cluster in np.unique(clusters):
            of_cluster = np.flatnonzero(clusters == cluster)
            items = self._candidates.of(int(cluster))
            for start in range(0, len(of_cluster), USERS_AT_A_TIME):
                places = of_cluster[start : start + USERS_AT_A_TIME]
                history = self.profiles.last_days[rows[places]]
                scores = self._worth(history, int(cluster), items)
                yield places, items, _without(scores, history, items)

    def _worth(self, last_days: csr_matrix, cluster: int, items: IntArray) -> Scores:
        """Score candidates for users of one cluster, met before or not."""
        if self._popularity_only:
            popularity = self.cluster_map.popularity[items].astype(np.float64)
            return np.tile(popularity, (last_days.shape[0], 1))
        if self._by_taste is not None and last_days.nnz:
            return self._by_taste.scores(last_days, cluster, items)
        return self._by_clusters.scores(last_days, cluster, items)

    def _stand_ins(self, row: int | None, interests: StatedInterests | None) -> dict[int, str]:
        """Return the items that stand for stated interests, but for those that were met."""
        if interests is None:
            return {}
        met = set() if row is None else set(self.profiles.last_days[row].indices.tolist())
        found = interests.stand_ins(self.item_vectors, self.cluster_map.popularity)
        return {item: text for item, text in found.items() if item not in met}

    def _cluster_of(
        self, row: int | None, history: csr_matrix, interests: StatedInterests | None
    ) -> int:
        """Return the own cluster; somebody new's is that of the stated interests."""
        if row is not None or interests is None:
            return 0 if row is None else int(self.clusters[row])
        mean = interests.vectors.mean(axis=0, keepdims=True)
        return int(self.cluster_map.clusters_of(mean, history)[0])

    def _explained(
        self,
        history: csr_matrix,
        cluster: int,
        best: list[int],
        scores: NDArray[np.float64],
        stated: Mapping[int, str] | None = None,
    ) -> list[Recommendation]:
        """Give each item of a list its reason."""
        reasons = [Reason()] * len(best)
        if not self._popularity_only:
            items = np.array(best, dtype=np.int64)
            reasons = self._explainer.reasons(history, cluster, items, stated)
        return [
            self._recommend(item, score, reason)
            for item, score, reason in zip(best, scores, reasons, strict=True)
        ]

    def _popular(self, count: int, rules: ListRules) -> list[Recommendation]:
        popularity = self.cluster_map.popularity.astype(np.float64)
        best = self._pick(popularity, np.arange(len(popularity)), count, rules)
        return [self._recommend(item, popularity[item], Reason()) for item in best]

    def _pick(
        self, scores: NDArray[np.float64], items: IntArray, count: int, rules: ListRules
    ) -> list[int]:
        return pick(
            scores,
            items,
            count,
            rules,
            item_ids=self.profiles.item_ids,
            categories=self.categories,
            item_vectors=self.item_vectors,
            ages=self.ages,
        )

    def _row(self, user_id: str) -> int | None:
        return self._rows.get(user_id)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {user: row for row, user in enumerate(self.profiles.user_ids)}

    def _explainer_with(self, fusion: Fusion) -> Explainer:
        item_ids = self.profiles.item_ids
        return Explainer(self.cluster_map, self.item_vectors, item_ids, fusion.half_life)

    def _recommend(self, item: int, score: float, reason: Reason | Habit) -> Recommendation:
        return Recommendation(
            item_id=self.profiles.item_ids[item],
            score=float(score),
            reason=reason.told(self.language),
            kind=reason.kind,
        )

    def _habit(self, user_id: str, item: int) -> Habit:
        """Find how often the user comes back to an item."""
        mine = self.events[
            (self.events.user_id == user_id) & (self.events.item_id == self.profiles.item_ids[item])
        ]
        days = np.unique(mine.timestamp.dt.floor("D").to_numpy())
        if len(days) < 2:
            return Habit(days=len(days), gap=0.0)
        gap = float((days[-1] - days[0]) / np.timedelta64(1, "D")) / (len(days) - 1)
        return Habit(days=len(days), gap=gap)


def _without(scores: Scores, met: csr_matrix, items: IntArray) -> Scores:
    """Give what was met before, be it long ago, minus infinity: in place.

    Parameters
    ----------
    scores : float64, shape (n, c)
    met : sparse, shape (n, n_items)
    items : int64, shape (c,)
        Whose scores they are: ascending places in the catalogue.
    """
    users = np.repeat(np.arange(len(scores)), np.diff(met.indptr))
    place = np.minimum(np.searchsorted(items, met.indices), len(items) - 1)
    there = items[place] == met.indices
    scores[users[there], place[there]] = -np.inf
    return scores
