"""Ranking measures against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from simulations.recommendation_quality import Truth, _judge


def test_measures_of_a_small_case_worked_out_by_hand() -> None:
    before = np.zeros((2, 4), dtype=bool)
    wanted = np.array([[True, True, False, False], [False, False, False, True]])
    truth = Truth(
        before=before,
        after=wanted,
        popularity=np.array([2.0, 1.0, 1.0, 1.0]),
        item_vectors=np.eye(4, dtype=np.float32),
    )
    judged = _judge(truth, wanted, np.array([[2, 0], [0, 1]]))
    assert judged.hit_rate == 0.5
    assert judged.precision == pytest.approx(0.25)
    assert judged.recall == pytest.approx(0.25)
    assert judged.mrr == pytest.approx(0.25)
    second = 1 / np.log2(3)
    assert judged.ndcg == pytest.approx(second / (1 + second) / 2)
    assert judged.coverage == pytest.approx(0.75)
    assert judged.diversity == pytest.approx(1.0)
