"""A question about feedback that makes no sense is refused before anybody computes anything."""

from __future__ import annotations

import math
from typing import Any

import pytest

from privacy.query import sensitivity_of
from strategies.questions import ListFeedback


def asked(**changes: Any) -> ListFeedback:
    usual: dict[str, Any] = {
        "experiment": "lists",
        "arms": ["plain", "varied"],
        "window_days": 30.0,
        "dwell_cap": 60.0,
    }
    return ListFeedback(**(usual | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"experiment": ""},
        {"experiment": "Lists"},
        {"experiment": "a" * 41},
        {"experiment": "lists\n"},
        {"experiment": 3},
        {"arms": []},
        {"arms": ["plain"]},
        {"arms": ["plain", "plain"]},
        {"arms": ["plain", ""]},
        {"arms": ["plain", 2]},
        {"arms": "plain"},
        {"arms": [f"arm-{number}" for number in range(17)]},
        *(
            {name: value}
            for name in ("window_days", "dwell_cap")
            for value in (0.0, -1.0, math.nan, math.inf, 1e6, True, "30")
        ),
    ],
    ids=str,
)
def test_a_question_that_makes_no_sense_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="A question of kind 'list-feedback' needs"):
        asked(**changes)


def test_sixteen_arms_can_be_asked_about_and_one_user_counts_for_one() -> None:
    many = asked(arms=[f"arm-{number}" for number in range(16)])
    (block,) = many.blocks()
    assert block.shape == (16, 4)
    assert sensitivity_of(many.blocks()) == sensitivity_of(asked().blocks()) == math.sqrt(1.5)
