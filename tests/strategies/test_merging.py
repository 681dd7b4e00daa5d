"""No cluster stays that noise alone could have made, and at least one stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone

from strategies.merging import SmallClusterMerger

Array = NDArray[np.float64]

LINE = np.array([[0.0], [1.0], [10.0], [12.0]])


def test_a_small_cluster_joins_its_neighbour_and_the_mean_is_weighted() -> None:
    merged = SmallClusterMerger(least_size=20).fit(LINE, sample_weight=[90.0, 10.0, 100.0, 50.0])
    np.testing.assert_allclose(merged.cluster_centers_[:, 0], [0.1, 10.0, 12.0])
    np.testing.assert_allclose(merged.sizes_, [100.0, 100.0, 50.0])
    np.testing.assert_array_equal(merged.labels_, [0, 0, 1, 2])


def test_large_clusters_are_left_as_they_are() -> None:
    merged = SmallClusterMerger(least_size=20).fit(LINE, sample_weight=[90, 20, 100, 50])
    np.testing.assert_array_equal(merged.cluster_centers_, LINE)
    np.testing.assert_array_equal(merged.labels_, np.arange(4))


@given(
    st.integers(1, 12),
    st.integers(0, 10_000),
    st.floats(0, 300),
    st.floats(0, 60),
    st.sampled_from(["ward", "centroid"]),
)
def test_all_that_remain_are_large_enough_unless_one_is_left(
    k: int, seed: int, least_size: float, size_noise: float, nearest_by: str
) -> None:
    rng = np.random.default_rng(seed)
    points, sizes = rng.standard_normal((k, 3)), 100 * rng.standard_normal(k)
    merger = SmallClusterMerger(least_size, least_sigmas=2.0, nearest_by=nearest_by)  # type: ignore[arg-type]
    merged = merger.fit(points, sample_weight=sizes, size_noise=size_noise)
    needed = np.maximum(least_size, 2 * merged.size_noise_)
    assert len(merged.sizes_) == 1 or (merged.sizes_ >= needed).all()
    assert merged.sizes_.sum() == pytest.approx(sizes.sum())
    assert set(merged.labels_) == set(range(len(merged.sizes_)))
    np.testing.assert_allclose(
        merged.sizes_, np.bincount(merged.labels_, sizes), atol=1e-9 * np.abs(sizes).sum()
    )


def test_noise_of_a_union_grows_as_the_root_of_its_members() -> None:
    merged = SmallClusterMerger(least_sigmas=2).fit(
        LINE, sample_weight=[15.0, 12.0, 100.0, 90.0], size_noise=10.0
    )
    # 15 + 12 = 27 is not above 2 * 10 * sqrt(2) = 28.3, so it moves on.
    np.testing.assert_array_equal(merged.labels_, [0, 0, 0, 1])
    np.testing.assert_allclose(merged.size_noise_, [10 * np.sqrt(3), 10.0])


def test_ward_spares_the_large_neighbour_and_the_centroid_does_not() -> None:
    points, sizes = np.array([[0.0], [3.0], [-3.5]]), [30.0, 10_000.0, 40.0]
    ward = SmallClusterMerger(least_size=35).fit(points, sample_weight=sizes)
    centroid = SmallClusterMerger(least_size=35, nearest_by="centroid").fit(
        points, sample_weight=sizes
    )
    np.testing.assert_array_equal(ward.labels_, [0, 1, 0])
    np.testing.assert_array_equal(centroid.labels_, [0, 0, 1])


def test_negative_sizes_lower_the_sum_and_do_not_move_the_mean() -> None:
    merged = SmallClusterMerger(least_size=20).fit(LINE, sample_weight=[90, -10, 100, 50])
    np.testing.assert_allclose(merged.cluster_centers_[0], [0.0], atol=1e-4)
    assert merged.sizes_[0] == pytest.approx(80.0)


def test_all_noise_leaves_one_cluster_in_the_middle() -> None:
    merged = SmallClusterMerger(least_size=20).fit(LINE, sample_weight=[-1, 0, -3, -2])
    np.testing.assert_allclose(merged.cluster_centers_, [[5.75]])
    np.testing.assert_array_equal(merged.labels_, [0, 0, 0, 0])


def test_one_cluster_stays_however_small() -> None:
    merged = SmallClusterMerger(least_size=1000).fit([[1.0, 2.0]], sample_weight=[3.0])
    np.testing.assert_array_equal(merged.cluster_centers_, [[1.0, 2.0]])


def test_equal_centres_are_merged_like_any_others() -> None:
    merged = SmallClusterMerger(least_size=25).fit(np.ones((6, 2)), sample_weight=np.full(6, 10.0))
    assert (merged.sizes_ >= 25).all()
    np.testing.assert_allclose(merged.cluster_centers_, 1.0)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        SmallClusterMerger().fit(LINE, sample_weight=[1, 2, np.nan, 3])
    with pytest.raises(ValueError, match="not finite"):
        SmallClusterMerger().fit(LINE * np.nan)
    with pytest.raises(ValueError, match="one weight for each cell"):
        SmallClusterMerger().fit(LINE, sample_weight=[1, 2, 3])
    with pytest.raises(ValueError, match="at least 0"):
        SmallClusterMerger(least_size=-1).fit(LINE)
    with pytest.raises(ValueError, match="at least 0"):
        SmallClusterMerger().fit(LINE, size_noise=float("nan"))
    with pytest.raises(ValueError, match='"ward" or "centroid"'):
        SmallClusterMerger(nearest_by="far").fit(LINE)  # type: ignore[arg-type]


def test_it_behaves_as_an_estimator() -> None:
    merger = clone(SmallClusterMerger(least_size=20, nearest_by="centroid"))
    assert merger.get_params()["least_size"] == 20
    labels = merger.fit_predict(LINE, sample_weight=np.array([90.0, 10.0, 100.0, 50.0]))
    np.testing.assert_array_equal(labels, [0, 0, 1, 2])
    np.testing.assert_array_equal(merger.predict([[0.0], [11.9]]), [0, 2])
