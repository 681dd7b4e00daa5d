"""Rankings compared by what people took up next: with standard errors, person by person.

scores of all items  ->  the ten best that are new  ->  hits, measures, paired differences
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.recommendation.figures import Figure, Paired, figure, paired
from simulations.recommendation.measures import MEASURES, measures
from simulations.recommendation.splits import Split

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
    by_user : mapping of str to float64, shape (n_draws, n_users)
        Each of ``MEASURES``.
    coverage : float64, shape (n_draws,)
        Part of the catalogue that somebody's list has.
    """

    by_user: dict[str, Floats]
    coverage: Floats

    @property
    def hits(self) -> Floats:
        """Mean over the noise of whether a user's list had something wanted: shape (n_users,)."""
        return np.asarray(self.by_user["hit_rate"].mean(axis=0))

    @property
    def hit_rate(self) -> float:
        """Mean over users and noise."""
        return float(self.hits.mean())

    @property
    def hit_rate_error(self) -> float:
        """Its standard error over users."""
        return figure(self.by_user["hit_rate"]).error

    @property
    def spread(self) -> float:
        """Standard deviation of the hit rate over the noise."""
        return float(self.by_user["hit_rate"].mean(axis=1).std())

    def mean(self, name: str) -> float:
        """Return a measure's mean over users and noise, or the coverage."""
        return self.figures()[name].mean

    def figures(self) -> dict[str, Figure]:
        """Return all measures and the coverage, with standard errors.

        Coverage is one number of all lists together: it has none over users.
        """
        found = {name: figure(self.by_user[name]) for name in MEASURES}
        return {**found, "coverage": figure(self.coverage[:, None])}

    def of(self, users: Ints) -> Figure:
        """Return the hit rate of some of the judged users, by their places."""
        return figure(self.by_user["hit_rate"][:, users])

    def compared(self, other: Judged) -> Paired:
        """Return how much higher the hit rate is than another's."""
        return paired(self.by_user["hit_rate"], other.by_user["hit_rate"])

    def gain(self, other: Judged) -> tuple[float, float]:
        """Return how much higher the hit rate is than another's, and the paired standard error."""
        found = self.compared(other)
        return found.gain, found.error


def over_noises(judged: Sequence[Judged]) -> Judged:
    """Return how one ranking did, of parts that were judged apart."""
    return Judged(
        by_user={name: np.concatenate([one.by_user[name] for one in judged]) for name in MEASURES},
        coverage=np.concatenate([one.coverage for one in judged]),
    )


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
        met = np.asarray(split.met.sum(axis=0), dtype=np.float64).ravel()
        self.shares = np.maximum(met, 1) / len(split.profiles)

    def judge(self, rankings: Sequence[Rank]) -> Judged:
        """Judge a ranking, made once for each noise."""
        found = [self._measured(rank) for rank in rankings]
        return Judged(
            by_user={name: np.stack([one[name] for one, _ in found]) for name in MEASURES},
            coverage=np.array([covered for _, covered in found]),
        )

    def _measured(self, rank: Rank) -> tuple[dict[str, Floats], float]:
        vectors = self.split.behaviour.catalogue.vectors
        parts, listed = [], np.zeros(len(vectors), dtype=bool)
        for start in range(0, len(self.users), USERS_AT_A_TIME):
            some = slice(start, start + USERS_AT_A_TIME)
            ranked = rank(self.users[some])
            listed[ranked] = True
            parts.append(measures(self.wanted[some], ranked, self.shares, vectors))
        found = {name: np.concatenate([part[name] for part in parts]) for name in MEASURES}
        return found, float(listed.mean())

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
