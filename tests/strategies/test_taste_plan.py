"""How taste is asked for follows from public numbers, keeps to the limit, and says why."""

from __future__ import annotations

import math
import re

import pytest

from privacy.query import TrustModel
from strategies.plan import recommendation_alone
from strategies.taste_plan import TASTE_SIGNAL, TasteWay, UploadLimit, choose_taste


@pytest.mark.parametrize(
    ("signal", "megabytes", "way", "said"),
    [
        (100.0, 16.8, TasteWay.NOTHING, "not asked for: users times mu, .* is 100, below 150"),
        (1000.0, 16.8, TasteWay.PRODUCTS, "one answer of 0.257 MB: .* all pairs of 252 items"),
        (1000.0, 0.2, TasteWay.ROUNDS, "252 items: .* need 0.257 MB, over the limit of 0.2"),
        (1000.0, 0.064, TasteWay.ROUNDS, "3 answers of 0.0343 MB, about 16 directions in 252"),
        (
            17900.0,
            0.064,
            TasteWay.ROUNDS,
            "0.0639 MB, about 17 directions in 455 items: .* 1,070 items",
        ),
        (17900.0, 0.256, TasteWay.ROUNDS, "about 29 directions in 1,070 items"),
        (math.inf, 16.8, TasteWay.PRODUCTS, "2,048 items"),
        (math.inf, 0.064, TasteWay.ROUNDS, "32 directions in 242 items"),
    ],
)
def test_the_way_follows_from_signal_and_limit_and_is_told(
    signal: float, megabytes: float, way: TasteWay, said: str
) -> None:
    choice = choose_taste(1.0, signal, UploadLimit(largest_mb=megabytes))
    assert choice.way is way
    assert re.search(said, choice.sentence), choice.sentence


@pytest.mark.parametrize("trust_model", list(TrustModel))
@pytest.mark.parametrize("megabytes", [0.01, 0.03, 0.064, 0.256, 1.0, 4.0])
@pytest.mark.parametrize("signal", [TASTE_SIGNAL, 1e3, 1e4, 1e6])
def test_no_answer_is_larger_than_the_limit(
    signal: float, megabytes: float, trust_model: TrustModel
) -> None:
    limit = UploadLimit(largest_mb=megabytes, trust_model=trust_model)
    choice = choose_taste(1.0, signal, limit)
    if choice.way is TasteWay.ROUNDS:
        numbers = choice.items * choice.directions
        assert choice.directions < choice.items
    else:
        numbers = min(choice.items, 10**6) * (choice.items + 1) // 2
    assert 0 < limit.megabytes(numbers) <= megabytes


def test_a_small_catalogue_needs_no_rounds() -> None:
    limit = UploadLimit(largest_mb=0.064, n_items=100)
    assert choose_taste(1.0, 1e6, limit).way is TasteWay.PRODUCTS


def test_where_taste_is_not_asked_for_the_sentence_says_what_is() -> None:
    assert choose_taste(1.0, 1.0, UploadLimit()).sentence.endswith("is spent on what is popular.")
    clusters = choose_taste(1.0, 1.0, UploadLimit(), instead="clusters")
    assert clusters.sentence.endswith("All is spent on clusters.")


def test_rounds_share_what_one_answer_would_get() -> None:
    small = recommendation_alone(1e4, UploadLimit(largest_mb=0.064))
    large = recommendation_alone(1e4)
    assert [phase.name for phase in small[1:-1]] == ["taste-1", "taste-2", "taste-3"]
    assert {phase.asks.kind for phase in small[1:-1]} == {"taste-projection"}
    assert sum(phase.share for phase in small) == pytest.approx(1.0)
    assert sum(phase.share for phase in small[1:-1]) == pytest.approx(large[1].share)
    assert len({phase.share for phase in small[1:-1]}) == 1
