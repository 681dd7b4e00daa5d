"""A whole run of phases over people in memory, with and without noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans

from client.contributions import contributions_to
from client.interest_profile import InterestProfiles
from privacy.clipping import clipped_sum
from privacy.query import SumQuery, TrustModel, sensitivity_of
from strategies.aggregation import NoisySum
from strategies.clustering import Clustering
from strategies.exact_geometry import squared_distances
from strategies.item_space import Space, located
from strategies.phases.choice import SpaceChoice
from strategies.phases.description import pooled
from strategies.phases.experiment import Asked
from strategies.phases.phase import Phase
from strategies.phases.preferences import Popularity
from strategies.plan import plan, planned_releases, recommendation_alone
from strategies.questions import Question
from strategies.taste import Taste


def profiles_of(people: np.ndarray, n_items: int) -> InterestProfiles:
    rng = np.random.default_rng(5)
    met = csr_matrix((rng.random((len(people), n_items)) < 0.3).astype(float))
    return InterestProfiles(
        user_ids=tuple(str(row) for row in range(len(people))),
        item_ids=tuple(str(item) for item in range(n_items)),
        item_vectors=rng.standard_normal((n_items, people.shape[1])).astype(np.float32),
        vectors=people.astype(np.float32),
        counts=met,
        last_days=met * 30.0,
        first_days=met * 30.0,
        habits=met,
    )


def query_of(question: Question) -> SumQuery:
    return SumQuery(
        purpose="test",
        kind=question.kind,
        blocks=question.blocks(),
        sigma=sensitivity_of(question.blocks()),
        trust_model=TrustModel.LOCAL,
        run="run-1",
        round_number=1,
        nonce="",
    )


def run_phases(
    known: Clustering, people: np.ndarray, multiplier: float, phases: Sequence[Phase] | None = None
) -> list[tuple[str, str]]:
    """Ask every phase's question of ``people``; noise is ``multiplier`` x sensitivity.

    Return name and kind of each.
    """
    asked = []
    rng = np.random.default_rng(7)
    profiles = profiles_of(people, len(known.catalogue.item_ids))
    for phase in phases or plan():
        question = phase.ask(known)
        query, parts = query_of(question), contributions_to(question, profiles)
        bounds = [block.clipping_norm for block in question.blocks()]
        sigma = multiplier * float(np.linalg.norm(bounds)) / np.sqrt(phase.share)
        sums = {
            block.name: clipped_sum(query, block, parts[block.name]) * query.step
            for block in question.blocks()
        }
        noisy = {
            name: total + sigma * rng.standard_normal(total.shape) for name, total in sums.items()
        }
        phase.absorb(known, NoisySum(noisy, sigma))
        asked.append((phase.name, question.kind))
    return asked


def cost(people: np.ndarray, centroids: np.ndarray) -> float:
    return float(squared_distances(people, centroids.astype(np.float32)).min(axis=1).sum())


def test_shares_of_a_run_add_up_to_one() -> None:
    assert sum(phase.share for phase in plan()) == pytest.approx(1.0)
    assert len({phase.name for phase in plan()}) == len(plan())


def test_a_plan_tells_beforehand_what_will_be_asked(known: Clustering, people: np.ndarray) -> None:
    told = [(release.purpose, release.kind) for release in planned_releases(4.0, 1e-6, plan())]
    assert told == run_phases(known, people[:300], multiplier=1.0)


@pytest.mark.parametrize("choosing_k", [False, True])
def test_shares_of_a_run_that_learns_taste_add_up_to_one(choosing_k: bool) -> None:
    for signal in (1e3, 1.0):
        phases = plan(choosing_k=choosing_k, taste=True, signal=signal)
        assert sum(phase.share for phase in phases) == pytest.approx(1.0)
        kinds = [phase.asks.kind for phase in phases]
        assert ("taste-moments" in kinds) is (signal > 1)
        alone = recommendation_alone(signal)
        assert sum(phase.share for phase in alone) == pytest.approx(1.0)
        assert ("taste-moments" in [phase.asks.kind for phase in alone]) is (signal > 1)


LISTS = Asked(name="lists", arms=("plain", "varied"), window_days=30.0, dwell_cap=60.0)


@pytest.mark.parametrize("taste", [False, True])
def test_an_experiment_is_asked_about_before_the_push_back_and_all_others_shrink_alike(
    taste: bool,
) -> None:
    without, phases = plan(taste=taste), plan(taste=taste, experiment=LISTS)
    assert sum(phase.share for phase in phases) == pytest.approx(1.0)
    assert [phase.asks.kind for phase in phases[-2:]] == ["list-feedback", "map-quality"]
    assert phases[-2].share == 0.04
    others = [phase for phase in phases if phase.name != "feedback"]
    assert [phase.name for phase in others] == [phase.name for phase in without]
    for phase, before in zip(others, without, strict=True):
        assert phase.share == pytest.approx(0.96 * before.share)


def test_what_came_of_an_experiment_is_known_in_the_end(
    known: Clustering, people: np.ndarray
) -> None:
    run_phases(known, people[:300], multiplier=1e-6, phases=plan(experiment=LISTS))
    assert known.experiment is not None
    assert known.experiment.name == "lists"
    nobody = [arm.users.value for arm in known.experiment.arms]  # nothing was shown to anybody
    assert nobody == pytest.approx([0, 0], abs=0.01)
    assert known.experiment.differences == ()


@pytest.mark.parametrize("space", ["text", "taste", "both"])
def test_clusters_are_found_in_the_space_that_was_asked_for(
    known: Clustering, people: np.ndarray, space: str
) -> None:
    run_phases(known, people, multiplier=1e-6, phases=plan(taste=True, space=Space(space)))
    pushed = known.cluster_map()
    tastes = 0 if space == "text" else len(pushed.taste_strengths)
    assert known.space_name == space
    texts = 0 if space == "taste" else people.shape[1]
    assert pushed.centroids.shape[1] == tastes + texts
    assert (pushed.space is None) is (space == "text")
    assert all(pushed.labels)
    assert known.space_gains == {}
    profiles = profiles_of(people, len(known.catalogue.item_ids))
    placed = located(pushed.space, profiles.vectors, profiles.last_days)
    own = squared_distances(placed, pushed.centroids).min(axis=1).mean()
    one = ((placed - placed.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert own < one


def test_the_best_space_is_that_of_the_largest_released_gain(known: Clustering) -> None:
    known.popularity = np.linspace(1, 2, len(known.catalogue.item_ids))
    known.taste = some_taste(len(known.catalogue.item_ids))
    known.users = 100.0
    choice = SpaceChoice("space", 0.01)
    question = choice.ask(known)
    assert question.blocks()[0].shape == (1, 2)
    for gains, expected in (([[-1, -2]], "text"), ([[3, 2]], "taste"), ([[3, 4]], "both")):
        known.enter(Space.TEXT)
        choice.absorb(known, NoisySum({"gains": np.array(gains, float)}, 0.5))
        assert known.space_name == expected
        assert known.space_gains == {"taste": gains[0][0] / 100, "both": gains[0][1] / 100}
        assert known.space_gains_noise == pytest.approx(0.005)


def test_nothing_is_compared_where_taste_knows_no_direction(known: Clustering) -> None:
    n_items = len(known.catalogue.item_ids)
    known.taste = replace(
        some_taste(n_items),
        directions=np.zeros((np.count_nonzero(some_taste(n_items).weights), 0), np.float32),
        strengths=np.zeros(0, np.float32),
    )
    for gains in ([[1.0, 2.0]], [[-1.0, -2.0]]):
        SpaceChoice("space", 0.01).absorb(known, NoisySum({"gains": np.array(gains)}, 0.5))
        assert known.space_gains == {}
        assert known.space_name == "text"
        assert known.without_taste is not None


def test_a_run_goes_on_without_what_it_does_not_need() -> None:
    phases = plan(taste=True, votes=True, space=Space.BEST, experiment=LISTS)
    spared = {phase.name for phase in phases if not phase.is_needed}
    assert spared == {"space", "votes", "feedback"}


def test_a_run_chooses_its_space_within_its_budget(known: Clustering, people: np.ndarray) -> None:
    phases = plan(taste=True, space=Space.BEST)
    assert sum(phase.share for phase in phases) == pytest.approx(1.0)
    asked = run_phases(known, people, multiplier=1e-6, phases=phases)
    assert ("space", "grouping-gains") in asked
    assert set(known.space_gains) == {"taste", "both"}
    best = max(known.space_gains.values())
    assert (known.space_name == "text") is (best <= 0)


def test_where_nothing_rose_above_the_noise_clusters_are_of_texts(
    known: Clustering, people: np.ndarray
) -> None:
    for space in (Space.BOTH, Space.BEST):
        run_phases(known, people[:50], multiplier=1e3, phases=plan(taste=True, space=space))
        assert known.space is None
        assert known.cluster_map().taste_share == 0
    known.enter(Space.TASTE)
    assert known.warning is not None
    assert "of texts" in known.warning


def some_taste(n_items: int) -> Taste:
    return Taste(
        weights=np.ones(n_items, np.float32),
        directions=np.linalg.qr(np.random.default_rng(2).standard_normal((n_items, 2)))[0].astype(
            np.float32
        ),
        strengths=np.ones(2, np.float32),
    )


@pytest.mark.parametrize("lately", [False, True])
def test_taste_goes_into_the_map(known: Clustering, people: np.ndarray, lately: bool) -> None:
    run_phases(known, people, multiplier=1e-6, phases=plan(taste=True, lately=lately))
    pushed = known.cluster_map()
    assert pushed.taste is not None
    assert bool(pushed.recent_popularity.size) is lately
    if lately:
        assert pushed.recent_popularity.shape == pushed.popularity.shape
        assert pushed.recent_popularity.sum() == pytest.approx(pushed.popularity.sum(), rel=1e-5)
    assert pushed.item_weights.shape == (known.k, len(known.catalogue.item_ids))
    again = np.asarray(pushed.taste.directions)
    np.testing.assert_allclose(again.T @ again, np.eye(again.shape[1]), atol=1e-4)


def test_popularity_without_the_latest_items_spends_all_on_those_ever_met(
    known: Clustering, people: np.ndarray
) -> None:
    run_phases(known, people, 1e-6, [Popularity("popularity", 1.0, latest=0)])
    profiles = profiles_of(people, len(known.catalogue.item_ids))
    met = profiles.last_days.toarray() > 0
    rows = met / np.maximum(np.linalg.norm(met, axis=1, keepdims=True), 1)
    np.testing.assert_allclose(known.popularity, rows.sum(axis=0), rtol=0.01, atol=0.5)
    assert known.recent_popularity.size == 0
    assert known.taste is None


def test_with_little_noise_the_clusters_are_those_of_kmeans(
    known: Clustering, people: np.ndarray
) -> None:
    run_phases(known, people, multiplier=1e-6)
    best = KMeans(3, n_init=10, random_state=0).fit(people).cluster_centers_
    assert cost(people, known.centroids) <= 1.01 * cost(people, best)
    assert sorted(known.sizes)[-1] == pytest.approx(0.6 * len(people), rel=0.05)
    assert 0.3 < known.silhouette <= 1


def test_with_noise_of_a_real_budget_clusters_beat_the_mean(
    known: Clustering, people: np.ndarray
) -> None:
    run_phases(known, people, multiplier=1 / 0.84)
    best = cost(people, KMeans(3, n_init=10, random_state=0).fit(people).cluster_centers_)
    trivial = cost(people, people.mean(axis=0, keepdims=True))
    assert cost(people, known.centroids) < best + 0.2 * (trivial - best)


def test_noise_far_above_the_signal_still_gives_finite_centroids(
    known: Clustering, people: np.ndarray
) -> None:
    run_phases(known, people[:20], multiplier=50.0)
    assert known.centroids.shape == (3, people.shape[1])
    for value in (known.centroids, known.sizes, known.item_weights, known.popularity):
        assert np.isfinite(value).all()
    assert (known.item_weights > 0).all()


def test_cluster_weights_stay_within_their_range_of_the_overall_ones(
    known: Clustering, people: np.ndarray
) -> None:
    run_phases(known, people, multiplier=1.0)
    lift = known.item_weights / known.popularity
    assert lift.min() >= 0.5 - 1e-9
    assert lift.max() <= 2.0 + 1e-9


def test_two_counts_of_the_same_users_are_better_than_either() -> None:
    rng = np.random.default_rng(0)
    truth, noises = 1000.0, (40.0, 15.0)
    found = np.array(
        [
            pooled(*((truth + noise * rng.standard_normal(), noise) for noise in noises))
            for _ in range(4000)
        ]
    )
    assert found[:, 0].mean() == pytest.approx(truth, abs=2)
    assert found[:, 0].std() == pytest.approx(found[0, 1], rel=0.05)
    assert found[0, 1] < 15


def test_counts_that_disagree_beyond_their_noise_are_not_pooled() -> None:
    assert pooled((1000.0, 10.0), (600.0, 10.0)) == (600.0, 10.0)
    assert pooled((3.0, 10.0), (-5.0, 10.0))[0] == 1.0


def test_same_seed_and_answers_give_the_same_map(catalogue: Any, people: np.ndarray) -> None:
    maps = []
    for _ in range(2):
        known = Clustering(run="r", k=3, seed=4, effective_mu=1.0, catalogue=catalogue)
        run_phases(known, people, multiplier=1.0)
        maps.append(known.centroids)
    np.testing.assert_array_equal(maps[0], maps[1])
