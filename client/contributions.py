"""What each user contributes to the answer of a question, before clipping.

profiles (private)  +  question (public)  ->  one row per user and block

Exact and private: these rows go to the door and nowhere else. A user's row must
depend on that user's profile and the question alone, to the last bit: the
sensitivity counts on it. The door does not trust the rows' length; it clips.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, singledispatch
from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import ThreadpoolController

from client.feedback import Feedback
from client.grouping_gains import gains_over_the_first
from client.list_votes import list_votes
from privacy.query import Contributions, FloatArray, IntArray
from privacy.row_norms import squared_norms
from strategies.exact_geometry import nearest, nearest_centre, project
from strategies.item_space import located
from strategies.question_kinds.feedback import COUNT_WEIGHT, DWELL_WEIGHT
from strategies.questions import (
    CellSums,
    DistanceHistogram,
    GroupingGains,
    ItemPopularity,
    ItemWeights,
    ListFeedback,
    ListVotes,
    MapQuality,
    Question,
    SecondMoments,
    TasteMoments,
    TasteProjection,
)

USERS_AT_A_TIME = 8192
ENTRIES_AT_A_TIME = 2**23
"""Both bound the memory beyond the profiles: users' rows, and what is in them."""


class Users(Protocol):
    """The users of a client, or some of them. Private."""

    @property
    def vectors(self) -> FloatArray:
        """Interest vectors: float32, shape (n_users, d)."""
        ...

    @property
    def last_days(self) -> csr_matrix:
        """Days since the last event on each item met: sparse, shape (n_users, n_items)."""
        ...

    @property
    def feedback(self) -> Feedback | None:
        """What came of the lists that they were shown, if that is known."""
        ...

    @property
    def item_vectors(self) -> FloatArray:
        """Of the public items: float32, shape (n_items, d)."""
        ...

    def __len__(self) -> int:
        """Return how many they are."""
        ...

    def part(self, users: slice) -> Users:
        """Return some of them."""
        ...


def batches_of_contributions(
    question: Question, users: Users
) -> Iterator[Mapping[str, Contributions]]:
    """Go through what the users add to each block, some users at a time.

    While those are clipped and summed, another thread prepares the next ones; linear
    algebra with threads of its own would only be in the way.
    """
    ahead: deque[Future[Mapping[str, Contributions]]] = deque()
    with _thread_pools().limit(limits=1), ThreadPoolExecutor(max_workers=1) as thread:
        step = users_at_a_time(question)
        for start in range(0, len(users), step):
            some = users.part(slice(start, start + step))
            ahead.append(thread.submit(contributions_to, question, some))
            if len(ahead) > 1:
                yield ahead.popleft().result()
        if ahead:
            yield ahead.popleft().result()


