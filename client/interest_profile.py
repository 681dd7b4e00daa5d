"""From what a user did to what the user is interested in: one vector each.

events  ->  decayed counts (users x items)  ->  counts @ item vectors  ->  unit norm

Exact and private: profiles stay in this process.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from client.feedback import Feedback
from privacy.query import FloatArray

SECONDS_PER_DAY = 86400.0
HABIT_HALF_LIFE_DAYS = 120.0
"""Longer than that of interests: what one buys twice a year is usual, too."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InterestProfiles:
    """The interests of a client's users. Private.

    Attributes
    ----------
    user_ids : tuple of str, length n_users
    item_ids : tuple of str, length n_items
        The catalogue's, in its order.
    item_vectors : float32, shape (n_items, d)
        The catalogue's: public.
    vectors : float32, shape (n_users, d)
        Interest vectors of unit norm.
    counts : sparse float64, shape (n_users, n_items)
        Each user's events on each item, weighted by value and age.
    last_days : sparse float64, shape (n_users, n_items)
        Days since the user's last event on each item; stored where the user
        ever met the item.
    first_days : sparse float64, shape (n_users, n_items)
        Days since the first one, stored at the same places.
    habits : sparse float64, shape (n_users, n_items)
        Each user's distinct days with an event on each item, decayed by age:
        how usual the item is.
    feedback : Feedback, optional
        What came of the lists that they were shown, where a question is about it.
    """

    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    item_vectors: FloatArray
    vectors: FloatArray
    counts: csr_matrix
    last_days: csr_matrix
    first_days: csr_matrix
    habits: csr_matrix
    feedback: Feedback | None = None

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.vectors)

    def part(self, users: slice) -> InterestProfiles:
        """Return some users' profiles."""
        return InterestProfiles(
            user_ids=self.user_ids[users],
            item_ids=self.item_ids,
            item_vectors=self.item_vectors,
            vectors=self.vectors[users],
            counts=self.counts[users],
            last_days=self.last_days[users],
            first_days=self.first_days[users],
            habits=self.habits[users],
            feedback=self.feedback.part(users) if self.feedback else None,
        )


def build_profiles(
    events: pd.DataFrame,
    item_ids: tuple[str, ...],
    item_vectors: FloatArray,
    *,
    as_of: datetime,
    half_life_days: float,
) -> InterestProfiles:
    """Build every user's interest vector from the events before ``as_of``.

    Parameters
    ----------
    events : DataFrame
        As :func:`client.events.read_events` returns them.
    item_ids : tuple of str, length n_items
    item_vectors : float32, shape (n_items, d)
    as_of : datetime
        With a time zone. Later events are not looked at.
    half_life_days : float
        An event of this age counts half.
    """
    past = events[events.timestamp < as_of]
    users, user_ids = pd.factorize(past.user_id, sort=True)
    items = pd.Categorical(past.item_id, categories=list(item_ids)).codes
    age = (pd.Timestamp(as_of) - past.timestamp).dt.total_seconds().to_numpy() / SECONDS_PER_DAY
    weights = past.value.to_numpy() * 0.5 ** (age / half_life_days)
    shape = (len(user_ids), len(item_ids))
    counts = _add_up(weights, users, items, shape)
    last_days, first_days = _last_and_first_days(age, users, items, shape)
    mixed = counts @ item_vectors.astype(np.float64)
    return InterestProfiles(
        user_ids=tuple(str(user) for user in user_ids),
        item_ids=item_ids,
        item_vectors=item_vectors,
        vectors=_unit(mixed),
        counts=counts,
        last_days=last_days,
        first_days=first_days,
        habits=_habits(age, users, items, shape),
    )


def _add_up(weights: Floats, users: Ints, items: Ints, shape: tuple[int, int]) -> csr_matrix:
    """Add up weights per user and item, each user's in an order of that user's own.

    A sparse matrix sorts all of its rows as soon as one of them is not sorted,
    and unstably: one user's events would decide how another's sums are rounded.
    """
    order = np.lexsort((items, users))
    return csr_matrix((weights[order], (users[order], items[order])), shape=shape)


def _unit(rows: Floats) -> FloatArray:
    """Scale rows to unit norm, however small or large they are; zero rows stay zero."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    scaled = rows / np.where(largest > 0, largest, 1.0)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def _last_and_first_days(
    age: Floats, users: Ints, items: Ints, shape: tuple[int, int]
) -> tuple[csr_matrix, csr_matrix]:
    """Return the least and the greatest age in days of each user's events on each item."""
    table = pd.DataFrame({"user": users, "item": items, "age": age})
    met = table.groupby(["user", "item"], as_index=False)["age"].agg(["min", "max"])
    at = (met["user"], met["item"])
    return csr_matrix((met["min"], at), shape=shape), csr_matrix((met["max"], at), shape=shape)


def _habits(age: Floats, users: Ints, items: Ints, shape: tuple[int, int]) -> csr_matrix:
    """Count each user's distinct days on each item; a day counts half after HABIT_HALF_LIFE."""
    table = pd.DataFrame({"user": users, "item": items, "day": np.floor(age)}).drop_duplicates()
    decayed = 0.5 ** (table.day / HABIT_HALF_LIFE_DAYS)
    return _add_up(decayed.to_numpy(), table["user"].to_numpy(), table["item"].to_numpy(), shape)
