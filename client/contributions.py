"""What each user contributes to the answer of a question, before clipping.

profiles (private)  +  question (public)  ->  one row per user and block

Exact and private: these rows go to the door and nowhere else. A user's row must
depend on that user's profile and the question alone, to the last bit: the
sensitivity counts on it. The door does not trust the rows' length; it clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch

import numpy as np

from client.interest_profile import InterestProfiles
from privacy.query import Contributions, FloatArray, IntArray
from strategies.exact_geometry import nearest, nearest_centre, project
from strategies.questions import CellSums, DistanceHistogram, ItemWeights, MapQuality, Question


@singledispatch
def contributions_to(question: Question, profiles: InterestProfiles) -> Mapping[str, Contributions]:
    """Return what each user adds to each block of the question's answer."""
    raise TypeError(f"Nobody knows how to answer a {type(question).__name__}.")


@contributions_to.register
def _(question: CellSums, profiles: InterestProfiles) -> Mapping[str, Contributions]:
    points = profiles.vectors - question.origin
    if question.basis.shape[1]:
        points = project(points, question.basis)
    cells = nearest_centre(points, question.centres)
    count = question.count_weight * question.radius
    return {
        "sums": Contributions(cells, points - question.centres[cells]),
        "counts": Contributions(cells, _constant(len(cells), count)),
    }


@contributions_to.register
def _(question: DistanceHistogram, profiles: InterestProfiles) -> Mapping[str, Contributions]:
    squared = nearest(profiles.vectors, question.centres)[1]
    scaled = np.sqrt(squared[:, 0]) / question.largest * question.bins
    bins = np.clip(np.nan_to_num(scaled), 0, question.bins - 1).astype(np.int64)
    return {"histogram": Contributions(bins, _constant(len(bins), 1.0))}


@contributions_to.register
def _(question: ItemWeights, profiles: InterestProfiles) -> Mapping[str, Contributions]:
    taste = taste_vectors(profiles, question.recent_days, question.saturation)
    cells = nearest_centre(profiles.vectors, question.centroids)
    return {
        "by_cluster": Contributions(cells, taste * np.float32(question.cluster_weight)),
        "overall": Contributions(np.zeros_like(cells), taste * np.float32(question.overall_weight)),
    }


@contributions_to.register
def _(question: MapQuality, profiles: InterestProfiles) -> Mapping[str, Contributions]:
    squared = nearest(profiles.vectors, question.cluster_map.centroids, count=2)[1]
    own, other = np.sqrt(squared).T
    silhouette = (other - own) / np.maximum(other, 1e-12)
    everybody: IntArray = np.zeros(len(own), dtype=np.int64)
    ratio = np.minimum(own / question.largest_distance, 1.0)
    return {
        "users": Contributions(everybody, _constant(len(own), 1.0)),
        "silhouette": Contributions(everybody, silhouette[:, None].astype(np.float32)),
        "squared_distance": Contributions(everybody, (ratio**2)[:, None].astype(np.float32)),
    }


def taste_vectors(profiles: InterestProfiles, recent_days: float, saturation: float) -> FloatArray:
    """Return what each user goes for: at most unit length, over the catalogue.

    Parameters
    ----------
    profiles : InterestProfiles
    recent_days : float
        An item met within so many days counts twice.
    saturation : float
        Length from which on a vector is scaled to unit length.

    Returns
    -------
    float32, shape (n_users, n_items)
    """
    met = profiles.last_days.copy()
    met.data = 1.0 + (met.data <= recent_days)
    rows = met.toarray().astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, saturation), dtype=np.float32)


def _constant(users: int, value: float) -> FloatArray:
    return np.full((users, 1), value, dtype=np.float32)
