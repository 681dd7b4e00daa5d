"""Nobody's distance may depend on anybody else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.exact_geometry import (
    LARGEST,
    nearest,
    nearest_centre,
    project,
    squared_distances,
)

DIM = 384


def unit_vectors(n: int, seed: int, dim: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, dim))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def test_distances_are_those_of_the_textbook() -> None:
    points, centres = unit_vectors(50, 0), unit_vectors(7, 1)
    slow = ((points[:, None].astype(float) - centres[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(points, centres), slow, atol=1e-4)
    np.testing.assert_array_equal(nearest_centre(points, centres), slow.argmin(axis=1))


def test_projection_is_that_of_the_textbook() -> None:
    points = unit_vectors(50, 0)
    basis = np.linalg.qr(np.random.default_rng(2).standard_normal((DIM, 8)))[0]
    expected = points.astype(float) @ basis
    np.testing.assert_allclose(project(points, basis.astype(np.float32)), expected, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 400), seed=st.integers(0, 10**6), dim=st.sampled_from([2, 100, 384, 1024]))
def test_one_user_less_changes_no_bit_of_the_others(n: int, seed: int, dim: int) -> None:
    points = unit_vectors(n, seed, dim)
    # Centres that mirror each other in a plane through the points' mean: nearly equally far.
    normal = unit_vectors(1, seed + 1, dim)
    centres = np.concatenate([normal, -normal, unit_vectors(3, seed + 2, dim)])
    on_the_plane = points - (points @ normal.T) * normal
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, 2)))[0]
    for people in (points, on_the_plane.astype(np.float32)):
        everybody = squared_distances(people, centres)
        projected = project(people, basis.astype(np.float32))
        without = people[1:]
        np.testing.assert_array_equal(squared_distances(without, centres), everybody[1:])
        np.testing.assert_array_equal(project(without, basis.astype(np.float32)), projected[1:])


@pytest.mark.parametrize("n", [0, 1, 512, 513, 1500])
def test_the_nearest_centre_is_the_one_at_the_smallest_distance_the_earlier_of_equals(
    n: int,
) -> None:
    points = unit_vectors(n, 6, 12)
    points[::3] = points[::3].round()  # on one axis or at the origin: equally far from many
    axes = np.eye(12, dtype=np.float32)
    centres = np.concatenate([axes, -axes, axes, unit_vectors(5, 7, 12)])
    squared = squared_distances(points, centres)
    np.testing.assert_array_equal(nearest_centre(points, centres), squared.argmin(axis=1))
    cells, closest = nearest(points, centres)
    np.testing.assert_array_equal(cells, nearest_centre(points, centres))
    np.testing.assert_array_equal(closest[:, 0], squared.min(axis=1))


def test_order_of_the_sums_does_not_matter() -> None:
    points, centres = unit_vectors(300, 3), unit_vectors(64, 4)
    shuffled = np.random.default_rng(5).permutation(DIM)
    np.testing.assert_array_equal(
        squared_distances(points, centres),
        squared_distances(points[:, shuffled], centres[:, shuffled]),
    )


def test_extreme_centres_are_clipped_and_stay_exact() -> None:
    points = unit_vectors(30, 6)
    centres = np.full((2, DIM), 1e30, np.float32)
    clipped = np.full((2, DIM), LARGEST, np.float32)
    np.testing.assert_array_equal(
        squared_distances(points, centres), squared_distances(points, clipped)
    )
    shuffled = np.random.default_rng(7).permutation(DIM)
    np.testing.assert_array_equal(
        squared_distances(points, centres), squared_distances(points[:, shuffled], centres)
    )


def test_a_user_who_is_not_a_number_harms_nobody_else() -> None:
    points = unit_vectors(10, 8)
    poisoned = points.copy()
    poisoned[3] = np.nan
    centres = unit_vectors(4, 9)
    others = np.arange(10) != 3
    np.testing.assert_array_equal(
        squared_distances(poisoned, centres)[others], squared_distances(points, centres)[others]
    )


@pytest.mark.parametrize("dim", [1, 2, 384, 4096])
def test_worst_case_stays_below_the_limit_of_exact_integers(dim: int) -> None:
    from strategies.exact_geometry import EXACT_BITS, lattice_scale

    worst = dim * (2 * LARGEST * lattice_scale(dim)) ** 2
    assert worst <= 2.0**EXACT_BITS
