"""The weighted Ward tree, against scipy's, against people counted one by one, and on its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, is_valid_linkage, linkage
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from strategies.hierarchy import InterestHierarchy, ward_merges

Array = NDArray[np.float64]


def centres(k: int = 20, m: int = 5, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((k, m))


def groups_of_groups(coarse: int, fine: int, seed: int = 0) -> Array:
    """Return ``coarse`` far-apart groups of ``fine`` centres each."""
    rng = np.random.default_rng(seed)
    above = 20 * np.eye(8)[:coarse]
    return np.repeat(above, fine, axis=0) + rng.standard_normal((coarse * fine, 8))


@pytest.mark.parametrize("seed", range(5))
def test_with_unit_weights_the_tree_is_scipys(seed: int) -> None:
    points = centres(seed=seed)
    np.testing.assert_allclose(ward_merges(points, np.ones(20)), linkage(points, "ward"))


def test_a_size_counts_as_so_many_people_at_one_place() -> None:
    points, sizes = centres(12), np.arange(1, 13)
    tree = InterestHierarchy().fit(points, sample_weight=sizes)
    people = linkage(np.repeat(points, sizes, axis=0), "ward")
    np.testing.assert_allclose(tree.merges_[:, 2], people[-11:, 2])
    for n_clusters in (2, 5, 9):
        of_people = fcluster(people, n_clusters, "maxclust")
        ours = np.repeat(tree.labels_at(n_clusters), sizes)
        assert adjusted_rand_score(of_people, ours) == pytest.approx(1.0)


def test_small_interests_meet_before_large_ones_equally_far_apart() -> None:
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    first = ward_merges(points, np.array([100.0, 100.0, 1.0, 1.0]))[0]
    assert list(first[:2]) == [2, 3]


@given(st.integers(2, 25), st.integers(1, 6), st.integers(0, 10_000))
def test_merges_are_a_valid_tree_whose_heights_never_fall(k: int, m: int, seed: int) -> None:
    sizes = np.random.default_rng(seed).uniform(0.1, 500, k)
    merges = ward_merges(centres(k, m, seed), sizes)
    assert is_valid_linkage(merges)
    assert (np.diff(merges[:, 2]) >= -1e-9).all()
    assert merges[-1, 3] == k


def test_finer_levels_only_split_coarser_ones() -> None:
    tree = InterestHierarchy(levels=[3, 7]).fit(centres(), sample_weight=np.arange(1, 21))
    assert tree.levels_ == (3, 7, 20)
    assert [len(parents) for parents in tree.parents_] == [7, 20]
    np.testing.assert_array_equal(tree.parents_[1], tree.labels_at(7))
    np.testing.assert_array_equal(tree.parents_[0][tree.parents_[1]], tree.labels_at(3))
    np.testing.assert_array_equal(tree.labels_, tree.labels_at(3))


def test_every_cut_has_the_number_of_clusters_asked_for() -> None:
    tree = InterestHierarchy().fit(centres())
    for n_clusters in range(1, 21):
        assert set(tree.labels_at(n_clusters)) == set(range(n_clusters))
    np.testing.assert_array_equal(tree.labels_at(20), np.arange(20))


@pytest.mark.parametrize(("coarse", "fine"), [(3, 4), (4, 4), (5, 5), (6, 4)])
def test_the_default_level_finds_groups_of_about_root_k(coarse: int, fine: int) -> None:
    tree = InterestHierarchy().fit(groups_of_groups(coarse, fine))
    assert tree.levels_ == (coarse, coarse * fine)
    np.testing.assert_array_equal(tree.labels_, np.repeat(np.arange(coarse), fine))


def test_sizes_that_noise_left_negative_get_a_small_positive_floor() -> None:
    sizes = np.array([100.0, -5.0, 0.0, 100.0, 80.0])
    tree = InterestHierarchy(levels=[2]).fit(centres(5), sample_weight=sizes)
    assert (tree.sizes_ > 0).all()
    assert tree.sizes_[1] < 1
    # Those that hold nobody are the first to be merged.
    assert {1, 2} <= {int(node) for node in tree.merges_[:2, :2].ravel()}


@pytest.mark.parametrize("k", [1, 2, 3])
def test_few_clusters_make_a_tree_of_leaves(k: int) -> None:
    tree = InterestHierarchy().fit(centres(k))
    assert tree.levels_ == (k,)
    assert tree.parents_ == []
    assert tree.merges_.shape == (k - 1, 4)
    np.testing.assert_array_equal(tree.labels_, np.arange(k))


def test_equal_centres_are_merged_at_no_height() -> None:
    tree = InterestHierarchy().fit(np.full((9, 2), 0.3))
    np.testing.assert_allclose(tree.merges_[:, 2], 0, atol=1e-12)
    assert set(tree.labels_at(4)) == {0, 1, 2, 3}


def test_bad_input_and_impossible_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        InterestHierarchy().fit(np.full((3, 2), np.inf))
    with pytest.raises(ValueError, match="one weight for each cell"):
        InterestHierarchy().fit(centres(4), sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="all noise"):
        InterestHierarchy().fit(centres(4), sample_weight=np.zeros(4))
    with pytest.raises(ValueError, match="21 clusters were asked for"):
        InterestHierarchy(levels=[21]).fit(centres())
    with pytest.raises(ValueError, match="0 clusters were asked for"):
        InterestHierarchy().fit(centres()).labels_at(0)


def test_it_behaves_as_an_estimator() -> None:
    points = centres()
    tree = clone(InterestHierarchy(levels=(4,)))
    assert tree.get_params() == {"levels": (4,)}
    np.testing.assert_array_equal(tree.fit_predict(points), tree.predict(points))
