"""Users judge lists through the door: the private figure is the exact one, but for its noise."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from client.recommender import Recommender
from client.tuning import tuned, without_latest
from privacy.query import NoiseKind, TrustModel
from simulations.recommendation.judging import Judge
from simulations.recommendation.learning import learn_and_tell
from simulations.recommendation.populations import (
    factor_population,
    fit_factors,
    session_population,
)
from simulations.recommendation.splits import Split, leave_last_out
from simulations.recommendation.votes import lines
from strategies.cluster_map import ClusterMap
from strategies.fusion import Fusion
from strategies.plan import plan, recommendation_alone
from tests.simulations.test_recommendation import catalogue


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_last_out(session_population(catalogue(), 1500, seed=3))


def stored(met: csr_matrix) -> npt.NDArray[np.bool_]:
    """Return where something is stored, be it 0 days ago: shape of ``met``."""
    ones = csr_matrix((np.ones(met.nnz, bool), met.indices, met.indptr), shape=met.shape)
    return np.asarray(ones.toarray())


def exact_rates(split: Split, pushed: ClusterMap) -> tuple[int, float, float]:
    """Return how many users can judge, and the hit rates of ours and of popularity, from lists."""
    profiles = split.profiles
    several = np.flatnonzero(np.diff(profiles.last_days.indptr) > 1)
    earlier, latest = without_latest(profiles.last_days[several])
    before = replace(
        profiles,
        user_ids=tuple(profiles.user_ids[user] for user in several),
        vectors=profiles.vectors[several],
        counts=earlier,
        last_days=earlier,
        habits=earlier,
    )
    vectors = split.behaviour.catalogue.vectors
    recommender = Recommender(before, vectors, pushed, pd.DataFrame(), fusion=Fusion())
    ours = recommender.best_new(np.arange(len(several)))[0]
    left = np.where(stored(earlier), -np.inf, pushed.popularity)
    popular = np.argsort(-left, axis=1, kind="stable")[:, :10]
    wanted = stored(latest)
    found = [np.take_along_axis(wanted, lists, 1).sum(1) for lists in (ours, popular)]
    rates = [float((hits / wanted.sum(1)).mean()) for hits in found]
    return len(several), rates[0], rates[1]


@pytest.mark.parametrize(
    ("epsilon", "silos", "trust"),
    [(4.0, 1, TrustModel.CENTRAL), (8.0, 3, TrustModel.LOCAL), (np.inf, 2, TrustModel.CENTRAL)],
)
def test_the_private_figure_is_the_exact_one_but_for_its_noise(
    split: Split, epsilon: float, silos: int, trust: TrustModel
) -> None:
    pushed, strategy = learn_and_tell(
        split,
        partial(recommendation_alone, votes=True),
        epsilon,
        silos=silos,
        trust_model=trust,
        noise=NoiseKind.SEEDED,
    )
    told = strategy.known.evaluation
    assert told is not None
    users, ours, popular = exact_rates(split, pushed)
    assert ours > popular + 0.05
    assert told.ours == pytest.approx(ours, abs=4 * told.ours_noise + 1e-5)
    assert told.popularity == pytest.approx(popular, abs=4 * told.popularity_noise + 1e-5)
    assert told.ours - told.popularity == pytest.approx(
        ours - popular, abs=4 * told.difference_noise + 1e-5
    )
    assert told.users == pytest.approx(users, abs=4 * told.ours_noise * users / 0.25 + 0.02)
    assert told.ours_noise < (0.1 if np.isfinite(epsilon) else 1e-6)
    assert pushed.voted == Fusion.of(told.chosen.row())


def test_votes_for_a_long_memory_reach_devices_that_have_one_user(split: Split) -> None:
    """In a factor model the order of items tells nothing: all of them count alike."""
    factors = fit_factors(split.behaviour)
    people = leave_last_out(factor_population(factors, 1500, split.behaviour.catalogue))
    pushed, strategy = learn_and_tell(
        people,
        partial(recommendation_alone, votes=True),
        np.inf,
        noise=NoiseKind.SEEDED,
    )
    told = strategy.known.evaluation
    assert told is not None
    assert told.chosen.half_life > 8
    assert told.gain > 0
    device = people.profiles.part(slice(7, 8))
    vectors = people.behaviour.catalogue.vectors
    assert tuned(device, pushed, vectors).half_life == told.chosen.half_life
    without = replace(pushed, fusion=np.zeros(0, np.float32))
    assert tuned(device, without, vectors) == Fusion()


def test_lines_set_the_private_figure_beside_the_next_items(split: Split) -> None:
    one, all_of, ours, popularity = lines(Judge(split), 8.0, 1)
    rates = [float(rate) for rate in re.findall(r"0\.\d{4}", one)]
    assert len(rates) == 4
    assert f"without votes {rates[0]:.4f}, with {rates[1]:.4f}" in all_of
    assert f"next item {rates[2]:.4f}" in ours
    assert f"next item {rates[3]:.4f}" in popularity
    assert rates[2] > rates[3]


def test_clusters_are_voted_on_where_there_are_some(split: Split) -> None:
    pushed, strategy = learn_and_tell(
        split,
        lambda signal: plan(taste=True, votes=True, signal=signal),
        8.0,
        k=4,
        noise=NoiseKind.SEEDED,
    )
    assert pushed.voted is not None
    assert strategy.known.evaluation is not None
    assert pushed.centroids.shape[0] == strategy.known.k
