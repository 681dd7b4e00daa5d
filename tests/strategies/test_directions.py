"""In which directions people differ, with and without noise, with and without a catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from privacy.query import DIAGONAL, OFF_DIAGONAL
from strategies.directions import (
    Directions,
    directions_above_noise,
    principal_directions,
    random_directions,
    refine_public,
    shrink_to_likely,
    symmetric,
)

D, USERS = 30, 4000


def released(vectors: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return the moments of vectors as they are released, with noise."""
    moments = vectors.T @ vectors
    above = np.triu_indices(moments.shape[1])
    weights = np.where(above[0] == above[1], DIAGONAL, OFF_DIAGONAL)
    return np.asarray(moments[above] * weights + sigma * rng.standard_normal(len(above[0])))


def people_along(columns: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return users who differ along three directions, and little elsewhere."""
    strong = rng.standard_normal((USERS, columns.shape[1])) * [0.5, 0.4, 0.3]
    return np.asarray(strong @ columns.T + 0.02 * rng.standard_normal((USERS, len(columns))))


def captured(found: np.ndarray, truth: np.ndarray) -> float:
    """Return which part of the true directions lies in the found ones, 1 for all of it."""
    return float((np.linalg.norm(found.T @ truth, axis=0) ** 2).mean())


def catalogue_along(columns: np.ndarray, rng: np.random.Generator) -> Directions:
    items = people_along(columns, rng)[:500]
    return principal_directions(items)


def test_a_released_triangle_is_the_symmetric_matrix_again() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20, 6))
    np.testing.assert_allclose(symmetric(released(vectors, 0.0, rng), 6), vectors.T @ vectors)


def test_principal_directions_are_orthonormal_and_in_order() -> None:
    found = principal_directions(np.random.default_rng(1).standard_normal((10, D)))
    assert found.columns.shape == (D, 9)
    np.testing.assert_allclose(found.columns.T @ found.columns, np.eye(9), atol=1e-9)
    assert (np.diff(found.variances) <= 1e-12).all()
    assert found.first(2).columns.shape == (D, 2)


def test_much_data_turn_a_wrong_catalogue_to_where_people_differ() -> None:
    rng = np.random.default_rng(2)
    truth, other = np.eye(D)[:, :3], np.eye(D)[:, 10:13]
    public = catalogue_along(other, rng)
    people = people_along(truth, rng) @ public.columns
    found = refine_public(public, released(people, 5.0, rng), USERS, 5.0)
    assert captured(public.columns[:, :3], truth) < 0.1
    assert captured(found.columns[:, :3], truth) > 0.95


def test_few_data_leave_the_public_directions_as_they_are() -> None:
    rng = np.random.default_rng(3)
    truth = np.eye(D)[:, :3]
    public = catalogue_along(truth, rng)
    people = people_along(truth, rng)[:50] @ public.columns
    sigma = 1e5
    found = refine_public(public, released(people, sigma, rng), 50, sigma)
    assert captured(found.columns[:, :3], public.columns[:, :3]) > 0.95
    alone = directions_above_noise(released(people, sigma, rng), 50, sigma, fewest=3, most=3)
    assert captured(public.columns @ alone.columns, truth) < 0.6


@pytest.mark.parametrize("h", [1, 2, D])
@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e3, 1e12])
def test_directions_are_finite_and_orthonormal_whatever_the_noise(h: int, noise: float) -> None:
    rng = np.random.default_rng(4)
    public = Directions(columns=np.eye(D), variances=np.zeros(D))
    triangle = noise * rng.standard_normal(h * (h + 1) // 2)
    sigma = max(noise, 1e-9)
    found = refine_public(public, triangle, 1.0, sigma)
    above = directions_above_noise(triangle, 1.0, sigma, fewest=2, most=4)
    assert found.columns.shape == (D, D)
    np.testing.assert_allclose(found.columns.T @ found.columns, np.eye(D), atol=1e-9)
    assert min(2, h) <= above.columns.shape[1] <= 4
    for directions in (found, above):
        assert np.isfinite(directions.variances).all()
        assert (directions.variances >= 0).all()


def test_directions_above_the_noise_are_found_and_no_others() -> None:
    rng = np.random.default_rng(5)
    truth = np.linalg.qr(rng.standard_normal((D, 3)))[0]
    triangle = released(people_along(truth, rng), 500.0, rng)
    found = directions_above_noise(triangle, USERS, 500.0, fewest=2, most=20)
    assert found.columns.shape[1] == 3
    assert captured(found.columns, truth) > 0.95
    np.testing.assert_allclose(found.variances, [0.25, 0.16, 0.09], rtol=0.25)


def test_random_directions_depend_on_the_seed_alone() -> None:
    one, again = random_directions(40, 7, seed=1), random_directions(40, 7, seed=1)
    np.testing.assert_array_equal(one, again)
    np.testing.assert_allclose(one.T @ one, np.eye(7), atol=1e-9)


LIKELY = Directions(columns=np.eye(D)[:, :5], variances=np.array([4.0, 3.0, 2.0, 1.0, 0.5]))


def test_without_noise_moves_stay_and_pure_noise_goes() -> None:
    rng = np.random.default_rng(6)
    moves = rng.standard_normal((8, D))
    kept = shrink_to_likely(moves, np.full(8, 1e-12), LIKELY)
    np.testing.assert_allclose(kept, moves, rtol=1e-6, atol=1e-9)
    gone = shrink_to_likely(moves, np.full(8, 1.0), LIKELY)
    assert np.linalg.norm(gone) < 0.25 * np.linalg.norm(moves)


@pytest.mark.parametrize(("inside", "ratio"), [(True, 0.5), (False, 1.1)])
def test_moves_in_likely_directions_are_kept_and_others_not_harmed(
    inside: bool, ratio: float
) -> None:
    """Against the same shrinking in ignorance of the directions."""
    rng = np.random.default_rng(7)
    nowhere = Directions(columns=np.zeros((D, 0)), variances=np.zeros(0))
    informed, ignorant = 0.0, 0.0
    for _ in range(40):
        truth = np.zeros((8, D))
        where = slice(0, 5) if inside else slice(20, 25)
        truth[:, where] = rng.standard_normal((8, 5))
        noisy = truth + 0.7 * rng.standard_normal(truth.shape)
        noise = np.full(8, 0.49)
        informed += float(((shrink_to_likely(noisy, noise, LIKELY) - truth) ** 2).sum())
        ignorant += float(((shrink_to_likely(noisy, noise, nowhere) - truth) ** 2).sum())
    assert informed < ratio * ignorant


def test_a_noisier_row_is_shrunk_more() -> None:
    moves = np.ones((2, D))
    kept = shrink_to_likely(moves, np.array([0.01, 1.0]), LIKELY)
    assert np.linalg.norm(kept[0]) > np.linalg.norm(kept[1])
