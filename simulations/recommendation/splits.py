"""What is history, and what came after it and judges.

behaviour  ->  leave-last-out: everybody's last new item
           ->  global time: all new items from a moment on
           ->  whole: nothing, where newcomers judge
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.interest_profile import InterestProfiles
from privacy.query import FloatArray
from simulations.recommendation.behaviour import Behaviour

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Everybody's history, and what of it is withheld.

    Attributes
    ----------
    behaviour : Behaviour
    name : str
    profiles : InterestProfiles
        Of the history.
    wanted : sparse bool, shape (n_users, n_items)
        What judges: items that were new for their user.
    """

    behaviour: Behaviour
    name: str
    profiles: InterestProfiles
    wanted: csr_matrix

    @property
    def judged(self) -> Ints:
        """Users who took up something: int64, ascending."""
        return np.flatnonzero(np.diff(self.wanted.indptr))

    @property
    def met(self) -> csr_matrix:
        """1 where the history has an item: sparse, shape (n_users, n_items)."""
        last = self.profiles.last_days
        return csr_matrix((np.ones(last.nnz), last.indices, last.indptr), shape=last.shape)


def leave_last_out(behaviour: Behaviour) -> Split:
    """Withhold, from everybody with at least two items, the one that was new last, for good."""
    users, items = behaviour.users, behaviour.items
    first = _first_meetings(behaviour)
    several = np.bincount(users[first], minlength=behaviour.n_users) > 1
    last = first[np.append(users[first][1:] != users[first][:-1], True)]
    last = last[several[users[last]]]
    withheld = np.full(behaviour.n_users, -1, dtype=np.int64)
    withheld[users[last]] = items[last]
    return _split(behaviour, "leave-last-out", items != withheld[users], last)


def global_time(behaviour: Behaviour, share: float = 0.9) -> Split:
    """Withhold what happened after a moment, that so much of all behaviour lies before."""
    moment = np.quantile(behaviour.days, share)
    first = _first_meetings(behaviour)
    later = first[behaviour.days[first] > moment]
    known = np.unique(behaviour.users[behaviour.days <= moment])
    later = later[np.isin(behaviour.users[later], known)]
    return _split(behaviour, "global time", behaviour.days <= moment, later)


def whole(behaviour: Behaviour) -> Split:
    """Withhold nothing, and judge nobody: others will judge what is learned."""
    nothing = np.zeros(0, dtype=np.int64)
    return _split(behaviour, "whole", np.ones(len(behaviour.users), dtype=bool), nothing)


def _first_meetings(behaviour: Behaviour) -> Ints:
    """Return which events are their user's first with their item, ascending."""
    pairs = behaviour.users * len(behaviour.catalogue.item_ids) + behaviour.items
    return np.sort(np.unique(pairs, return_index=True)[1])


def _split(behaviour: Behaviour, name: str, kept: NDArray[np.bool_], judging: Ints) -> Split:
    shape = (behaviour.n_users, len(behaviour.catalogue.item_ids))
    users, items = behaviour.users[judging], behaviour.items[judging]
    wanted = csr_matrix((np.ones(len(judging), bool), (users, items)), shape=shape)
    return Split(
        behaviour=behaviour,
        name=name,
        profiles=_profiles(behaviour, kept, shape),
        wanted=wanted,
    )


def _profiles(
    behaviour: Behaviour, kept: NDArray[np.bool_], shape: tuple[int, int]
) -> InterestProfiles:
    """Return profiles in which age is the number of newer events: sets differ in their pace."""
    users, items = behaviour.users[kept], behaviour.items[kept]
    newest = np.searchsorted(users, np.arange(shape[0]), side="right") - 1
    age = (newest[users] - np.arange(len(users))).astype(np.float64)
    order = np.lexsort((age, items, users))
    users, items, age = users[order], items[order], age[order]
    first = np.append(True, (users[1:] != users[:-1]) | (items[1:] != items[:-1]))
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(users))).astype(np.float64)
    at = (users[first], items[first])
    last_days = csr_matrix((age[first], at), shape=shape)
    oldest = age[np.append(starts[1:], len(users)) - 1]
    first_days = csr_matrix((oldest, at), shape=shape)
    numbers = csr_matrix((counts, at), shape=shape)
    return InterestProfiles(
        user_ids=tuple(map(str, range(shape[0]))),
        item_ids=tuple(behaviour.catalogue.item_ids),
        item_vectors=behaviour.catalogue.vectors,
        vectors=_vectors(last_days, behaviour),
        counts=numbers,
        last_days=last_days,
        first_days=first_days,
        habits=numbers,
    )


def _vectors(last_days: csr_matrix, behaviour: Behaviour) -> FloatArray:
    weights = last_days.copy()
    weights.data = 0.5 ** (weights.data / (4 * behaviour.half_life))
    mixed = weights @ behaviour.catalogue.vectors.astype(np.float64)
    lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
    return np.asarray(mixed / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
