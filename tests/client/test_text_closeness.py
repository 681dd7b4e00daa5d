"""Texts are close to a history where they are close to one of its items."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from client import text_closeness
from client.text_closeness import SHARPNESS, TextCloseness
from privacy.query import FloatArray

N_ITEMS, DIM = 30, 5


def vectors() -> FloatArray:
    rows = np.random.default_rng(3).standard_normal((N_ITEMS, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def histories() -> csr_matrix:
    """Return weights of three users' items; the last one met nothing."""
    weights = np.zeros((3, N_ITEMS))
    weights[0, [2, 7, 9]] = 1.0, 0.5, 0.25
    weights[1, 4] = 1.0
    return csr_matrix(weights)


def test_each_own_item_speaks_for_what_is_close_to_it() -> None:
    space = vectors().astype(np.float64)
    found = TextCloseness(vectors()).of(histories(), np.arange(N_ITEMS))
    for item in set(range(N_ITEMS)) - {2, 7, 9}:
        own = [(1.0, 2), (0.5, 7), (0.25, 9)]
        speaks = sum(w * math.exp(SHARPNESS * float(space[o] @ space[item])) for w, o in own)
        assert found[0, item] == pytest.approx(math.sqrt(speaks), rel=1e-4)
    assert not found[2].any()


def test_somebody_of_two_interests_is_close_to_both_and_not_to_what_lies_between() -> None:
    items = np.array([[1, 0], [0, 1], [0.99, 0.141], [0.141, 0.99], [0.7071, 0.7071]], np.float32)
    history = csr_matrix(np.array([[1.0, 1.0, 0, 0, 0]]))
    (found,) = TextCloseness(items).of(history, np.arange(5))
    assert min(found[2], found[3]) > 1.5 * found[4]


def test_large_catalogues_are_compared_with_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_closeness, "MOST_COMPARED", N_ITEMS - 1)
    items = np.array([1, 3, 4, 8, 20])
    expected = histories().toarray() @ vectors().astype(np.float64)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    expected = expected / np.where(lengths > 0, lengths, 1) @ vectors()[items].T
    for often in (None, np.array([3, 8, 9]), np.array([28, 29]), items):
        found = TextCloseness(vectors(), often).of(histories(), items)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_some_candidates_are_as_close_as_among_all() -> None:
    texts, items = TextCloseness(vectors()), np.array([0, 5, 6, 29])
    everything = texts.of(histories(), np.arange(N_ITEMS))
    np.testing.assert_array_equal(texts.of(histories(), items), everything[:, items])
