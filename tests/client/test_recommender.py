"""Recommendations made at home: the usuals are one's own, the new ones are new."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from client.cluster_scoring import CONTENT_WEIGHT, TYPICAL_BASKET
from client.errors import RecommendationError
from client.interest_profile import build_profiles
from client.reasons import EVERYBODY
from client.recommender import Recommendation, Recommender
from client.text_closeness import SHARPNESS
from privacy.query import FloatArray
from tests.client.examples import a_map, usable

ITEMS = ("RYE BREAD", "WHITE BREAD", "GREEN TEA", "BLACK TEA", "SOAP", "TOWEL")
AS_OF = datetime.fromisoformat("2017-12-01T00:00:00+00:00")
POPULARITY = np.array([3, 6, 2, 5, 4, 1], np.float32)
WEIGHTS = np.array([[6, 9, 2, 5, 1, 1], [1, 2, 2, 5, 9, 7]], np.float32)


def vectors() -> FloatArray:
    """Bread, tea and bathroom: three directions, two items close to each."""
    rows = np.repeat(np.eye(3), 2, axis=0) + 0.05 * np.random.default_rng(0).standard_normal((6, 3))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def ago(days: float) -> str:
    return (AS_OF - timedelta(days=days)).isoformat()


PURCHASES = (
    *(("anna", "RYE BREAD", ago(age)) for age in (1, 8, 15)),
    *(("anna", "GREEN TEA", ago(age)) for age in (2, 60)),
    ("anna", "SOAP", ago(300)),
    ("bert", "TOWEL", ago(3)),
    *(("carl", item, ago(4)) for item in ITEMS),
)


def recommender(
    purchases: Sequence[tuple[str, str, str]] = PURCHASES,
    half_life_days: float = 90.0,
    **changes: Any,
) -> Recommender:
    events = usable(purchases)
    profiles = build_profiles(events, ITEMS, vectors(), as_of=AS_OF, half_life_days=half_life_days)
    fields = {"item_weights": WEIGHTS, "popularity": POPULARITY, "labels": ["Bakery", "Bath"]}
    cluster_map = a_map(vectors()[[0, 5]], len(ITEMS), **(fields | changes))
    return Recommender(profiles, vectors(), cluster_map, events)


def ids(recommendations: Sequence[Recommendation]) -> list[str]:
    return [recommendation.item_id for recommendation in recommendations]


def test_usuals_are_the_users_own_items_by_habit() -> None:
    assert ids(recommender().usuals("anna")) == ["RYE BREAD", "GREEN TEA", "SOAP"]
    assert ids(recommender().usuals("anna", count=1)) == ["RYE BREAD"]
    assert ids(recommender().usuals("bert")) == ["TOWEL"]


def test_usuals_say_how_often_somebody_comes_back() -> None:
    rye, tea, soap = (usual.reason for usual in recommender().usuals("anna"))
    assert rye == "on 3 days, about every 7 days"
    assert tea == "on 2 days, about every 58 days"
    assert soap == "once before"


def test_what_is_bought_every_day_is_called_so() -> None:
    daily = recommender([("anna", "SOAP", ago(age)) for age in (1, 2, 3)])
    assert daily.usuals("anna")[0].reason == "on 3 days, nearly every day"


@pytest.mark.parametrize("user", ["anna", "bert", "carl", "nobody"])
@pytest.mark.parametrize("count", [1, 3, 99])
def test_new_items_are_new_and_never_twice(user: str, count: int) -> None:
    met = {item for who, item, _ in PURCHASES if who == user}
    new = ids(recommender().new_for(user, count))
    assert not met & set(new)
    assert len(new) == len(set(new)) == min(count, len(ITEMS) - len(met))


def test_what_was_met_long_ago_is_not_new() -> None:
    long_ago = [("anna", "RYE BREAD", ago(1500)), ("anna", "SOAP", ago(3))]
    assert "RYE BREAD" not in ids(recommender(long_ago, half_life_days=1.0).new_for("anna"))


def test_somebody_new_gets_what_is_popular_and_has_no_usuals() -> None:
    popular = recommender().new_for("nobody", count=4)
    assert ids(popular) == ["WHITE BREAD", "BLACK TEA", "SOAP", "RYE BREAD"]
    assert {recommendation.reason for recommendation in popular} == {EVERYBODY}
    assert recommender().usuals("nobody") == []
    assert recommender().cluster_of("nobody") is None


def test_users_belong_to_the_cluster_with_the_nearest_centroid() -> None:
    assert [recommender().cluster_of(user) for user in ("anna", "bert")] == [0, 1]


def test_best_come_first() -> None:
    for list_of in (recommender().usuals, recommender().new_for):
        scores = [recommendation.score for recommendation in list_of("anna")]
        assert scores == sorted(scores, reverse=True)


def test_new_items_score_by_cluster_weight_and_closeness() -> None:
    shop = recommender()
    space = vectors().astype(np.float64)

    def closeness(one: int, other: int) -> float:
        return 0.0 if one == other else math.exp(SHARPNESS * float(space[one] @ space[other]))

    met = {0, 2, 4}
    for item in set(range(6)) - met:
        share = [float(p) / float(POPULARITY.sum()) for p in POPULARITY]
        typical = sum(share[other] * closeness(other, item) for other in range(6))
        own = sum(closeness(other, item) for other in met)
        ratio = (own + TYPICAL_BASKET * typical) / ((len(met) + TYPICAL_BASKET) * typical)
        expected = math.log(WEIGHTS[0, item]) + CONTENT_WEIGHT * math.log(ratio)
        assert shop.scores_of_new(np.array([0]))[0, item] == pytest.approx(expected, rel=1e-4)


def test_reasons_name_the_users_own_items() -> None:
    by_id = {item.item_id: item.reason for item in recommender().new_for("anna")}
    assert by_id["WHITE BREAD"] == "goes with rye bread and green tea; popular in Bakery"
    assert by_id["TOWEL"].startswith("goes with soap and ")
    own = {"rye bread", "green tea", "soap"}
    for reason in by_id.values():
        named = reason.removeprefix("goes with ").split(";")[0].split(" and ")
        assert set(named) <= own


def test_a_single_item_is_enough_for_a_reason() -> None:
    by_id = {item.item_id: item.reason for item in recommender().new_for("bert")}
    assert by_id["SOAP"] == "goes with towel; popular in Bath"
    assert by_id["BLACK TEA"] == EVERYBODY


def test_a_map_about_other_items_is_refused() -> None:
    with pytest.raises(RecommendationError, match="map is about 4 items, the catalogue has 6") as e:
        recommender(item_weights=WEIGHTS[:, :4], popularity=POPULARITY[:4])
    assert "Nothing was recommended. Wait for the map" in str(e.value)
