"""Rankings compared by what people took up next: with standard errors, user by user.

scores of all items  ->  the ten best that are new  ->  hits, measures, paired differences
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.report import RankingPart
from simulations.recommendation.splits import Split
from simulations.recommendation_quality import ranking_measures

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

K = 10
MOST_JUDGED = 20_000
"""Users; of more, so many are drawn."""
USERS_AT_A_TIME = 1000

Rank = Callable[[Ints], Ints]
"""From users to their ten best new items, best first: int64, shapes (n,) and (n, 10)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """How one ranking did, over the noises that were drawn.

    Attributes
    ----------
    hits : float64, shape (n_users,)
        Mean over the noise of whether a user's list had something wanted.
    measures : list of RankingPart
        One for each noise.
    """

    hits: Floats
    measures: list[RankingPart]

    @property
    def hit_rate(self) -> float:
        """Mean over users and noise."""
        return float(self.hits.mean())

    @property
    def hit_rate_error(self) -> float:
        """Its standard error over users."""
        return float(self.hits.std() / np.sqrt(len(self.hits)))

    @property
    def spread(self) -> float:
        """Standard deviation of the hit rate over the noise."""
        return float(np.std([one.hit_rate for one in self.measures]))

    def mean(self, name: str) -> float:
        """Return a measure's mean over the noise."""
        return float(np.mean([getattr(one, name) for one in self.measures]))

    def gain(self, other: Judged) -> tuple[float, float]:
        """Return how much higher the hit rate is than another's, and the paired standard error."""
        difference = self.hits - other.hits
        return float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))


class Judge:
    """Judges rankings on one split; always on the same users.

    Parameters
    ----------
    split : Split
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        judged = split.judged
        if len(judged) > MOST_JUDGED:
            judged = np.sort(np.random.default_rng(0).choice(judged, MOST_JUDGED, replace=False))
        self.users = judged
        self.wanted = split.wanted[judged].toarray()
        self.popularity = np.asarray(split.met.sum(axis=0), dtype=np.float64).ravel()

    def judge(self, rankings: Sequence[Rank]) -> Judged:
        """Judge a ranking, made once for each noise."""
        hits, measures = [], []
        for rank in rankings:
            users = [
                self.users[start : start + USERS_AT_A_TIME]
                for start in range(0, len(self.users), USERS_AT_A_TIME)
            ]
            ranked = np.concatenate([rank(some) for some in users])
            hits.append(np.take_along_axis(self.wanted, ranked, axis=1).any(axis=1))
            vectors = self.split.behaviour.catalogue.vectors
            measures.append(
                ranking_measures(
                    self.wanted, ranked, self.popularity, len(self.split.profiles), vectors
                )
            )
        return Judged(hits=np.mean(hits, axis=0), measures=measures)

    def by_scores(self, scores: Callable[[Ints], Floats]) -> Rank:
        """Return the ranking by scores of all items, without those that a user has met."""
        met = self.split.met

        def rank(users: Ints) -> Ints:
            found = scores(users).astype(np.float64)
            found[met[users].nonzero()] = -np.inf
            best = np.argpartition(-found, K, axis=1)[:, :K]
            best.sort(axis=1)
            order = np.argsort(-np.take_along_axis(found, best, 1), axis=1, kind="stable")
            return np.take_along_axis(best, order, 1)

        return rank
