"""The number of clusters in a summary, where it is known and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from strategies.choose_k import KSelector, elbow, simplified_silhouette

Array = NDArray[np.float64]


def blobs(k: int, *, per_blob: int = 12, seed: int = 0, scatter: float = 0.3) -> Array:
    """Return cells in ``k`` far-apart groups: the corners of a simplex, scattered."""
    rng = np.random.default_rng(seed)
    centres = 5 * np.eye(max(k, 4))[:k]
    return np.repeat(centres, per_blob, axis=0) + scatter * rng.standard_normal(
        (k * per_blob, centres.shape[1])
    )


def weights_of(cells: Array, seed: int = 1) -> Array:
    return np.random.default_rng(seed).uniform(50, 250, len(cells))


def one_blob(n: int = 100, m: int = 6, seed: int = 2) -> Array:
    return np.random.default_rng(seed).standard_normal((n, m))


@pytest.mark.parametrize("k", [2, 4, 7])
def test_clear_clusters_are_counted_right_by_peak_and_elbow(k: int) -> None:
    cells = blobs(k)
    chosen = KSelector().fit(cells, sample_weight=weights_of(cells))
    assert chosen.k_ == k
    assert chosen.is_sharp_
    assert chosen.cluster_centers_.shape == (k, cells.shape[1])
    assert chosen.elbow_k_ == k


def test_one_blob_has_no_sharp_k() -> None:
    for seed in range(5):
        cells = one_blob(seed=seed)
        chosen = KSelector().fit(cells, sample_weight=weights_of(cells))
        assert not chosen.is_sharp_
        assert chosen.elbow_k_ == 1


def test_k_stays_below_a_fifth_of_the_cells() -> None:
    cells = blobs(7, per_blob=4)
    chosen = KSelector().fit(cells)
    assert list(chosen.ks_) == [1, 2, 3, 4, 5]
    assert chosen.k_ <= 5
    assert not chosen.is_sharp_


def test_without_that_bound_the_silhouette_climbs_towards_one_cell_per_cluster() -> None:
    cells = one_blob(40)
    curve = KSelector(cells_per_cluster=1, k_min=2).fit(cells).silhouettes_
    assert curve[-1] == pytest.approx(1.0)
    assert curve[-1] > curve[10] > curve[0]


def test_the_whole_curve_is_told() -> None:
    cells = blobs(4)
    chosen = KSelector(k_max=7).fit(cells, sample_weight=weights_of(cells))
    assert list(chosen.ks_) == [1, 2, 3, 4, 5, 6, 7]
    assert chosen.silhouettes_.shape == chosen.inertias_.shape == (7,)
    assert chosen.silhouettes_[0] == 0
    assert (np.diff(chosen.inertias_) < 0).all()
    assert chosen.k_ in chosen.plateau_


def test_silhouette_equals_the_formula_written_out() -> None:
    cells = np.array([[0.0], [1.0], [5.0]])
    weights = np.array([1.0, 2.0, 3.0])
    centres = np.array([[0.0], [4.0]])
    a, b = np.array([0.0, 1.0, 1.0]), np.array([4.0, 3.0, 5.0])
    expected = float(weights @ ((b - a) / np.maximum(a, b)) / weights.sum())
    assert simplified_silhouette(cells, weights, centres) == pytest.approx(expected)


def test_heavy_cells_decide_where_the_centres_are() -> None:
    cells = np.array([[0.0], [1.0], [10.0], [11.0]] * 3)
    weights = np.array([999.0, 1.0, 1.0, 999.0] * 3)
    chosen = KSelector(k_min=2, k_max=2).fit(cells, sample_weight=weights)
    np.testing.assert_allclose(sorted(chosen.cluster_centers_[:, 0]), [0.001, 10.999])
    np.testing.assert_allclose(chosen.sizes_, [3000.0, 3000.0])


def test_scaling_weights_or_cells_changes_nothing() -> None:
    cells = blobs(5)
    weights = weights_of(cells)
    one = KSelector().fit(cells, sample_weight=weights)
    other = KSelector().fit(1000 * cells, sample_weight=0.001 * weights)
    np.testing.assert_allclose(one.silhouettes_, other.silhouettes_, atol=1e-6)
    assert one.elbow_k_ == other.elbow_k_


def test_a_power_law_has_no_elbow() -> None:
    ks = np.arange(1, 25, dtype=np.int64)
    x = ks.astype(np.float64)
    assert elbow(ks, x**-0.4) == 1
    assert elbow(ks, np.where(ks < 8, x**-0.9, 8**-0.7 * x**-0.2)) == 8


@pytest.mark.parametrize("n_cells", [1, 2, 9])
def test_too_few_cells_are_one_cluster_and_not_sharp(n_cells: int) -> None:
    chosen = KSelector(k_min=2).fit(one_blob(n_cells))
    assert (chosen.k_, chosen.elbow_k_, chosen.is_sharp_) == (1, 1, False)
    assert list(chosen.labels_) == [0] * n_cells


def test_equal_cells_are_one_cluster() -> None:
    chosen = KSelector().fit(np.full((50, 3), 0.1))
    assert (chosen.k_, chosen.is_sharp_) == (1, False)


def test_cells_with_no_or_negative_weight_count_for_next_to_nothing() -> None:
    cells = np.vstack([blobs(4), np.full((2, 4), 50.0)])
    weights = np.concatenate([np.full(48, 100.0), [0.0, -30.0]])
    chosen = KSelector(k_max=4).fit(cells, sample_weight=weights)
    assert chosen.k_ == 4
    assert np.abs(chosen.cluster_centers_).max() < 7


@pytest.mark.parametrize(
    ("cells", "weights", "told"),
    [
        (np.full((9, 2), np.nan), None, "not finite"),
        (np.zeros((9, 2)), np.full(9, np.nan), "not finite"),
        (np.zeros((9, 2)), np.ones(8), "one weight for each cell"),
        (np.zeros((9, 2)), np.full(9, -1.0), "all noise"),
        (np.zeros(9), None, "not a matrix"),
        (np.zeros((0, 2)), None, "not a matrix"),
    ],
)
def test_what_is_no_summary_is_refused(cells: Array, weights: Array | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        KSelector().fit(cells, sample_weight=weights)


def test_nonsense_ranges_are_refused() -> None:
    cells = blobs(4)
    with pytest.raises(ValueError, match="no range"):
        KSelector(k_min=5, k_max=4).fit(cells)
    with pytest.raises(ValueError, match="no range"):
        KSelector(k_min=0).fit(cells)


def test_it_behaves_as_an_estimator() -> None:
    cells = blobs(4)
    weights = weights_of(cells)
    selector = clone(KSelector(k_max=6, random_state=5))
    assert selector.get_params()["k_max"] == 6
    labels = selector.fit_predict(cells, sample_weight=weights)
    np.testing.assert_array_equal(labels, selector.predict(cells))
    before = cells.copy()
    again = clone(selector).fit(cells, sample_weight=weights)
    np.testing.assert_array_equal(again.cluster_centers_, selector.cluster_centers_)
    np.testing.assert_array_equal(cells, before)
    with pytest.raises(ValueError, match="columns"):
        selector.predict(np.zeros((2, 9)))
