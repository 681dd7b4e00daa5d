"""Lists are varied, capped and without what is excluded; the best still come first."""

from __future__ import annotations

import numpy as np
import pytest

from client.reranking import ListRules, pick

IDS = tuple("abcdef")
CATEGORIES = ("FOOD > BREAD", "FOOD > BREAD", "FOOD > TEA", "FOOD > TEA", "BATH", "")
VECTORS = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
SCORES = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])


def picked(count: int = 6, scores: np.ndarray = SCORES, **rules: object) -> str:
    items = pick(
        scores,
        np.arange(6),
        count,
        ListRules(**rules),  # type: ignore[arg-type]
        item_ids=IDS,
        categories=CATEGORIES,
        item_vectors=VECTORS,
    )
    return "".join(IDS[item] for item in items)


def test_best_come_first_and_what_was_met_does_not_come() -> None:
    assert picked() == "abcdef"
    assert picked(2) == "ab"
    assert picked(scores=np.where(SCORES == 5, -np.inf, SCORES)) == "acdef"
    assert picked(scores=np.full(6, -np.inf)) == ""


def test_ties_go_to_the_earlier_item() -> None:
    assert picked(3, scores=np.zeros(6)) == "abc"
    assert picked(3, scores=np.zeros(6), variety=0.5) == "ace"


def test_few_of_each_category_and_any_number_without_one() -> None:
    assert picked(most_per_category=1) == "acef"
    assert picked(3, most_per_category=1) == "ace"
    assert picked(variety=0.3, most_per_category=1) == "acef"


def test_what_is_excluded_is_never_shown() -> None:
    assert picked(excluded_items=frozenset("ac")) == "bdef"
    assert picked(excluded_categories=frozenset({"FOOD"})) == "ef"
    assert picked(excluded_categories=frozenset({"FOOD > TEA"})) == "abef"
    assert picked(excluded_categories=frozenset({"FOO"})) == "abcdef"


def test_variety_prefers_what_is_not_on_the_list_yet() -> None:
    assert picked(3, variety=0.5) == "ace"
    assert picked(3, variety=1.0) == "ace"
    assert picked(variety=0.01) == "abcdef"


@pytest.mark.parametrize("rules", [{"variety": -0.1}, {"variety": 1.1}, {"most_per_category": 0}])
def test_rules_that_are_none_are_an_error(rules: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ListRules(**rules)  # type: ignore[arg-type]
