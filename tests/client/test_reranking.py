"""Lists are varied, capped and without what is excluded; the best still come first."""

from __future__ import annotations

import numpy as np
import pytest

from client.reranking import ListRules, pick

IDS = tuple("abcdef")
CATEGORIES = ("FOOD > BREAD", "FOOD > BREAD", "FOOD > TEA", "FOOD > TEA", "BATH", "")
VECTORS = np.repeat(np.eye(3, dtype=np.float32), 2, axis=0)
SCORES = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])


AGES = np.array([900.0, 0.0, np.nan, 30.0, -5.0, 900.0])


def picked(
    count: int = 6, scores: np.ndarray = SCORES, ages: np.ndarray | None = None, **rules: object
) -> str:
    items = pick(
        scores,
        np.arange(6),
        count,
        ListRules(**rules),  # type: ignore[arg-type]
        item_ids=IDS,
        categories=CATEGORIES,
        item_vectors=VECTORS,
        ages=ages,
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


def test_freshness_brings_what_is_new_in_the_catalogue_forward() -> None:
    assert picked(freshness=1.0, ages=AGES)[:3] == "bed"  # of equally new ones the earlier
    assert picked(freshness=0.1, ages=AGES) == "abcdef"
    assert picked(freshness=0.5, ages=AGES) == "beadcf"
    assert picked(freshness=1.0) == "abcdef"  # nobody knows since when


def test_what_must_not_be_shown_stays_away_however_new() -> None:
    met = np.where(SCORES == 5, -np.inf, SCORES)
    assert picked(scores=met, ages=AGES, freshness=1.0)[:2] == "ed"
    assert "b" not in picked(scores=met, ages=AGES, freshness=1.0)
    assert picked(scores=np.full(6, -np.inf), ages=AGES, freshness=1.0) == ""


@pytest.mark.parametrize(
    "rules",
    [{"variety": -0.1}, {"variety": 1.1}, {"freshness": 1.1}, {"most_per_category": 0}],
)
def test_rules_that_are_none_are_an_error(rules: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ListRules(**rules)  # type: ignore[arg-type]
