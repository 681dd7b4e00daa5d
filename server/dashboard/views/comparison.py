"""Two runs' maps side by side: which clusters are the same, and what changed beyond the noise.

words of both maps' clusters  ->  similarities  ->  best one-to-one matching  ->  differences

Cluster numbers and axes are each run's own: only words tell which clusters belong together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, hypot, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from server.dashboard.views.clusters import (
    MOST_CHOICES,
    ClusterRow,
    MappedRun,
    RunChoice,
    choices,
    map_before,
    mapped_run,
)
from server.run_store import reading
from server.run_store.opening import Store
from server.run_store.records import RunRecord

LEAST_SIMILARITY = 0.2
"""Share of common words below which two clusters are not taken for the same."""
BEYOND_SIGMAS = 2.0
"""A difference of more standard deviations of its noise is marked."""
BY_CHANCE = erfc(BEYOND_SIGMAS / sqrt(2))
"""Share of differences that the noise alone makes so large, where nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two clusters that are taken for the same.

    Attributes
    ----------
    similarity : float
        Common words over all words of both, from 0 to 1.
    difference : float
        Noisy size at the right minus that at the left.
    difference_noise : float, optional
        Its standard deviation: the two runs' noises are independent. None where one is unknown.
    exceeds : bool, optional
        Whether it is larger than :data:`BEYOND_SIGMAS` of them.
    """

    left: ClusterRow
    right: ClusterRow
    similarity: float
    difference: float
    difference_noise: float | None
    exceeds: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPage:
    """Two maps.

    Attributes
    ----------
    choices : list of RunChoice
        Runs with a map, the latest first.
    left, right : MappedRun, optional
        None where there are not two maps; where one run was asked for twice, nothing is compared.
    pairs : list of Pair
        The largest first, by the noisy size at the right.
    only_left, only_right : list of ClusterRow
        Clusters without a counterpart, the largest first.
    least_similarity : float
        Of each pair.
    n_exceeding : int
        Pairs whose sizes differ by more than the noise.
    n_by_chance : float
        How many would if nobody had changed, on average.
    """

    choices: list[RunChoice]
    left: MappedRun | None
    right: MappedRun | None
    pairs: list[Pair]
    only_left: list[ClusterRow]
    only_right: list[ClusterRow]
    least_similarity: float
    n_exceeding: int
    n_by_chance: float


def sides_of(
    store: Store, left_id: str | None, right_id: str | None
) -> tuple[str | None, str | None]:
    """Return the ids of the two runs that :func:`comparison_page` compares, left and right."""
    latest = reading.runs(store, with_map=True, limit=MOST_CHOICES)
    return _chosen(store, latest, left_id, right_id)


def _chosen(
    store: Store, latest: Sequence[RunRecord], left_id: str | None, right_id: str | None
) -> tuple[str | None, str | None]:
    right_id = right_id or next((run.id for run in latest if run.id != left_id), None)
    detail = reading.run(store, right_id) if right_id and left_id is None else None
    if detail:
        before = map_before(latest, detail.run) or next(
            (run for run in latest if run.id != right_id), None
        )
        left_id = before.id if before else None
    return left_id, right_id


def comparison_page(
    store: Store, left_id: str | None, right_id: str | None
) -> ComparisonPage | None:
    """Return two maps compared; None where a run that was asked for has none.

    Parameters
    ----------
    store : Store
    left_id, right_id : str, optional
        By default, right the latest run with a map, and left the one before it.
    """
    latest = reading.runs(store, with_map=True, limit=MOST_CHOICES)
    left_id, right_id = _chosen(store, latest, left_id, right_id)
    left = mapped_run(store, left_id) if left_id else None
    right = mapped_run(store, right_id) if right_id else None
    if (right_id and right is None) or (left_id and left is None):
        return None
    ours, theirs = (left.clusters, right.clusters) if left and right else ([], [])
    if left_id == right_id:
        ours, theirs = [], []  # a map with itself: nothing to compare
    pairs = matched(ours, theirs)
    known = [pair for pair in pairs if pair.exceeds is not None]
    left_taken = {pair.left.number for pair in pairs}
    right_taken = {pair.right.number for pair in pairs}
    return ComparisonPage(
        choices=choices(latest, *[side.run for side in (left, right) if side]),
        left=left,
        right=right,
        pairs=pairs,
        only_left=[row for row in ours if row.number not in left_taken],
        only_right=[row for row in theirs if row.number not in right_taken],
        least_similarity=LEAST_SIMILARITY,
        n_exceeding=sum(pair.exceeds is True for pair in known),
        n_by_chance=len(known) * BY_CHANCE,
    )


def matched(left: list[ClusterRow], right: list[ClusterRow]) -> list[Pair]:
    """Return the one-to-one matching whose similarities add up to most, the largest first.

    Pairs below :data:`LEAST_SIMILARITY` are none, and take no cluster from another pair.
    """
    similarity = similarities(left, right)
    counted = np.where(similarity >= LEAST_SIMILARITY, similarity, 0.0)
    rows, columns = linear_sum_assignment(counted, maximize=True)
    pairs = [
        _pair(left[row], right[column], float(similarity[row, column]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if counted[row, column] > 0
    ]
    return sorted(pairs, key=lambda pair: (-pair.right.noisy_size, pair.right.number))


def similarities(left: list[ClusterRow], right: list[ClusterRow]) -> NDArray[np.float64]:
    """Return the Jaccard similarity of each two clusters' words: shape (len(left), len(right))."""
    ours, theirs = [words_of(row) for row in left], [words_of(row) for row in right]
    places = {word: place for place, word in enumerate(sorted(set().union(*ours, *theirs)))}
    has = [np.zeros((len(side), len(places))) for side in (ours, theirs)]
    for side, flags in zip((ours, theirs), has, strict=True):
        for row, words in enumerate(side):
            flags[row, [places[word] for word in words]] = 1.0
    common = has[0] @ has[1].T
    total = has[0].sum(axis=1)[:, None] + has[1].sum(axis=1)[None, :] - common
    shared: NDArray[np.float64] = common / np.maximum(total, 1.0)
    return shared


def words_of(row: ClusterRow) -> frozenset[str]:
    """Return what a cluster is known by: its terms, and its label's words.

    Without terms there is nothing to know it by: its label is then no more than a number.
    """
    if not row.terms:
        return frozenset()
    label = re.findall(r"\w+", row.label.casefold())
    return frozenset(term.casefold() for term in row.terms) | frozenset(label)


def _pair(left: ClusterRow, right: ClusterRow, similarity: float) -> Pair:
    difference = right.noisy_size - left.noisy_size
    noise = None
    if left.size_noise is not None and right.size_noise is not None:
        noise = hypot(left.size_noise, right.size_noise)
    return Pair(
        left=left,
        right=right,
        similarity=similarity,
        difference=difference,
        difference_noise=noise,
        exceeds=None if noise is None else abs(difference) > BEYOND_SIGMAS * noise,
    )
