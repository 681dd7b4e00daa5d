"""Density clustering of cells: weights count as people, and structureless cells say so."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score

from strategies.density import NOISE, SummaryDBSCAN, SummaryHDBSCAN, core_distances
from strategies.synthetic_users import distances

Array = NDArray[np.float64]
BOTH = [SummaryDBSCAN, SummaryHDBSCAN]


def blobs(k: int = 5, per_blob: int = 12, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    centres = 6 * np.eye(8)[:k]
    return np.repeat(centres, per_blob, axis=0) + 0.4 * rng.standard_normal((k * per_blob, 8))


def noisy_weights(n: int, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    return np.maximum(rng.uniform(50, 250, n) + 20 * rng.standard_normal(n), 1.0)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("k", [2, 5, 8])
def test_clear_clusters_are_found_without_being_counted_first(method: type, k: int) -> None:
    cells = blobs(k)
    fitted = method().fit(cells, sample_weight=noisy_weights(len(cells)))
    truth = np.repeat(np.arange(k), 12)
    kept = fitted.labels_ != NOISE
    assert len(fitted.sizes_) == k
    assert adjusted_rand_score(truth[kept], fitted.labels_[kept]) == pytest.approx(1.0)
    assert fitted.noise_share_ < 0.1


@pytest.mark.parametrize("method", BOTH)
def test_a_far_cell_that_holds_nobody_is_noise(method: type) -> None:
    cells = np.vstack([blobs(), np.full((1, 8), 30.0)])
    weights = np.append(noisy_weights(60), -4.0)
    fitted = method().fit(cells, sample_weight=weights)
    assert fitted.labels_[-1] == NOISE
    assert len(fitted.sizes_) == 5


def test_one_blob_is_not_taken_apart_by_dbscan() -> None:
    for seed in range(5):
        cells = np.random.default_rng(seed).standard_normal((100, 8))
        fitted = SummaryDBSCAN().fit(cells)
        assert fitted.sizes_.max() > 0.8 * 100


def test_core_distance_is_that_of_the_people_at_the_cells() -> None:
    cells, weights = blobs(2), np.arange(1.0, 25.0)
    between = distances(cells, cells)
    core = core_distances(between, weights, 30.0)
    people = np.sort(np.repeat(between, weights.astype(int), axis=1), axis=1)
    np.testing.assert_allclose(core, people[:, 29])


def test_weighted_dbscan_is_dbscan_of_the_people_at_the_cells() -> None:
    rng = np.random.default_rng(4)
    cells, weights = rng.standard_normal((40, 2)), rng.integers(1, 9, 40)
    core_cells = 12 / weights.mean()
    fitted = SummaryDBSCAN(eps=0.4, core_cells=core_cells).fit(cells, sample_weight=weights)
    people = DBSCAN(eps=0.4, min_samples=12).fit(np.repeat(cells, weights, axis=0))
    np.testing.assert_array_equal(np.repeat(fitted.labels_, weights), people.labels_)
    assert len(fitted.sizes_) > 1


@pytest.mark.parametrize("method", BOTH)
def test_neither_the_unit_nor_the_number_of_people_matters(method: type) -> None:
    cells, weights = blobs(), noisy_weights(60)
    one = method().fit(cells, sample_weight=weights)
    other = method().fit(1e-3 * cells, sample_weight=1e3 * weights)
    np.testing.assert_array_equal(one.labels_, other.labels_)


@pytest.mark.parametrize("method", BOTH)
def test_centres_are_weighted_means_without_noise_cells(method: type) -> None:
    cells, weights = blobs(), noisy_weights(60)
    fitted = method().fit(cells, sample_weight=weights)
    for label, centre in enumerate(fitted.cluster_centers_):
        inside = fitted.labels_ == label
        np.testing.assert_allclose(
            centre, np.average(cells[inside], axis=0, weights=weights[inside])
        )
        assert fitted.sizes_[label] == pytest.approx(weights[inside].sum())


def test_probabilities_are_zero_for_noise_alone() -> None:
    cells = np.vstack([blobs(), np.full((1, 8), 30.0)])
    fitted = SummaryHDBSCAN().fit(cells)
    np.testing.assert_array_equal(fitted.probabilities_ == 0, fitted.labels_ == NOISE)


def test_hdbscans_smallest_cluster_is_a_share_of_people_not_of_cells() -> None:
    cells = blobs(5)
    light = np.append(np.full(48, 100.0), np.full(12, 2.0))
    heavy = np.append(np.full(48, 100.0), np.full(12, 20.0))
    assert len(SummaryHDBSCAN().fit(cells, sample_weight=light).sizes_) == 4
    assert len(SummaryHDBSCAN().fit(cells, sample_weight=heavy).sizes_) == 5


def test_equal_cells_are_one_cluster_of_dbscan_and_none_of_hdbscan() -> None:
    cells = np.full((30, 4), 0.2)
    assert set(SummaryDBSCAN().fit(cells).labels_) == {0}
    assert set(SummaryHDBSCAN().fit(cells).labels_) == {NOISE}


def test_one_cell_is_one_cluster_of_dbscan_and_none_of_hdbscan() -> None:
    cell = np.array([[1.0, 2.0]])
    assert list(SummaryDBSCAN().fit(cell, sample_weight=[7.0]).labels_) == [0]
    hdbscan = SummaryHDBSCAN().fit(cell, sample_weight=[7.0])
    assert list(hdbscan.labels_) == [NOISE]
    assert hdbscan.cluster_centers_.shape == (0, 2)
    assert hdbscan.noise_share_ == 1.0


@pytest.mark.parametrize("method", BOTH)
def test_bad_input_is_refused(method: type) -> None:
    with pytest.raises(ValueError, match="not finite"):
        method().fit(np.full((9, 2), np.nan))
    with pytest.raises(ValueError, match="not finite"):
        method().fit(np.zeros((9, 2)), sample_weight=np.full(9, np.inf))
    with pytest.raises(ValueError, match="one weight for each cell"):
        method().fit(np.zeros((9, 2)), sample_weight=np.ones((9, 1)))
    with pytest.raises(ValueError, match="all noise"):
        method().fit(np.zeros((9, 2)), sample_weight=np.zeros(9))


def test_nonsense_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="core_cells is 0"):
        SummaryDBSCAN(core_cells=0).fit(np.zeros((9, 2)))
    with pytest.raises(ValueError, match="min_share is 0"):
        SummaryHDBSCAN(min_share=0).fit(np.zeros((9, 2)))


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [(SummaryDBSCAN(n_eps=30), "n_eps", 30), (SummaryHDBSCAN(0.03), "min_share", 0.03)],
)
def test_they_behave_as_estimators(
    estimator: SummaryDBSCAN | SummaryHDBSCAN, name: str, value: float
) -> None:
    cells, weights = blobs(), noisy_weights(60)
    fitted = clone(estimator)
    assert fitted.get_params()[name] == value
    labels = fitted.fit_predict(cells, sample_weight=weights)
    np.testing.assert_array_equal(labels, fitted.predict(cells))
    with pytest.raises(ValueError, match="columns"):
        fitted.predict(np.zeros((2, 3)))
