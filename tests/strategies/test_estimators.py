"""What all estimators of the summary have in common: what they refuse, and what they bear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from strategies.choose_k import KSelector
from strategies.density import SummaryDBSCAN, SummaryHDBSCAN
from strategies.hierarchy import InterestHierarchy
from strategies.merging import SmallClusterMerger
from strategies.mixture import SummaryMixture
from strategies.spectral import SummarySpectral

Array = NDArray[np.float64]

ESTIMATORS: list[type] = [
    KSelector,
    InterestHierarchy,
    SummaryDBSCAN,
    SummaryHDBSCAN,
    SummaryMixture,
    SummarySpectral,
    SmallClusterMerger,
]


def three_groups() -> Array:
    rng = np.random.default_rng(0)
    return np.vstack([0.2 * rng.standard_normal((20, 3)) + place for place in 4 * np.eye(3)])


def made(kind: type, n_clusters: int = 3) -> Any:
    return kind(n_clusters) if kind in (SummaryMixture, SummarySpectral) else kind()


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_nothing_is_predicted_before_fitting(kind: type) -> None:
    with pytest.raises(NotFittedError):
        made(kind).predict(three_groups())


@pytest.mark.parametrize("kind", [SummaryMixture, InterestHierarchy])
def test_other_questions_before_fitting_are_refused_too(kind: type) -> None:
    ask = made(kind).predict_proba if kind is SummaryMixture else made(kind).labels_at
    with pytest.raises(NotFittedError):
        ask(three_groups() if kind is SummaryMixture else 3)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(
    "cells",
    [np.array([["a", "b"]] * 20), three_groups().astype(complex), 1e200 * three_groups()],
    ids=["text", "complex", "beyond squares"],
)
def test_what_holds_no_usable_numbers_is_told(kind: type, cells: Any) -> None:
    with pytest.raises(ValueError, match="Nothing was"):
        made(kind).fit(cells)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_weights_beyond_adding_up_are_told(kind: type) -> None:
    with pytest.raises(ValueError, match="Nothing was fitted"):
        made(kind).fit(three_groups(), sample_weight=np.full(60, 1e300))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_single_cell_is_one_cluster_or_none(kind: type) -> None:
    fitted = made(kind, 1).fit(three_groups()[:1])
    assert list(fitted.labels_) in ([0], [-1])
    assert list(fitted.predict(three_groups()[:1])) == list(fitted.labels_)


@pytest.mark.parametrize("kind", ESTIMATORS[:-1])
def test_cells_in_one_place_are_not_told_apart(kind: type) -> None:
    fitted = made(kind).fit(np.ones((30, 3)))
    labels = fitted.predict(np.ones((30, 3)))
    assert len(set(labels)) == 1
    if kind is not InterestHierarchy:  # Its labels are of the leaves, which it was given as 30.
        assert len(set(fitted.labels_)) == 1


def test_leaves_in_one_place_have_no_clearest_cut() -> None:
    assert InterestHierarchy().fit(np.ones((30, 3))).levels_ == (30,)


@pytest.mark.parametrize("kind", ESTIMATORS[:-1])
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_the_cells_changes_nothing(kind: type, scale: float) -> None:
    one, other = made(kind).fit(three_groups()), made(kind).fit(scale * three_groups())
    np.testing.assert_array_equal(other.labels_, one.labels_)


def test_a_mixtures_means_and_covariances_follow_the_scale() -> None:
    one = SummaryMixture(3).fit(three_groups())
    other = SummaryMixture(3).fit(1e-6 * three_groups())
    np.testing.assert_allclose(other.means_, 1e-6 * one.means_, rtol=1e-6)
    np.testing.assert_allclose(other.covariances_, 1e-12 * one.covariances_, rtol=1e-6)


WRONG: dict[type, list[dict[str, Any]]] = {
    KSelector: [
        {"k_max": 1.5},
        {"k_min": 2.5},
        {"k_max": "a"},
        {"cells_per_cluster": 0},
        {"cells_per_cluster": float("nan")},
        {"tolerance": -1},
        {"n_init": 0},
        {"n_tried": 0},
        {"least_silhouette": 2},
    ],
    InterestHierarchy: [{"levels": [0]}, {"levels": [100]}, {"levels": [2.5]}],
    SummaryDBSCAN: [{"eps": 0}, {"eps": float("nan")}, {"core_cells": 0}, {"n_eps": 0}],
    SummaryHDBSCAN: [
        {"min_share": 0},
        {"min_share": 2},
        {"min_samples": 0},
        {"min_samples": 5000},
        {"scatter": -1},
        {"n_users": 1},
    ],
    SummaryMixture: [
        {"n_components": 0},
        {"n_components": 61},
        {"n_components": 2.5},
        {"n_users": 1},
        {"n_users": -5},
        {"n_init": 0},
    ],
    SummarySpectral: [{"n_clusters": 0}, {"n_clusters": 2.5}, {"n_neighbors": 0}],
    SmallClusterMerger: [{"least_size": -1}, {"nearest_by": "x"}],
}


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [(kind, parameters) for kind, cases in WRONG.items() for parameters in cases],
    ids=str,
)
def test_parameters_out_of_range_are_told_in_a_sentence(
    kind: type, parameters: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"Nothing was (fitted|merged)"):
        kind(**parameters).fit(three_groups())