def users_at_a_time(question: Question) -> int:
    """Return how many users' rows are made at once: fewer where they are wide."""
    widest = max(block.width for block in question.blocks())
    return min(USERS_AT_A_TIME, max(1, ENTRIES_AT_A_TIME // widest))


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


@singledispatch
def contributions_to(question: Question, profiles: Users) -> Mapping[str, Contributions]:
    """Return what each user adds to each block of the question's answer."""
    raise TypeError(f"Nobody knows how to answer a {type(question).__name__}.")


@contributions_to.register
def _(question: CellSums, profiles: Users) -> Mapping[str, Contributions]:
    points = _coordinates(profiles, question)
    cells = nearest_centre(points, question.centres)
    count = question.count_weight * question.radius
    offsets = question.centres[cells]
    np.subtract(points, offsets, out=offsets)
    return {
        "sums": Contributions(cells, offsets),
        "counts": Contributions(cells, _constant(len(cells), count)),
    }


@contributions_to.register
def _(question: DistanceHistogram, profiles: Users) -> Mapping[str, Contributions]:
    squared = nearest(_coordinates(profiles, question), question.centres)[1][:, 0]
    bins = np.searchsorted(question.ends[:-1] ** 2, squared).astype(np.int64)
    return {"histogram": Contributions(bins, _constant(len(bins), 1.0))}


@contributions_to.register
def _(question: SecondMoments, profiles: Users) -> Mapping[str, Contributions]:
    points = _coordinates(profiles, question)
    return {"moments": Contributions(np.zeros(len(points), dtype=np.int64), points)}


@contributions_to.register
def _(question: ItemWeights, profiles: Users) -> Mapping[str, Contributions]:
    taste = taste_vectors(profiles, question.recent_days, question.saturation)
    vectors = located(question.space, profiles.vectors, profiles.last_days)
    cells = nearest_centre(vectors, question.centroids)
    return {
        "by_cluster": Contributions(cells, taste * np.float32(question.cluster_weight)),
        "overall": Contributions(np.zeros_like(cells), taste * np.float32(question.overall_weight)),
    }


@contributions_to.register
def _(question: ItemPopularity, profiles: Users) -> Mapping[str, Contributions]:
    everybody: IntArray = np.zeros(len(profiles), dtype=np.int64)
    length, met = np.float32(question.length), profiles.last_days
    rows = {"ever": met}
    if question.latest:
        rows["latest"] = _latest(met, question.latest)
    return {
        name: Contributions(everybody, length * _unit_rows(_met(days)))
        for name, days in rows.items()
    }


@contributions_to.register
def _(question: TasteMoments, profiles: Users) -> Mapping[str, Contributions]:
    everybody: IntArray = np.zeros(len(profiles), dtype=np.int64)
    return {"moments": Contributions(everybody, _weighed(profiles, question))}


@contributions_to.register
def _(question: TasteProjection, profiles: Users) -> Mapping[str, Contributions]:
    everybody: IntArray = np.zeros(len(profiles), dtype=np.int64)
    rows = _weighed(profiles, question)
    along = project(rows, question.directions)
    # Plain products, entry by entry: exact enough, and the same in any company.
    products = (rows[:, :, None] * along[:, None, :]).reshape(len(rows), question.directions.size)
    return {"projected": Contributions(everybody, products)}


@contributions_to.register
def _(question: ListFeedback, profiles: Users) -> Mapping[str, Contributions]:
    found = profiles.feedback
    if found is None:
        nobody: IntArray = np.zeros(len(profiles), dtype=np.int64)
        return {"arms": Contributions(nobody, np.zeros((len(profiles), 4), np.float32))}
    shown = np.maximum(found.shown, 1)
    rows = [
        COUNT_WEIGHT * (found.shown > 0),
        found.accepted / shown,
        found.skipped / shown,
        DWELL_WEIGHT * found.dwell_ms / (1000.0 * question.dwell_cap * shown),
    ]
    return {"arms": Contributions(found.arms, np.stack(rows, axis=1).astype(np.float32))}


@contributions_to.register
def _(question: ListVotes, profiles: Users) -> Mapping[str, Contributions]:
    everybody: IntArray = np.zeros(len(profiles), dtype=np.int64)
    rows = list_votes(question, profiles.vectors, profiles.last_days, profiles.item_vectors)
    return {name: Contributions(everybody, row) for name, row in rows.items()}


@contributions_to.register
def _(question: GroupingGains, profiles: Users) -> Mapping[str, Contributions]:
    everybody: IntArray = np.zeros(len(profiles), dtype=np.int64)
    return {"gains": Contributions(everybody, gains_over_the_first(question, profiles.last_days))}


@contributions_to.register
def _(question: MapQuality, profiles: Users) -> Mapping[str, Contributions]:
    vectors = located(question.space, profiles.vectors, profiles.last_days)
    squared = nearest(vectors, question.cluster_map.centroids, count=2)[1]
    own, other = np.sqrt(squared).T
    silhouette = (other - own) / np.maximum(other, 1e-12)
    everybody: IntArray = np.zeros(len(own), dtype=np.int64)
    ratio = np.minimum(own / question.largest_distance, 1.0)
    return {
        "users": Contributions(everybody, _constant(len(own), 1.0)),
        "silhouette": Contributions(everybody, silhouette[:, None].astype(np.float32)),
        "squared_distance": Contributions(everybody, (ratio**2)[:, None].astype(np.float32)),
    }


def taste_vectors(profiles: Users, recent_days: float, saturation: float) -> FloatArray:
    """Return what each user goes for: at most unit length, over the catalogue.

    Parameters
    ----------
    profiles : Users
    recent_days : float
        An item met within so many days counts twice.
    saturation : float
        Length from which on a vector is scaled to unit length.

    Returns
    -------
    float32, shape (n_users, n_items)
    """
    met = profiles.last_days.copy()
    met.data = (1.0 + (met.data <= recent_days)).astype(np.float32)
    rows = met.toarray()
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, saturation), dtype=np.float32)


def _met(days: csr_matrix) -> FloatArray:
    """Return 1 where an item was met, be it just now: float32, shape of ``days``."""
    met = csr_matrix((np.ones(days.nnz, np.float32), days.indices, days.indptr), shape=days.shape)
    return np.asarray(met.toarray())


def _weighed(profiles: Users, question: TasteMoments | TasteProjection) -> FloatArray:
    """Return the users' unit rows over the items asked about: float32, shape (n_users, m)."""
    items = question.items
    return _unit_rows(_met(profiles.last_days[:, items]) * question.weights[items])


def _latest(days: csr_matrix, count: int) -> csr_matrix:
    """Return the latest items of each user; of equally late ones the earlier in the catalogue."""
    users = np.repeat(np.arange(days.shape[0]), np.diff(days.indptr))
    order = np.lexsort((days.indices, days.data, users))
    place = np.arange(days.nnz) - days.indptr[users]
    kept = order[place < count]
    return csr_matrix((days.data[kept], (users[kept], days.indices[kept])), shape=days.shape)


def _unit_rows(rows: FloatArray) -> FloatArray:
    """Scale rows to unit length; zero rows stay zero. Each depends on itself alone."""
    lengths = np.sqrt(squared_norms(rows))
    return np.asarray(rows / np.where(lengths > 0, lengths, 1)[:, None], dtype=np.float32)


def _coordinates(
    users: Users, question: CellSums | DistanceHistogram | SecondMoments
) -> FloatArray:
    """Return the users' vectors in the question's space: float32, shape (n_users, width)."""
    points = located(question.space, users.vectors, users.last_days)
    if question.origin.any():
        points = points - question.origin
    return project(points, question.basis) if question.basis.shape[1] else points


def _constant(users: int, value: float) -> FloatArray:
    return np.full((users, 1), value, dtype=np.float32)
