"""What users say decides only where it is clear of the noise, and is told with its noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strategies.aggregation import NoisySum
from strategies.clustering import Clustering
from strategies.fusion import Fusion, are_fusions
from strategies.phases.votes import Votes, options
from strategies.plan import plan, recommendation_alone
from strategies.question_kinds.votes import MOST_OPTIONS
from strategies.questions import ListVotes
from strategies.taste import Taste

SIGMA = 10.0


def said(known: Clustering, *votes: float, users: float = 500.0) -> None:
    """Let so many users say hit rates of .1 and .2, and these votes."""
    sums = {
        "users": np.array([[users / 4]]),
        "hits": np.array([[0.1 * users, 0.2 * users]]),
        "votes": np.array([votes]),
    }
    Votes("votes", 0.03).absorb(known, NoisySum(sums, SIGMA))


@pytest.fixture
def tasteful(known: Clustering) -> Clustering:
    n_items = len(known.catalogue.item_ids)
    known.taste = Taste(
        weights=np.ones(n_items, np.float32),
        directions=np.eye(n_items, 2, dtype=np.float32),
        strengths=np.ones(2, np.float32),
    )
    known.k, known.centroids, known.sizes = 1, np.zeros((1, known.dim)), np.zeros(1)
    return known


def test_what_is_clearly_better_is_chosen(tasteful: Clustering) -> None:
    said(tasteful, 2 * SIGMA, 3 * SIGMA)
    assert tasteful.fusion == Fusion.of(options(1)[2])
    told = tasteful.evaluation
    assert told is not None
    assert told.chosen == tasteful.fusion
    assert told.gain == pytest.approx(0.05 * 3 * SIGMA / 500)
    assert told.gain_noise == pytest.approx(0.05 * SIGMA / 500)
    assert Fusion.of(tasteful.cluster_map().fusion) == tasteful.fusion


@pytest.mark.parametrize("votes", [(-5.0, -90.0), (0.9 * SIGMA, 0.99 * SIGMA)])
def test_within_the_noise_the_usual_weights_are_kept(
    tasteful: Clustering, votes: tuple[float, float]
) -> None:
    said(tasteful, *votes)
    assert tasteful.fusion == Fusion.of(Fusion().row())
    assert tasteful.evaluation is not None
    assert (tasteful.evaluation.gain, tasteful.evaluation.gain_noise) == (0.0, 0.0)


def test_rates_are_told_with_the_noise_that_they_have(tasteful: Clustering) -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4000):
        noise = SIGMA * rng.standard_normal(3)
        sums = {
            "users": np.array([[500 + noise[0]]]),
            "hits": np.array([[200 + noise[1], 400 + noise[2]]]),
            "votes": np.array([[0.0, 0.0]]),
        }
        Votes("votes", 0.03).absorb(tasteful, NoisySum(sums, SIGMA))
        told = tasteful.evaluation
        assert told is not None
        found.append((told.popularity, told.ours, told.ours - told.popularity))
    said(tasteful, 0.0, 0.0, users=2000.0)
    told = tasteful.evaluation
    assert told is not None
    spread = np.std(found, axis=0)
    noises = [told.popularity_noise, told.ours_noise, told.difference_noise]
    np.testing.assert_allclose(spread, noises, rtol=0.05)
    np.testing.assert_allclose(np.mean(found, axis=0), [0.1, 0.2, 0.1], atol=0.001)


def test_where_nobody_answers_figures_stay_figures(tasteful: Clustering) -> None:
    said(tasteful, -3.0, -4.0, users=-30.0)
    told = tasteful.evaluation
    assert told is not None
    assert 0 <= told.ours <= 1
    assert math.isfinite(told.ours_noise)


def test_where_taste_drowned_nothing_was_judged(known: Clustering) -> None:
    n_items = len(known.catalogue.item_ids)
    drowned = Taste(
        weights=np.ones(n_items, np.float32),
        directions=np.zeros((n_items, 0), np.float32),
        strengths=np.zeros(0, np.float32),
    )
    for taste in (None, drowned):
        known.taste = taste
        said(known, 900.0, 900.0)
        assert (known.fusion, known.evaluation) == (None, None)


def test_options_are_few_and_begin_with_the_usual() -> None:
    for k in (1, 2, 50):
        rows = options(k)
        assert are_fusions(rows)
        assert Fusion.of(rows[0]) == Fusion.of(Fusion().row())
        assert len(np.unique(rows, axis=0)) == len(rows) <= MOST_OPTIONS
        assert not rows[:, 3].any()  # what is popular lately is not voted on
        assert (len(np.unique(rows[:, 4])) > 1) is (k > 1)


def test_votes_come_last_but_for_the_push_back_and_all_shares_shrink() -> None:
    for asked, usual in (
        (plan(taste=True, votes=True), plan(taste=True)),
        (recommendation_alone(votes=True), recommendation_alone()),
    ):
        assert [phase.name for phase in asked[-2:]] == ["votes", "quality"]
        assert asked[-2].asks is ListVotes
        assert sum(phase.share for phase in asked) == pytest.approx(1.0)
        others = [phase for phase in asked if phase.name != "votes"]
        assert [phase.name for phase in others] == [phase.name for phase in usual]
        for phase, before in zip(others, usual, strict=True):
            assert phase.share == pytest.approx(0.97 * before.share)


def test_nobody_votes_where_taste_cannot_rise_above_the_noise() -> None:
    for phases in (plan(taste=True, votes=True, signal=1.0), plan(votes=True)):
        assert "votes" not in [phase.name for phase in phases]
    drowned = recommendation_alone(1.0, votes=True)
    assert [phase.name for phase in drowned] == ["popularity", "quality"]
    assert sum(phase.share for phase in drowned) == pytest.approx(1.0)
