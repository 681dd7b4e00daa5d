from __future__ import annotations

import math

import numpy as np
import pytest

from privacy.clipping import clipped_sum
from privacy.query import Contributions
from tests.privacy.examples import a_block, oracle_sum, users


def many_users(n: int, cells: int, width: int, *, scale: float = 1.0) -> Contributions:
    rng = np.random.default_rng(0)
    lengths = scale * rng.lognormal(sigma=2.0, size=(n, 1))
    rows = (rng.normal(size=(n, width)) * lengths).astype(np.float32)
    return Contributions(rng.integers(cells, size=n), rows)


@pytest.mark.parametrize("norm", [0.01, 1.0, 50.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_clipped_sum_agrees_with_an_oracle_in_double_precision(norm: float, scale: float) -> None:
    block = a_block(cells=7, width=5, clipping_norm=norm)
    contributions = many_users(500, 7, 5, scale=scale)
    found = clipped_sum(block, contributions).numpy()
    expected = oracle_sum(block, contributions)
    shortening = 2e-6 / norm  # Opacus clips to C / (norm + 1e-6)
    np.testing.assert_allclose(
        found, expected, rtol=1e-4 + shortening, atol=(1e-4 + shortening) * norm
    )


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-6, 0.5, 1.0, 1.0 + 1e-6, 3.0, 1e10, 1e30])
def test_no_user_adds_more_than_the_clipping_norm(length: float) -> None:
    row = length * np.array([0.6, -0.8])
    found = clipped_sum(a_block(), users(row)).numpy()
    assert np.linalg.norm(found.astype(np.float64)) <= min(length, 1.0) * (1 + 1e-6)


def test_rows_within_the_clipping_norm_stay_as_they_are() -> None:
    found = clipped_sum(a_block(), users([[0.3, -0.4], [0.1, 0.2]], [0, 2]))
    np.testing.assert_allclose(found, np.array([[0.3, -0.4], [0, 0], [0.1, 0.2]]), rtol=1e-5)


@pytest.mark.parametrize("norm", [1e-10, 1e-38, 2.0**-140, 10 * 2.0**-149])
def test_clipping_norms_below_single_precision_are_refused_or_respected(norm: float) -> None:
    width = 384
    try:
        block = a_block(cells=1, width=width, clipping_norm=norm)
    except ValueError:
        return
    row = np.full(width, 1 / math.sqrt(width))
    found = clipped_sum(block, users(row, width=width)).numpy()
    assert np.linalg.norm(found.astype(np.float64)) <= norm * (1 + 1e-3)


@pytest.mark.parametrize("batch", [1, 2, 7, 99, 100, 101, 8192])
def test_batches_do_not_matter(batch: int) -> None:
    block = a_block(cells=4, width=3)
    contributions = many_users(100, 4, 3)
    found = clipped_sum(block, contributions, batch=batch)
    np.testing.assert_allclose(found, clipped_sum(block, contributions), rtol=1e-5, atol=1e-5)


def test_order_of_users_does_not_matter() -> None:
    block = a_block(cells=4, width=3)
    forth = many_users(100, 4, 3)
    back = Contributions(forth.cells[::-1].copy(), forth.rows[::-1].copy())
    np.testing.assert_allclose(
        clipped_sum(block, forth), clipped_sum(block, back), rtol=1e-5, atol=1e-5
    )


def test_empty_silo_gives_zeros() -> None:
    found = clipped_sum(a_block(), users([]))
    assert found.shape == (3, 2)
    assert not found.any()


def test_result_has_the_blocks_shape_and_needs_no_gradient() -> None:
    found = clipped_sum(a_block(cells=5, width=4), users([[1, 2, 3, 4]], [4], width=4))
    assert found.shape == (5, 4)
    assert not found.requires_grad


def test_clipping_does_not_change_its_inputs() -> None:
    contributions = many_users(50, 3, 2, scale=100.0)
    before = contributions.cells.copy(), contributions.rows.copy()
    clipped_sum(a_block(), contributions, batch=7)
    np.testing.assert_array_equal(contributions.cells, before[0])
    np.testing.assert_array_equal(contributions.rows, before[1])
