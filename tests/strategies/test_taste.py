"""Taste is found where it rises above the noise, and nothing is where there is only noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from privacy.query import DIAGONAL, OFF_DIAGONAL
from strategies.taste import Taste
from strategies.taste_spectrum import MOST_TASTES, item_weights, noise_edge, taste_above_noise

N_ITEMS = 120
Array = np.ndarray


def crowd(users: int, groups: int, seed: int) -> Array:
    """Draw who met what: each user mostly the items of one group."""
    rng = np.random.default_rng(seed)
    group = rng.integers(groups, size=users)
    own = np.arange(N_ITEMS) % groups == group[:, None]
    return (rng.random((users, N_ITEMS)) < np.where(own, 0.3, 0.03)).astype(np.float64)


def released(met: Array, weights: Array, sigma: float, seed: int) -> Array:
    """Sum the products of unit rows, weighed as the door does, and add noise."""
    rows = met[:, weights > 0] * weights[weights > 0]
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    moments = rows.T @ rows * OFF_DIAGONAL
    moments[np.diag_indices_from(moments)] *= DIAGONAL / OFF_DIAGONAL
    triangle = moments[np.triu_indices_from(moments)]
    noise = np.random.default_rng(seed).normal(0, sigma, triangle.shape)
    return np.asarray(triangle + noise)


def taste_of(met: Array, sigma: float, seed: int = 0) -> Taste:
    weights = item_weights(met.sum(axis=0) + 1.0, len(met), 100.0, most=N_ITEMS)
    return taste_above_noise(released(met, weights, sigma, seed), sigma, len(met), weights)


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_items_are_found_and_rank_their_own_first(seed: int) -> None:
    taste = taste_of(crowd(3000, 4, seed), 29 * 2.0, seed)
    assert (taste.strengths[:4] > 0.8).all()  # everybody's, and what tells four groups apart
    assert (taste.strengths[4:] < 0.7).all()
    history = np.zeros((1, N_ITEMS))
    history[0, [2, 6, 10]] = 1.0  # of group 2
    scores = taste.scores(csr_matrix(history))[0]
    best = taste.items[np.argsort(-scores)][:20]
    assert (best % 4 == 2).mean() >= 0.8


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_has_no_taste(seed: int) -> None:
    weights = np.ones(N_ITEMS, np.float32)
    noise = np.random.default_rng(seed).normal(0, 50.0, N_ITEMS * (N_ITEMS + 1) // 2)
    taste = taste_above_noise(noise, 50.0, 3000, weights)
    # An eigenvalue of noise lies above its edge now and then, by a hair: it is hardly followed.
    assert (taste.strengths < 0.25).all()
    assert len(taste.strengths) <= 2
    assert taste.scores(csr_matrix(np.eye(N_ITEMS))).shape == (N_ITEMS, N_ITEMS)


def test_the_edge_is_where_the_noise_ends() -> None:
    sigma, rng = 3.0, np.random.default_rng(0)
    for m in (50, 200, 800):
        triangle = rng.normal(0, sigma, m * (m + 1) // 2)
        matrix = np.zeros((m, m))
        matrix[np.triu_indices(m)] = triangle / OFF_DIAGONAL
        matrix += np.triu(matrix, 1).T
        matrix[np.diag_indices(m)] *= OFF_DIAGONAL / DIAGONAL
        assert np.linalg.eigvalsh(matrix)[-1] == pytest.approx(noise_edge(m, sigma), rel=0.1)


def test_directions_are_orthonormal_and_no_more_than_can_be_pushed_back() -> None:
    rng = np.random.default_rng(1)
    taste = taste_of((rng.random((4000, N_ITEMS)) < 0.1).astype(np.float64), 1e-6)
    assert len(taste.strengths) == MOST_TASTES
    product = taste.directions.T @ taste.directions
    np.testing.assert_allclose(product, np.eye(MOST_TASTES), atol=1e-5)
    assert ((taste.strengths > 0) & (taste.strengths <= 1)).all()
    assert (np.diff(taste.strengths) <= 1e-6).all()


def test_who_met_nothing_gets_no_scores() -> None:
    taste = taste_of(crowd(500, 3, 0), 1.0)
    assert not taste.scores(csr_matrix((2, N_ITEMS))).any()


@pytest.mark.parametrize(
    ("users", "mu", "most", "expected"),
    [(1000, 1.0, 500, 252), (1000, 1.0, 100, 100), (3, 0.1, 500, 60), (1e9, 1.0, 5000, 400)],
)
def test_as_many_items_are_asked_about_as_the_noise_allows(
    users: float, mu: float, most: int, expected: int
) -> None:
    popularity = np.random.default_rng(0).exponential(size=400) + 0.01
    weights = item_weights(popularity, users, mu, most=most)
    assert np.count_nonzero(weights) == expected
    asked = popularity[weights > 0]
    assert asked.min() >= popularity[weights == 0].max(initial=0.0)
    assert weights[popularity.argmax()] == weights[weights > 0].min()
