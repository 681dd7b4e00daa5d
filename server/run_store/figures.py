"""The figures of a report, each with its noise, by names that stay: for tables and curves.

Report  ->  rows of ``figure``

A name is the figure's place in ``report.json`` (``clustering.silhouette``); within a list, what
the part is called stands for it (``feedback.arms.plain.acceptance``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server.report import (
    FeedbackPart,
    PrivateEvaluationPart,
    RankingPart,
    RecommendationPart,
    RepeatPart,
    Report,
)

RELEASED, ORACLE = "released", "oracle"
RANKING = tuple(RankingPart.model_fields)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes
    ----------
    name : str
    value : float
    noise : float, optional
        Standard deviation of the noise in it; of an oracle's figures, its standard error.
    kind : str
        ``released``: noisy, or made of what is. ``oracle``: a simulation's, from exact data.
    """

    name: str
    value: float
    noise: float | None = None
    kind: str = RELEASED


def figures(report: Report) -> list[Figure]:
    """Return all figures that the report has."""
    found = [*_clustering(report)]
    if report.recommendation:
        found += _recommendation(report.recommendation)
    if report.repeat:
        found += _repeat(report.repeat)
    if report.private_evaluation:
        found += _private(report.private_evaluation)
    if report.feedback:
        found += _feedback(report.feedback)
    return found


def _clustering(report: Report) -> Iterator[Figure]:
    part = report.clustering
    noisy: list[tuple[str, float | None, float | None]] = [
        ("noisy_users", part.noisy_users, part.users_noise),
        ("smallest_cluster", part.smallest_cluster, part.size_noise),
        ("silhouette", part.silhouette, part.silhouette_noise),
        ("intra_cluster_distance", part.intra_cluster_distance, part.intra_noise),
        ("inter_cluster_distance", part.inter_cluster_distance, None),
        ("k", part.k, None),
    ]
    for name, value, noise in noisy:
        if value is not None:
            yield Figure(f"clustering.{name}", value, noise)
    for space, gain in (part.space_quality or {}).items():
        yield Figure(f"clustering.space_quality.{space}", gain, part.space_quality_noise)
    for name in ("normalized_cost", "trivial_cost", "adjusted_rand_index"):
        exact = getattr(part, name)
        if exact is not None:
            yield Figure(f"clustering.{name}", exact, kind=ORACLE)


def _recommendation(part: RecommendationPart) -> Iterator[Figure]:
    errors = {"hit_rate": part.hit_rate_standard_error}
    for name in RANKING:
        yield Figure(f"recommendation.{name}", getattr(part, name), errors.get(name), ORACLE)
    yield Figure(
        "recommendation.difference_to_popularity",
        part.difference_to_popularity,
        part.difference_standard_error,
        ORACLE,
    )
    for who, baseline in part.baselines.items():
        for name in RANKING:
            value = getattr(baseline, name)
            yield Figure(f"recommendation.baselines.{who}.{name}", value, kind=ORACLE)


def _repeat(part: RepeatPart) -> Iterator[Figure]:
    yield Figure("repeat.recall", part.recall, part.recall_standard_error, ORACLE)
    for who, baseline in part.baselines.items():
        yield Figure(f"repeat.baselines.{who}.recall", baseline.recall, kind=ORACLE)


def _private(part: PrivateEvaluationPart) -> Iterator[Figure]:
    yield Figure("private_evaluation.noisy_users", part.noisy_users)
    yield Figure("private_evaluation.hit_rate", part.hit_rate, part.hit_rate_noise)
    yield Figure("private_evaluation.popularity", part.popularity, part.popularity_noise)
    yield Figure("private_evaluation.gain", part.gain, part.gain_noise)


def _feedback(part: FeedbackPart) -> Iterator[Figure]:
    for arm in part.arms:
        place = f"feedback.arms.{arm.name}"
        yield Figure(f"{place}.noisy_users", arm.noisy_users, arm.users_noise)
        for name in ("acceptance", "skips", "dwell_seconds"):
            mean = getattr(arm, name)
            if mean is not None:
                yield Figure(f"{place}.{name}", mean.value, mean.noise)
