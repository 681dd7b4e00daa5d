"""Users who are vectors: shortened to the bound, each by itself, and never copied as a whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.vector_users import VectorUsers, within_unit_ball

Doubles = npt.NDArray[np.float64]


def vectors(n: int, d: int, seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-20, 15, (n, 1)) / d
    return rows.astype(np.float32)


def oracle(rows: npt.NDArray[np.float32], norm_bound: float) -> Doubles:
    doubles = rows.astype(np.float64) / norm_bound
    return np.asarray(doubles / np.maximum(np.linalg.norm(doubles, axis=1, keepdims=True), 1.0))


@given(
    n=st.integers(0, 40),
    d=st.sampled_from([1, 2, 9, 384]),
    bound=st.sampled_from([1e-6, 0.3, 1.0, 7.0, 1e6]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_longer_vectors_are_shortened_and_the_others_only_scaled(
    n: int, d: int, bound: float, seed: int
) -> None:
    rows = vectors(n, d, seed)
    found = within_unit_ball(rows, bound)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, oracle(rows, bound), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("d", [1, 2, 384, 20_000])
@pytest.mark.parametrize("bound", [0.5, 1.0])
def test_nobodys_vector_depends_on_the_others(d: int, bound: float) -> None:
    rows = vectors(7, d, d)
    together = within_unit_ball(rows, bound)
    for number, row in enumerate(rows):
        np.testing.assert_array_equal(within_unit_ball(row[None], bound)[0], together[number])


def test_unit_vectors_are_handed_on_without_a_copy() -> None:
    rows = np.eye(3, dtype=np.float32)
    assert VectorUsers(rows).vectors is rows
    assert np.shares_memory(VectorUsers(rows).part(slice(1, 3)).vectors, rows)


def test_vectors_that_are_of_unit_length_but_for_rounding_are_not_copied_either() -> None:
    rows = np.random.default_rng(0).standard_normal((2000, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert (np.linalg.norm(rows.astype(np.float64), axis=1) > 1).any()
    assert VectorUsers(rows).vectors is rows


def test_some_of_the_users_are_those_users() -> None:
    users = VectorUsers(vectors(10, 4, 0), 2.0)
    some = users.part(slice(3, 7))
    assert len(some) == 4
    np.testing.assert_array_equal(some.vectors, users.vectors[3:7])
    assert users.last_days.shape == (10, 0)
