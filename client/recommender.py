"""Recommendations made at home, from public items, the cluster map and the user's own history.

usuals       the user's own decayed habits; nothing was released for them
new for you  the own cluster's released item weights  x  closeness to the own basket

No network, and nothing here leaves the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.errors import RecommendationError
from client.interest_profile import InterestProfiles
from privacy.query import FloatArray
from strategies.cluster_map import ClusterMap

Scores = NDArray[np.float64]

SHARPNESS = 8.0
"""How quickly closeness falls off with the cosine of two items' vectors."""
CONTENT_WEIGHT = 0.25
"""Weight of closeness beside the logarithm of the cluster's item weight."""
TYPICAL_BASKET = 5.0
"""A basket counts as so many items of the typical one and its own; steadies short histories."""

EVERYBODY = "popular with everybody"
LEAST_LIFT = 1.1
"""From here on a reason says that an item is popular in the user's own cluster."""


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
    """

    item_id: str
    score: float
    reason: str


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
        self.clusters = cluster_map.nearest(profiles.vectors)

    @cached_property
    def closeness(self) -> FloatArray:
        """How close items are to each other: float32, shape (n_items, n_items); zero to itself."""
        cosines = self.item_vectors @ self.item_vectors.T
        close: FloatArray = np.exp(SHARPNESS * cosines)
        np.fill_diagonal(close, 0.0)
        return close

    def scores_of_new(self, rows: NDArray[np.int64]) -> Scores:
        """Score every item for the given users; items they met before get minus infinity.

        The logarithm of the own cluster's weight of an item, plus
        ``CONTENT_WEIGHT`` times that of how much closer the item is to the
        user's items than to the typical basket.

        Parameters
        ----------
        rows : int64, shape (n,)
            Users by their row in the profiles.

        Returns
        -------
        float64, shape (n, n_items)
        """
        met = self.profiles.last_days[rows].copy()
        met.data[:] = 1.0  # what is stored was met, be its age zero or its weight decayed to zero
        had = met.toarray().astype(bool)
        typical = self.cluster_map.popularity / self.cluster_map.popularity.sum() @ self.closeness
        own = had.astype(np.float32) @ self.closeness
        basket = had.sum(axis=1, keepdims=True)
        ratio = (own + TYPICAL_BASKET * typical) / ((basket + TYPICAL_BASKET) * typical)
        weights = self.cluster_map.item_weights[self.clusters[rows]]
        scores = np.log(np.maximum(weights, 1e-12)) + CONTENT_WEIGHT * np.log(ratio)
        return np.where(had, -np.inf, scores).astype(np.float64)

    def scores_of_usuals(self, rows: NDArray[np.int64]) -> Scores:
        """Score every item by the users' own habits: float64, shape (n, n_items); zero if new."""
        return np.asarray(self.profiles.habits[rows].toarray())

    def usuals(self, user_id: str, count: int = 10) -> list[Recommendation]:
        """Return what the user is likely to want again; empty for somebody new."""
        row = self._row(user_id)
        if row is None:
            return []
        scores = self.scores_of_usuals(np.array([row]))[0]
        best = [item for item in _best(scores, count) if scores[item] > 0]
        return [self._recommend(item, scores, self._habit(user_id, item)) for item in best]

    def new_for(self, user_id: str, count: int = 10) -> list[Recommendation]:
        """Return what the user has not met yet; what is popular, for somebody new."""
        row = self._row(user_id)
        if row is None:
            popularity = self.cluster_map.popularity.astype(np.float64)
            best = _best(popularity, count)
            return [self._recommend(item, popularity, EVERYBODY) for item in best]
        scores = self.scores_of_new(np.array([row]))[0]
        best = [item for item in _best(scores, count) if np.isfinite(scores[item])]
        return [self._recommend(item, scores, self._reason_for_new(row, item)) for item in best]

    def cluster_of(self, user_id: str) -> int | None:
        """Return the user's cluster, or None for somebody new."""
        row = self._row(user_id)
        return None if row is None else int(self.clusters[row])

    def _row(self, user_id: str) -> int | None:
        return self._rows.get(user_id)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {user: row for row, user in enumerate(self.profiles.user_ids)}

    def _recommend(self, item: int, scores: Scores, reason: str) -> Recommendation:
        item_id = self.profiles.item_ids[item]
        return Recommendation(item_id=item_id, score=float(scores[item]), reason=reason)

    def _reason_for_new(self, row: int, item: int) -> str:
        """Name the user's own items that speak for it, or the cluster if none does."""
        own = self.profiles.counts[row]
        names = [self.profiles.item_ids[index].lower() for index in own.indices]
        close = self.closeness[item, own.indices]
        nearest = np.argsort(-close)[:2]
        popular = self._popularity_reason(int(self.clusters[row]), item)
        if close.size == 0 or close[nearest[0]] < np.exp(SHARPNESS / 2):
            return popular
        return f"goes with {' and '.join(names[index] for index in nearest)}; {popular}"

    def _popularity_reason(self, cluster: int, item: int) -> str:
        """Say whether the cluster wants the item more than everybody does."""
        lift = self.cluster_map.item_weights[cluster, item] / self.cluster_map.popularity[item]
        if lift < LEAST_LIFT:
            return EVERYBODY
        return f"popular in {self.cluster_map.labels[cluster]}"

    def _habit(self, user_id: str, item: int) -> str:
        """Say how often the user comes back to an item."""
        mine = self.events[
            (self.events.user_id == user_id) & (self.events.item_id == self.profiles.item_ids[item])
        ]
        days = np.unique(mine.timestamp.dt.floor("D").to_numpy())
        if len(days) < 2:
            return "once before"
        gap = float((days[-1] - days[0]) / np.timedelta64(1, "D")) / (len(days) - 1)
        every = "nearly every day" if gap < 1.5 else f"about every {gap:.0f} days"
        return f"on {len(days)} days, {every}"


def _best(scores: Scores, count: int) -> list[int]:
    """Return the items with the highest scores, best first; ties go to the earlier item."""
    return [int(item) for item in np.argsort(-scores, kind="stable")[:count]]
