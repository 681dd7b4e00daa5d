"""Accounts are consistent with each other, whatever the budget."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from privacy.accountant import Adjacency, GaussianEvent, compose, delta_of, epsilon_of, mu_of
from privacy.calibration import noise_multipliers
from tests.privacy.examples import a_block, a_query

EPSILONS = st.floats(0.01, 50)
DELTAS = st.floats(-12, -3).map(lambda exponent: 10.0**exponent)
MUS = st.floats(1e-3, 20)
ADJACENCIES = st.sampled_from(Adjacency)
NOISE_MULTIPLIERS = st.floats(-2, 6).map(lambda exponent: 10.0**exponent)


@given(EPSILONS, DELTAS)
def test_mu_of_an_epsilon_costs_that_epsilon_and_no_more(epsilon: float, delta: float) -> None:
    again = epsilon_of(mu_of(epsilon, delta), delta)
    assert again <= epsilon
    assert again == pytest.approx(epsilon, rel=1e-6)


@given(MUS, DELTAS)
def test_epsilon_of_a_mu_allows_that_mu(mu: float, delta: float) -> None:
    epsilon = epsilon_of(mu, delta)
    assume(epsilon > 0.01)
    assert mu_of(epsilon, delta) == pytest.approx(mu, rel=1e-6)


@given(MUS, DELTAS)
def test_epsilon_is_one_at_which_delta_holds(mu: float, delta: float) -> None:
    assert delta_of(mu, epsilon_of(mu, delta)) <= delta * (1 + 1e-6)


@given(MUS, st.floats(1.001, 3), DELTAS)
def test_more_loss_never_costs_less(mu: float, factor: float, delta: float) -> None:
    assert epsilon_of(mu, delta) <= epsilon_of(mu * factor, delta)


@given(MUS, DELTAS, st.floats(1.1, 100))
def test_smaller_delta_never_costs_less(mu: float, delta: float, factor: float) -> None:
    assert epsilon_of(mu, delta) <= epsilon_of(mu, delta / factor)


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.1, 100)), max_size=20), ADJACENCIES)
def test_every_event_adds_to_the_account(
    pairs: list[tuple[float, float]], adjacency: Adjacency
) -> None:
    events = [GaussianEvent(sensitivity, sigma) for sensitivity, sigma in pairs]
    parts = [compose(events[:n], adjacency) for n in range(len(events) + 1)]
    assert parts == sorted(parts)
    once = math.hypot(*(sensitivity / sigma for sensitivity, sigma in pairs))
    assert parts[-1] == pytest.approx(adjacency.changes * once, rel=1e-6)


@given(MUS, ADJACENCIES, st.integers(1, 50), DELTAS)
def test_many_releases_cost_what_one_with_as_little_noise_costs(
    mu: float, adjacency: Adjacency, n: int, delta: float
) -> None:
    one, many = GaussianEvent(1.0, 1 / mu), [GaussianEvent(1.0, math.sqrt(n) / mu)] * n
    expected = epsilon_of(compose([one], adjacency), delta)
    assert epsilon_of(compose(many, adjacency), delta) == pytest.approx(
        expected, rel=1e-6, abs=1e-9
    )


@given(st.floats(1e-6, 1e6), NOISE_MULTIPLIERS)
def test_discrete_noise_on_a_querys_lattice_never_costs_less_and_hardly_more(
    norm: float, multiplier: float
) -> None:
    query = a_query(a_block(clipping_norm=norm), sigma=multiplier * norm)
    continuous = GaussianEvent(query.sensitivity, query.sigma).mu
    discrete = GaussianEvent(query.sensitivity, query.sigma, query.step).mu
    assert continuous <= discrete <= continuous * (1 + 1e-9)


@given(
    EPSILONS,
    DELTAS,
    st.lists(st.floats(0.01, 1), min_size=1, max_size=8),
    st.floats(0.01, 10),
    st.booleans(),
)
@settings(max_examples=50)
def test_plan_that_spends_all_shares_stays_within_epsilon(
    epsilon: float, delta: float, weights: list[float], norm: float, discrete: bool
) -> None:
    shares = {f"phase-{i}": weight / sum(weights) for i, weight in enumerate(weights)}
    blocks = a_block(clipping_norm=norm), a_block("counts", clipping_norm=norm / 3)
    events = []
    for multiplier in noise_multipliers(epsilon, delta, shares).values():
        query = a_query(*blocks, sigma=multiplier * math.hypot(norm, norm / 3))
        step = query.step if discrete else 0.0
        events.append(GaussianEvent(query.sensitivity, query.sigma, step))
    assert epsilon_of(compose(events, Adjacency.ADD_OR_REMOVE_ONE), delta) <= epsilon
