"""Rounds of small answers find the directions of taste, and nothing where there is only noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from strategies.taste_subspace import Answered, Subspace, edge_of_noise, first_subspace, pooled

M, R, USERS = 120, 6, 3000.0
Array = NDArray[np.float64]


def turned(seed: int, columns: int) -> Array:
    gaussian = np.random.default_rng(seed).standard_normal((M, columns))
    return np.asarray(np.linalg.qr(gaussian)[0])


def a_subspace(directions: Array) -> Subspace:
    return Subspace(
        weights=np.ones(M, np.float32),
        common=turned(9, 1)[:, 0],
        common_length=0.5,
        directions=directions,
        length=0.5,
    )


def across(common: Array, columns: Array) -> Array:
    """Return orthonormal columns at a right angle to ``common``."""
    return np.asarray(np.linalg.qr(np.column_stack([common, columns]))[0][:, 1:])


def test_without_noise_two_rounds_return_the_eigenvectors_and_their_values() -> None:
    subspace = a_subspace(np.zeros((M, R)))
    subspace.directions = across(subspace.common, turned(1, R))
    signal, values = across(subspace.common, turned(2, 4)), np.array([900.0, 500.0, 300.0, 200.0])
    moments = (signal * values) @ signal.T
    for _ in range(2):
        subspace.absorb(moments @ subspace.directions, 1e-6, USERS)
    taste = subspace.taste(USERS)
    kept = taste.strengths > 1e-3  # beside the noise's own, a millionth
    assert kept.sum() == 5
    expected = np.sort(np.r_[values, USERS * 0.25])[::-1]
    np.testing.assert_allclose(taste.strengths[kept], expected / (expected + 30), rtol=1e-3)
    projected = taste.directions[:, kept].T @ np.column_stack([subspace.common, signal])
    np.testing.assert_allclose(np.linalg.svd(projected)[1], 1.0, atol=1e-4)


def test_a_direction_that_was_asked_about_twice_is_weighed_by_precision() -> None:
    asked, rng = turned(3, R), np.random.default_rng(3)
    first, second = rng.standard_normal((2, M, R))
    found = pooled([Answered(asked, 50 * first, 1.0), Answered(asked, 50 * second, 2.0)])
    mean = 50 * (first + second / 4) / (1 + 1 / 4)
    sigma = (1 / (1 + 1 / 4)) ** 0.5
    alone = pooled([Answered(asked, mean, sigma)])
    np.testing.assert_allclose(found.values, alone.values, rtol=1e-9)
    np.testing.assert_allclose(np.abs(found.directions.T @ alone.directions), np.eye(R), atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_noise_alone_has_hardly_any_taste(seed: int) -> None:
    subspace, rng = a_subspace(turned(seed, R)), np.random.default_rng(seed)
    for _ in range(3):
        subspace.absorb(rng.normal(0, 2.0, (M, R)), 2.0, USERS)
    strengths = np.sort(subspace.taste(USERS).strengths)[::-1]
    assert strengths[0] == pytest.approx(0.25 / 0.26, rel=1e-3)  # what everybody has is known
    assert (strengths[1:] < 0.35).all()
    assert len(strengths) <= 3


@pytest.mark.parametrize(("m", "k"), [(40, 40), (400, 8), (1000, 30)])
def test_the_edge_is_where_the_noise_ends(m: int, k: int) -> None:
    rng = np.random.default_rng(m)
    largest = [np.linalg.norm(rng.standard_normal((m, k)), 2) for _ in range(10)]
    assert 0.93 * edge_of_noise(m, k) < np.mean(largest) < 1.01 * edge_of_noise(m, k)


def test_rounds_turn_towards_what_public_texts_do_not_tell() -> None:
    subspace, rng = a_subspace(np.zeros((M, R))), np.random.default_rng(5)
    subspace.directions = across(subspace.common, turned(6, R))
    signal = across(subspace.common, turned(7, 3))
    moments = 600 * signal @ signal.T
    found = []
    for _ in range(3):
        found.append(np.linalg.norm(subspace.directions.T @ signal))
        answer = moments @ subspace.directions + rng.normal(0, 1.0, (M, R))
        subspace.absorb(answer, 1.0, USERS)
        np.testing.assert_allclose(
            subspace.directions.T @ subspace.directions, np.eye(R), atol=1e-9
        )
        np.testing.assert_allclose(subspace.common @ subspace.directions, 0, atol=1e-9)
    assert found[0] < 0.6 < 1.6 < found[1] <= 1.7330
    assert subspace.length == pytest.approx((3 * 600 / USERS) ** 0.5, rel=0.05)


@pytest.mark.parametrize("count", [3, 40])
def test_first_directions_are_public_and_leave_out_what_everybody_has(count: int) -> None:
    rng = np.random.default_rng(8)
    weights = np.zeros(M, np.float32)
    weights[::2] = rng.uniform(0.5, 2, M // 2)
    popularity, vectors = rng.uniform(1, 100, M), rng.standard_normal((M, 5)).astype(np.float32)
    made = first_subspace(weights, popularity, USERS, vectors, count)
    common = (popularity * weights)[::2]
    np.testing.assert_allclose(made.common, common / np.linalg.norm(common), rtol=1e-6)
    assert made.directions.shape == (M // 2, count)
    np.testing.assert_allclose(made.directions.T @ made.directions, np.eye(count), atol=1e-9)
    np.testing.assert_allclose(made.common @ made.directions, 0, atol=1e-9)
    again = first_subspace(weights, popularity, USERS, vectors, count)
    np.testing.assert_array_equal(made.directions, again.directions)


def test_what_everybody_has_is_as_long_as_popularity_tells() -> None:
    # Everybody has the same three items: their rows lie along what everybody has, whole.
    weights = np.array([0.5, 1.0, 2.0, 1.0], np.float32)
    popularity = np.array([1.0, 1.0, 1.0, 1e-9]) * USERS / np.sqrt(3)
    made = first_subspace(weights, popularity, USERS, np.eye(4, dtype=np.float32), 2)
    assert made.common_length == pytest.approx(1.0, rel=1e-6)
