"""Taste is learned through the door, and judged on what nobody had seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from client.recommendation_files import write_recommendations
from client.recommender import Recommender
from privacy.query import NoiseKind, TrustModel
from simulations.recommendation.baselines import (
    content,
    ease,
    item_neighbours,
    noisy_popularity,
    random_clusters,
)
from simulations.recommendation.behaviour import Behaviour, BehaviourError, arranged, movielens
from simulations.recommendation.judging import Judge
from simulations.recommendation.learning import learn, learn_and_tell
from simulations.recommendation.populations import (
    factor_population,
    fit_factors,
    people_with_topics,
    session_population,
)
from simulations.recommendation.splits import Split, global_time, leave_last_out, whole
from strategies.federated_kmeans import StrategyError
from strategies.item_space import Space
from strategies.phases.phase import Phase
from strategies.plan import plan, preferences, recommendation_alone
from strategies.public_catalogue import PublicCatalogue
from strategies.taste_plan import UploadLimit

N_ITEMS = 120


def catalogue() -> PublicCatalogue:
    rng = np.random.default_rng(5)
    categories = [f"DEPARTMENT {item % 4} > TOPIC {item % 12}" for item in range(N_ITEMS)]
    topics = rng.standard_normal((12, 16))
    vectors = topics[np.arange(N_ITEMS) % 12] + 0.7 * rng.standard_normal((N_ITEMS, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return PublicCatalogue(
        fingerprint="c",
        encoder="e",
        encoder_name="fake",
        device="cpu",
        item_ids=[f"item-{item}" for item in range(N_ITEMS)],
        texts=[f"thing {item}" for item in range(N_ITEMS)],
        categories=categories,
        vectors=vectors.astype(np.float32),
    )


@pytest.fixture(scope="module")
def people() -> Behaviour:
    return session_population(catalogue(), 1500, seed=3)


@pytest.fixture(scope="module")
def split(people: Behaviour) -> Split:
    return leave_last_out(people)


def small() -> Behaviour:
    rows = [
        ("b", 1, 5.0),
        ("b", 2, 1.0),
        ("b", 1, 9.0),
        ("a", 3, 2.0),
        ("a", 0, 2.0),
        ("c", 7, 3.0),
    ]
    return arranged("small", pd.DataFrame(rows, columns=["user", "item", "day"]), catalogue(), 8.0)


def test_last_new_item_of_everybody_is_withheld_for_good() -> None:
    found = leave_last_out(small())
    assert found.judged.tolist() == [0, 1]  # who met one item only has nothing to be judged by
    assert found.wanted.nonzero()[1].tolist() == [0, 1]
    met = found.met.toarray()
    assert [np.flatnonzero(row).tolist() for row in met] == [[3], [2], [7]]
    assert not (met.astype(bool) & found.wanted.toarray()).any()


def test_after_a_moment_only_new_items_of_known_people_judge() -> None:
    found = global_time(small(), share=0.6)
    assert np.quantile(small().days, 0.6) == 3.0
    assert found.wanted.nonzero()[0].tolist() == [1]
    assert found.wanted.nonzero()[1].tolist() == [1]
    assert found.profiles.last_days[1].toarray()[0, 2] == 0.0


def test_where_newcomers_judge_nothing_is_withheld() -> None:
    found = whole(small())
    assert not len(found.judged)
    met = found.met.toarray()
    assert [np.flatnonzero(row).tolist() for row in met] == [[0, 3], [1, 2], [7]]


def test_histories_are_in_the_order_of_events(people: Behaviour, split: Split) -> None:
    last = split.profiles.last_days
    for user in (0, 7, 1499):
        own = people.users == user
        items = people.items[own]
        newest_first = list(dict.fromkeys(items[::-1].tolist()))
        withheld = split.wanted[user].indices.tolist()
        row = last[user]
        order = row.indices[np.argsort(row.data, kind="stable")].tolist()
        assert order == [item for item in newest_first if item not in withheld]


def test_taste_ranks_far_above_popularity_where_the_budget_allows(split: Split) -> None:
    judge = Judge(split)
    popular = judge.judge([judge.by_scores(noisy_popularity(split, 1e9, 0))])
    pushed = learn(split, recommendation_alone, 4.0, noise=NoiseKind.SEEDED)
    assert pushed.taste is not None
    vectors = split.behaviour.catalogue.vectors
    recommender = Recommender(split.profiles, vectors, pushed, pd.DataFrame())
    ours = judge.judge([lambda users: recommender.best_new(users)[0]])
    gain, error = ours.gain(popular)
    assert gain > 4 * error
    dense = judge.judge([judge.by_scores(recommender.scores_of_new)])
    assert dense.hit_rate == ours.hit_rate


@pytest.mark.parametrize("space", [Space.TEXT, Space.BOTH])
def test_one_run_learns_clusters_labels_and_taste(split: Split, space: Space) -> None:
    def joint(signal: float) -> list:  # type: ignore[type-arg]
        return plan(taste=True, signal=signal, space=space)

    pushed = learn(split, joint, 8.0, k=4, silos=3, noise=NoiseKind.SEEDED)
    assert pushed.taste is not None
    tastes = 0 if space is Space.TEXT else len(pushed.taste_strengths)
    assert pushed.centroids.shape == (4, 16 + tastes)
    assert all(pushed.labels)
    assert not np.allclose(pushed.item_weights[0], pushed.item_weights[1])


SMALL = UploadLimit(largest_mb=0.03, n_items=N_ITEMS)


def by_small_messages(signal: float) -> list[Phase]:
    return recommendation_alone(signal, SMALL)


def test_small_messages_rank_far_above_popularity_too(split: Split) -> None:
    judge = Judge(split)
    popular = judge.judge([judge.by_scores(noisy_popularity(split, 1e9, 0))])
    pushed, strategy = learn_and_tell(split, by_small_messages, 4.0, noise=NoiseKind.SEEDED)
    rounds = [record for record in strategy.history if record.purpose.startswith("taste")]
    assert len(rounds) == 3
    assert max(record.bytes_up for record in rounds) <= 30_000
    recommender = Recommender(
        split.profiles, split.behaviour.catalogue.vectors, pushed, pd.DataFrame()
    )
    gain, error = judge.judge([lambda users: recommender.best_new(users)[0]]).gain(popular)
    assert gain > 4 * error


def test_devices_give_the_taste_that_one_silo_gives(split: Split) -> None:
    first = replace(split, profiles=split.profiles.part(slice(0, 300)))
    usual: dict[str, Any] = {"noise": NoiseKind.SEEDED, "seed": 4}
    silo = learn(first, by_small_messages, 8.0, **usual).taste
    devices = learn(first, by_small_messages, 8.0, silos=30, **usual).taste
    assert silo is not None
    assert devices is not None
    assert silo.directions.shape[1] >= 2
    for name, array in silo.parts().items():
        np.testing.assert_array_equal(array, devices.parts()[name])


def test_what_the_budget_cannot_support_is_not_asked_for(split: Split) -> None:
    pushed = learn(split, recommendation_alone, 0.05, noise=NoiseKind.SEEDED)
    assert pushed.taste is None
    assert pushed.recent_popularity.size == 0
    recommender = Recommender(
        split.profiles, split.behaviour.catalogue.vectors, pushed, pd.DataFrame()
    )
    items, _ = recommender.best_new(split.judged[:50])
    assert (items >= 0).all()


def test_regions_that_add_their_own_noise_have_less_signal(split: Split) -> None:
    signals = []

    def remembered(signal: float) -> list:  # type: ignore[type-arg]
        signals.append(signal)
        return recommendation_alone(signal)

    for trust, silos in ((TrustModel.CENTRAL, 4), (TrustModel.LOCAL, 4)):
        learn(split, remembered, 4.0, silos=silos, trust_model=trust, noise=NoiseKind.SEEDED)
    assert signals[0] == pytest.approx(2 * signals[1])


def test_plan_without_a_push_back_is_an_error(split: Split) -> None:
    with pytest.raises(StrategyError, match="No map was pushed back"):
        learn(split, lambda signal: preferences(1.0, signal), 4.0, noise=NoiseKind.SEEDED)


def test_references_beat_popularity(split: Split) -> None:
    judge = Judge(split)
    popular = judge.judge([judge.by_scores(noisy_popularity(split, 1e9, 0))])
    for score in (ease(split, 100.0), item_neighbours(split), content(split)):
        found = judge.judge([judge.by_scores(score)])
        assert found.hit_rate > popular.hit_rate
        assert 0 < found.mean("ndcg") < 1


def test_popularity_drowns_in_noise(split: Split) -> None:
    judge = Judge(split)
    rates = [
        judge.judge([judge.by_scores(noisy_popularity(split, mu, 1))]).hit_rate
        for mu in (1e9, 0.005)
    ]
    assert rates[0] > 1.2 * rates[1]
    recent = noisy_popularity(split, 1e9, 0, latest=1)(split.judged[:1])[0]
    last = split.profiles.last_days
    newest = csr_matrix((last.data == 0, last.indices, last.indptr), shape=last.shape)
    np.testing.assert_allclose(recent, np.asarray(newest.sum(axis=0)).ravel(), atol=1e-6)


def test_factor_population_takes_after_the_people_it_was_fitted_to(people: Behaviour) -> None:
    factors = fit_factors(people)
    drawn = factor_population(factors, 300, people.catalogue, seed=1)
    again = factor_population(factors, 300, people.catalogue, seed=1)
    assert (drawn.items == again.items).all()
    assert (drawn.days == again.days).all()
    pairs = drawn.users * N_ITEMS + drawn.items
    assert len(np.unique(pairs)) == len(pairs)  # nobody meets an item twice
    counts = [np.bincount(one.items, minlength=N_ITEMS) for one in (people, drawn)]
    assert np.corrcoef(counts[0], counts[1])[0, 1] > 0.7


def test_people_come_at_different_times_and_keep_their_order(people: Behaviour) -> None:
    assert (np.diff(people.days)[np.diff(people.users) == 0] >= 0).all()
    first = people.days[np.append(True, np.diff(people.users) > 0)]
    assert np.quantile(first, 0.25) < 120 < np.quantile(first, 0.75)
    assert people.days.max() <= 365
    judged = global_time(people).judged
    assert 0.4 < len(judged) / people.n_users < 0.95  # some come only after the moment


def test_the_first_people_are_the_same_however_many_are_drawn(people: Behaviour) -> None:
    few, likes = people_with_topics(catalogue(), 20, seed=3)
    assert (few.items == people.items[people.users < 20]).all()
    topics = np.array(few.catalogue.categories)
    met = [topics[few.items[few.users == user]].tolist() for user in range(20)]
    shares = [np.mean([one in own for one in seen]) for seen, own in zip(met, likes, strict=True)]
    assert np.mean(shares) > 0.6


def test_random_clusters_are_worth_no_more_than_popularity(split: Split) -> None:
    judge = Judge(split)
    popular = judge.judge([judge.by_scores(noisy_popularity(split, 1e9, 0))])
    for mu in (1e9, 0.3):
        scores = random_clusters(split, mu, 0, 16)
        found = judge.judge([judge.by_scores(scores)])
        gain, error = found.gain(popular)
        assert gain < 3 * error
    rows = random_clusters(split, 1e9, 0, 4)(np.arange(400))
    assert len(np.unique(rows, axis=0)) == 4


def test_movielens_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BehaviourError, match="Nothing was judged"):
        movielens(tmp_path, tmp_path)


def test_everybodys_recommendations_go_into_one_file(split: Split, tmp_path: Path) -> None:
    pushed = learn(split, recommendation_alone, 4.0, noise=NoiseKind.SEEDED)
    recommender = Recommender(
        split.profiles, split.behaviour.catalogue.vectors, pushed, pd.DataFrame()
    )
    path = tmp_path / "deep" / "all.parquet"
    users = write_recommendations(recommender, path, 5)
    found = pd.read_parquet(path)
    assert users == found.user_id.nunique() == len(split.profiles)
    assert found.groupby("user_id").item_id.nunique().eq(5).all()
    assert list(path.parent.iterdir()) == [path]
    own = [one.item_id for one in recommender.new_for("7", 5)]
    assert found[found.user_id == "7"].sort_values("rank").item_id.tolist() == own
