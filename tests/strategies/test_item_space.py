"""Texts and taste side by side: no vector is longer than 1, and nonsense is no space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from strategies.item_space import ItemSpace, Space, located, space_of
from strategies.questions import CellSums, ItemWeights
from strategies.taste import Taste

WEIGHTS = np.array([0.5, 0, 2, 1], np.float32)
TASTE: dict[str, Any] = {
    "weights": WEIGHTS,
    "directions": np.eye(3, 2, dtype=np.float32),
    "strengths": np.array([1.0, 0.25], np.float32),
}


def a_space(share: float = 0.5, **changes: Any) -> ItemSpace:
    return ItemSpace(share=share, taste=Taste(**(TASTE | changes)))


def unit(n: int, width: int = 3) -> np.ndarray:
    rows = np.random.default_rng(0).standard_normal((n, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_an_items_vector_has_both_parts_and_only_texts_where_taste_does_not_know_it() -> None:
    text = unit(4)
    found = a_space(0.36).of_items(text)
    np.testing.assert_allclose(found[:, :3], 0.8 * text, atol=1e-6)
    # The last item is known, and in the direction that was not kept.
    np.testing.assert_allclose(
        found[:, 3:], [[0.6, 0.0], [0.0, 0.0], [0.0, 0.6], [0.0, 0.0]], atol=1e-6
    )
    assert a_space(1.0).of_items(text).shape == (4, 2)


def test_users_are_no_longer_than_one_whatever_the_share() -> None:
    rng = np.random.default_rng(1)
    met = csr_matrix((rng.random((200, 4)) < 0.5).astype(float) * 9.0)
    for share in (0.01, 0.5, 0.99, 1.0):
        lengths = np.linalg.norm(a_space(share).of_users(unit(200), met), axis=1)
        assert lengths.max() <= 1 + 1e-6


def test_whoever_met_nothing_that_taste_knows_is_a_text() -> None:
    met = csr_matrix(np.array([[0.0, 3.0, 0.0, 0.0]]))
    (found,) = a_space().of_users(unit(1), met)
    np.testing.assert_allclose(found[:3], np.sqrt(0.5) * unit(1)[0], atol=1e-6)
    assert found[3:].tolist() == [0, 0]


def test_without_taste_there_is_no_space_but_that_of_texts() -> None:
    nothing = {"directions": np.zeros((3, 0), np.float32), "strengths": np.zeros(0, np.float32)}
    assert space_of(Space.BOTH, Taste(**(TASTE | nothing))) is None
    assert space_of(Space.TASTE, None) is None
    assert space_of(Space.TEXT, Taste(**TASTE)) is None
    there = space_of(Space.TASTE, Taste(**TASTE))
    assert there is not None
    assert there.dim(3) == 2
    text = unit(2)
    assert located(None, text, csr_matrix((2, 4))) is text


@pytest.mark.parametrize(
    "changes",
    [
        {"share": 0.0},
        {"share": 1.01},
        {"share": float("nan")},
        {"weights": -WEIGHTS},
        {"weights": np.array([0.5, 0, np.inf, 1], np.float32)},
        {"weights": np.array([0.5, 0, np.nan, 1], np.float32)},
        {"weights": np.ones(4, np.float32)},
        {"weights": WEIGHTS[:, None]},
        {"directions": np.full((3, 2), np.nan, np.float32)},
        {"directions": np.full((3, 2), 1.5, np.float32)},
        {"directions": np.eye(3, dtype=np.float32)},
        {"strengths": np.array([1.0, 1.1], np.float32)},
        {"strengths": np.array([1.0, np.nan], np.float32)},
        {
            "weights": np.ones(100, np.float32),
            "directions": np.eye(100, 65, dtype=np.float32),
            "strengths": np.ones(65, np.float32),
        },
        {"directions": np.zeros((3, 0), np.float32), "strengths": np.zeros(0, np.float32)},
    ],
)
def test_a_space_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="A space of items needs"):
        a_space(**changes)


@pytest.mark.parametrize(("share", "dim"), [(1.0, 3), (1.0, 1), (0.5, 2)])
def test_a_question_about_vectors_of_another_length_than_its_space_is_none(
    share: float, dim: int
) -> None:
    space = a_space(share)
    centres = np.zeros((1, dim), np.float32)
    with pytest.raises(ValueError, match="vectors of its space"):
        CellSums(
            origin=centres[0],
            basis=np.zeros((dim, 0), np.float32),
            centres=centres,
            radius=1.0,
            count_weight=0.5,
            space=space,
        )
    with pytest.raises(ValueError, match="vectors of its space"):
        ItemWeights(
            centroids=centres,
            n_items=4,
            recent_days=1.0,
            saturation=1.0,
            cluster_weight=0.5,
            space=space,
        )
