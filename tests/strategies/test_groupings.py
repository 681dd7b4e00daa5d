"""Groups of public items, and questions about them: nonsense is no question."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from strategies.groupings import MOST_LIFT, group_lifts
from strategies.questions import GroupingGains

QUESTION = GroupingGains(
    items=np.array([1, 0, 1], np.float32),
    logs=np.zeros(2, np.float32),
    lifts=np.ones((2, 3, 2), np.float32),
    largest=0.1,
)


def test_each_group_goes_for_its_own_items() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 20)
    vectors = np.eye(3)[kinds] + 0.05 * rng.standard_normal((60, 3))
    lifts = group_lifts(vectors, rng.uniform(1, 2, 60), 3, seed=0)
    means = np.array([lifts[:, kinds == kind].mean(axis=1) for kind in range(3)])
    assert sorted(means.argmax(axis=1).tolist()) == [0, 1, 2]
    assert means.max(axis=1).min() > 0 > np.sort(means, axis=1)[:, :2].max()
    assert np.abs(lifts).max() <= MOST_LIFT


def test_items_that_do_not_differ_lift_nothing() -> None:
    lifts = group_lifts(np.ones((6, 2)), np.ones(6), 2, seed=0)
    np.testing.assert_allclose(lifts, 0.0, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"items": np.array([1, 0, 0.5], np.float32)},
        {"items": np.array([1, 0, np.nan], np.float32)},
        {"items": np.array([[1, 0, 1]], np.float32)},
        {"items": np.zeros(3, np.float32)},
        {"items": np.ones(2**11 + 1, np.float32)},
        {"logs": np.zeros(3, np.float32)},
        {"logs": np.array([0, np.inf], np.float32)},
        {"lifts": np.full((2, 3, 2), np.nan, np.float32)},
        {"lifts": np.ones((2, 3, 3), np.float32)},
        {"lifts": np.ones((3, 2), np.float32)},
        {"lifts": np.ones((1, 3, 2), np.float32)},
        {"lifts": np.ones((9, 3, 2), np.float32)},
        {"lifts": np.ones((2, 0, 2), np.float32)},
        {"largest": 0.0},
        {"largest": float("inf")},
    ],
)
def test_a_comparison_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'grouping-gains' needs"):
        replace(QUESTION, **changes)


def test_a_comparison_is_clipped_to_what_it_says() -> None:
    (block,) = QUESTION.blocks()
    assert (block.shape, block.clipping_norm) == ((1, 1), 0.1)
