"""Taste ranks what goes with the latest items first; what is not known of it harms nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from client.candidates import ALL, Candidates
from client.recommender import Recommender
from client.reranking import ListRules
from client.stated_interests import StatedInterests, with_stand_ins
from client.taste_scoring import TasteScoring, recency_weighted, recent_lift
from client.text_closeness import TextCloseness
from client.tuning import tuned, without_latest
from privacy.query import FloatArray
from strategies.cluster_map import ClusterMap
from strategies.fusion import Fusion
from tests.client.examples import a_map, profiles_of

N_ITEMS = 12
GROUPS = 3
"""Items 0, 3, 6, 9 go with each other, and so on; 11 is new and nobody was asked about it."""
ASKED = N_ITEMS - 1


def vectors() -> FloatArray:
    """Texts tell nothing of the groups."""
    rows = np.random.default_rng(1).standard_normal((N_ITEMS, 8))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def taste_map(k: int = 1, **changes: Any) -> ClusterMap:
    member = np.zeros((ASKED, GROUPS))
    member[np.arange(ASKED), np.arange(ASKED) % GROUPS] = 1
    weights = np.ones(N_ITEMS, np.float32)
    weights[ASKED:] = 0
    fields: dict[str, Any] = {
        "popularity": np.linspace(2, 1, N_ITEMS, dtype=np.float32),
        "item_weights": np.tile(np.linspace(2, 1, N_ITEMS, dtype=np.float32), (k, 1)),
        "taste_weights": weights,
        "taste_directions": (member / np.linalg.norm(member, axis=0)).astype(np.float32),
        "taste_strengths": np.full(GROUPS, 0.9, np.float32),
    }
    return a_map(np.eye(k, 8), N_ITEMS, **(fields | changes))


def days(*users: Mapping[int, float]) -> csr_matrix:
    return profiles_of(np.zeros((len(users), 8)), users, N_ITEMS).last_days


def best(last_days: csr_matrix, count: int = 3, **fusion: float) -> list[int]:
    usual = {"text": 0.0, "popularity": 0.0} | fusion
    scoring = TasteScoring(taste_map(), TextCloseness(vectors()), Fusion(**usual))
    scores = scoring.scores(last_days, 0, np.arange(N_ITEMS))[0]
    scores[last_days.indices] = -np.inf
    return [int(item) for item in np.argsort(-scores, kind="stable")[:count]]


def test_what_goes_with_the_history_comes_first() -> None:
    assert set(best(days({0: 1.0, 3: 2.0}), 2)) == {6, 9}
    assert set(best(days({1: 1.0}), 3)) == {4, 7, 10}


def test_the_latest_items_count_most() -> None:
    mixed = {0: 0.0, 1: 50.0, 4: 60.0}
    assert set(best(days(mixed), 3, half_life=1.0)) == {3, 6, 9}
    assert set(best(days(mixed), 2, half_life=1e9)) == {7, 10}


def test_recency_counts_newer_items_not_days() -> None:
    weights = recency_weighted(days({5: 100.0, 2: 3.0, 7: 3.0}, {}, {1: 0.0}), 1.0)
    assert weights[0].toarray()[0, [2, 7, 5]].tolist() == [1.0, 0.5, 0.25]
    assert weights[1].nnz == 0
    assert weights[2, 1] == 1.0


def test_a_history_of_unknown_items_only_leaves_texts_to_decide() -> None:
    scoring = TasteScoring(taste_map(), TextCloseness(vectors()), Fusion(text=1.0, popularity=0.0))
    scores = scoring.scores(days({ASKED: 1.0}), 0, np.arange(N_ITEMS))[0]
    close = (vectors() @ vectors()[ASKED])[:ASKED]
    assert np.argsort(-scores[:ASKED]).tolist() == np.argsort(-close).tolist()


def test_what_is_popular_lately_is_lifted_as_far_as_wanted() -> None:
    lately = np.ones(N_ITEMS, np.float32)
    lately[9] = 1000.0
    pushed = taste_map(recent_popularity=lately)
    assert recent_lift(pushed)[9] == pytest.approx(1.5)
    for lift, first in ((0.0, 3), (1.0, 9)):
        scoring = TasteScoring(
            pushed, TextCloseness(vectors()), Fusion(text=0.0, popularity=0.0, lift=lift)
        )
        scores = scoring.scores(days({0: 1.0}), 0, np.arange(N_ITEMS))[0]
        scores[0] = -np.inf
        assert int(np.argmax(scores)) == first


def test_the_users_cluster_is_followed_as_far_as_wanted() -> None:
    weights = np.tile(np.linspace(2, 1, N_ITEMS, dtype=np.float32), (2, 1))
    weights[1, 9] *= 2
    pushed = taste_map(2, item_weights=weights)
    for cluster, follow, first in ((0, 1.0, 3), (1, 1.0, 9), (1, 0.0, 3)):
        scoring = TasteScoring(
            pushed, TextCloseness(vectors()), Fusion(text=0.0, popularity=0.0, cluster=follow)
        )
        scores = scoring.scores(days({0: 1.0}), cluster, np.arange(N_ITEMS))[0]
        scores[0] = -np.inf
        assert int(np.argmax(scores)) == first


def test_a_map_without_taste_is_no_map_for_it() -> None:
    with pytest.raises(ValueError, match="knows nothing of taste"):
        TasteScoring(a_map(np.eye(1, 8), N_ITEMS), TextCloseness(vectors()))


# The recommender with such a map.


def recommender(*users: Mapping[int, float], **changes: Any) -> Recommender:
    profiles = profiles_of(np.zeros((len(users), 8)), users, N_ITEMS)
    return Recommender(profiles, vectors(), taste_map(**changes), pd.DataFrame())


def test_reasons_name_own_items_that_it_goes_with() -> None:
    first = recommender({0: 1.0, 3: 2.0, 1: 90.0}).new_for("user-0", 2)
    assert {one.item_id for one in first} == {"item-6", "item-9"}
    for one in first:
        assert one.reason.startswith("goes with item-0 and item-3")


@pytest.mark.parametrize("met", [{}, {2: 0.0}, dict.fromkeys(range(N_ITEMS), 1.0)])
def test_empty_full_and_single_histories_get_what_is_left(met: dict[int, float]) -> None:
    shop = recommender(met)
    found = [one.item_id for one in shop.new_for("user-0", 99)]
    assert len(found) == len(set(found)) == N_ITEMS - len(met)
    assert not {f"item-{item}" for item in met} & set(found)
    items, scores = shop.best_new(np.array([0]), 99)
    assert [f"item-{item}" for item in items[0] if item >= 0] == found
    assert (np.isfinite(scores[0]) == (items[0] >= 0)).all()


def test_batch_ranks_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    users = [dict.fromkeys(rng.choice(N_ITEMS, 4, replace=False).tolist(), 1.0) for _ in range(40)]
    shop = recommender(*users, k=2)
    items, _ = shop.best_new(np.arange(40), 5)
    for row, user in enumerate(shop.profiles.user_ids):
        own = [one.item_id for one in shop.new_for(user, 5)]
        assert [f"item-{item}" for item in items[row]] == own


def interested_in(*items: int) -> StatedInterests:
    texts = [f"things like {item}" for item in items]
    return StatedInterests(texts=texts, vectors=vectors()[list(items)])


def test_well_known_items_close_to_a_stated_interest_stand_for_it() -> None:
    popularity = np.linspace(2, 1, N_ITEMS, dtype=np.float32)
    found = interested_in(4).stand_ins(vectors(), popularity)
    assert list(found) == [0, 1, 2]  # twenty near ones are all there are
    assert set(found.values()) == {"things like 4"}
    assert list(interested_in(4, 5).stand_ins(vectors(), popularity).values()) == 3 * [
        "things like 4"
    ]
    assert interested_in().stand_ins(vectors(), popularity) == {}


def test_stand_ins_are_older_than_all_that_was_met() -> None:
    history = with_stand_ins(days({7: 0.0, 3: 90.0}), [5, 1])
    assert history.toarray()[0, [7, 3, 5, 1]].tolist() == [0.0, 90.0, 91.0, 92.0]
    assert sorted(history.indices) == [1, 3, 5, 7]
    assert with_stand_ins(days({}), [5]).toarray()[0, 5] == 1.0


def test_somebody_new_gets_what_goes_with_stated_interests_and_why() -> None:
    shop = recommender({}, popularity=np.array([1.0] * 6 + [9.0] * 3 + [1.0] * 3, np.float32))
    told = shop.new_for("nobody", 12, interests=interested_in(4))
    assert {one.item_id for one in told} == {f"item-{item}" for item in range(N_ITEMS)}
    # Stand-ins, too: they were never met. Nobody is told that an item goes with them.
    assert told[0].reason.startswith("suits your interest in things like 4; ")
    assert told[0].kind == "interests"
    assert not any("goes with" in one.reason for one in told)
    popular = [one.item_id for one in shop.new_for("nobody", 3, interests=interested_in())]
    assert popular == ["item-6", "item-7", "item-8"]


def test_stated_interests_fade_as_real_items_come() -> None:
    few = recommender({0: 1.0})
    many = recommender({0: 1.0, 3: 2.0, 6: 3.0, 4: 4.0, 7: 5.0})
    interests = interested_in(2)

    def moved(shop: Recommender) -> int:
        without, with_them = (
            [one.item_id for one in shop.new_for("user-0", 12, interests=said)]
            for said in (None, interests)
        )
        assert set(without) == set(with_them)  # what was met stays away
        return sum(a != b for a, b in zip(without, with_them, strict=True))

    assert moved(few) > moved(many)


def test_a_cluster_has_a_list_of_its_own() -> None:
    weights = np.tile(np.linspace(2, 1, N_ITEMS, dtype=np.float32), (2, 1))
    weights[1, 7] = 9.0
    shop = recommender({0: 1.0}, k=2, item_weights=weights)
    first, second, *_ = shop.of_cluster(1)
    assert (first.item_id, first.reason) == ("item-7", "popular in cluster 1")
    assert (second.item_id, second.reason) == ("item-0", "popular with everybody")
    rules = ListRules(excluded_items=frozenset({"item-7"}))
    assert [one.item_id for one in shop.of_cluster(1, 1, rules)] == ["item-0"]


def test_rules_hold_for_everybody() -> None:
    rules = ListRules(excluded_items=frozenset({"item-3", "item-0"}))
    shop = recommender({6: 1.0})
    lists = [shop.new_for("user-0", 12, rules), shop.new_for("nobody", 12, rules)]
    lists.append(shop.new_for("nobody", 12, rules, interested_in(4)))
    for found in lists:
        assert not {"item-3", "item-0"} & {one.item_id for one in found}


def test_of_a_large_catalogue_the_likeliest_items_are_looked_at() -> None:
    n = ALL + 1
    popularity = np.arange(n, dtype=np.float32)
    weights = np.zeros(n, np.float32)
    weights[:3] = 1
    pushed = a_map(
        np.eye(1, 8),
        n,
        popularity=popularity,
        item_weights=popularity[None],
        recent_popularity=popularity[::-1].copy(),
        taste_weights=weights,
        taste_directions=np.eye(3, dtype=np.float32),
        taste_strengths=np.ones(3, np.float32),
    )
    found = Candidates(pushed).of(0)
    assert (np.diff(found) > 0).all()
    assert {0, 1, 2, n - 1, n - 1000} <= set(found.tolist())
    assert len(found) == 1200
    assert len(Candidates(taste_map()).of(0)) == N_ITEMS


# Tuned at home.


def test_the_latest_items_are_taken_out() -> None:
    earlier, latest = without_latest(days({3: 5.0, 1: 2.0, 7: 2.0}, {4: 1.0}), part=0.1)
    assert [row.indices.tolist() for row in latest] == [[1], [4]]
    assert [row.indices.tolist() for row in earlier] == [[3, 7], []]
    many = days({item: float(item) for item in range(N_ITEMS)})
    earlier, latest = without_latest(many, part=0.25)
    assert latest.indices.tolist() == [0, 1, 2]
    assert earlier.indices.tolist() == list(range(3, N_ITEMS))
    np.testing.assert_array_equal((earlier + latest).toarray(), many.toarray())


@pytest.mark.parametrize("latest", [0.0, 1.0])
def test_people_who_stay_with_what_they_liked_have_a_long_memory(latest: float) -> None:
    rng = np.random.default_rng(0)

    def somebody(true_to: int) -> dict[int, float]:
        first, second = rng.permutation(2)
        met = {int(first + GROUPS * step): 50.0 + step for step in range(3)}
        return met | {int(second): 3.0, int((first, second)[true_to] + GROUPS * 3): latest}

    for true_to in (0, 1):
        users = [somebody(true_to) for _ in range(300)]
        profiles = profiles_of(np.zeros((300, 8)), users, N_ITEMS)
        usual = Fusion(half_life=0.5, text=0.0, popularity=0.0, lift=0.5)
        found = tuned(profiles, taste_map(), vectors(), usual=usual)
        assert (found.half_life >= 8.0) is (true_to == 0)
        assert found.lift == 0.5


def test_what_helps_nobody_is_left_as_it_is() -> None:
    usual = Fusion(half_life=3.0, text=0.0)
    alone = profiles_of(np.zeros((1, 8)), [{0: 1.0, 3: 2.0}], N_ITEMS)
    assert tuned(alone, taste_map(), vectors(), usual=usual) == usual
    nobody = profiles_of(np.zeros((0, 8)), [], N_ITEMS)
    assert tuned(nobody, taste_map(), vectors(), usual=usual) == usual
    without = a_map(np.eye(1, 8), N_ITEMS)
    assert tuned(alone, without, vectors()) == Fusion()


def test_many_users_lists_are_those_of_each_also_where_items_tie() -> None:
    popularity = np.ones(N_ITEMS, np.float32)
    shop = recommender({2: 1.0}, popularity=popularity).weighing(Fusion(), popularity_only=True)
    places, _ = shop.best_new(np.array([0]), 5)
    assert [f"item-{place}" for place in places[0]] == [
        one.item_id for one in shop.new_for("user-0", 5)
    ]


def test_what_stands_for_an_interest_is_not_said_to_go_with_itself() -> None:
    shop = recommender({5: 1.0})
    for one in shop.new_for("user-0", 12, interests=interested_in(4)):
        assert one.item_id not in one.reason


def test_what_is_bought_again_does_not_tell_what_will_be_new() -> None:
    rng = np.random.default_rng(0)
    last, first = [], []
    for _ in range(300):
        old, new = (int(group) for group in rng.permutation(2))
        bought_again = old + GROUPS * 3
        met = {old + GROUPS * step: 50.0 + step for step in range(3)}
        met |= {bought_again: 60.0, new: 3.0, new + GROUPS: 2.0}
        first.append(met)
        last.append(met | {bought_again: 1.0})
    shape = np.zeros((300, 8))
    profiles = replace(
        profiles_of(shape, last, N_ITEMS), first_days=profiles_of(shape, first, N_ITEMS).last_days
    )
    usual = Fusion(half_life=0.5, text=0.0, popularity=0.0)
    assert tuned(profiles, taste_map(), vectors(), usual=usual).half_life < 8.0
    by_last = replace(profiles, first_days=profiles.last_days)
    assert tuned(by_last, taste_map(), vectors(), usual=usual).half_life >= 8.0
