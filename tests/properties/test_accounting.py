"""Accounts are consistent with each other, whatever the budget."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from privacy.accountant import GaussianEvent, compose, delta_of, epsilon_of, mu_of
from privacy.calibration import noise_multipliers
from tests.privacy.examples import a_block, a_query

EPSILONS = st.floats(0.01, 50)
DELTAS = st.floats(-12, -3).map(lambda exponent: 10.0**exponent)
MUS = st.floats(1e-3, 20)


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


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.1, 100)), max_size=20))
def test_every_event_adds_to_the_account(pairs: list[tuple[float, float]]) -> None:
    events = [GaussianEvent(sensitivity, sigma) for sensitivity, sigma in pairs]
    parts = [compose(events[:n]) for n in range(len(events) + 1)]
    assert parts == sorted(parts)
    assert compose(events) == pytest.approx(
        math.hypot(*(sensitivity / sigma for sensitivity, sigma in pairs)), rel=1e-6
    )


@given(
    EPSILONS,
    DELTAS,
    st.lists(st.floats(0.01, 1), min_size=1, max_size=8),
    st.floats(0.01, 10),
)
@settings(max_examples=50)
def test_plan_that_spends_all_shares_stays_within_epsilon(
    epsilon: float, delta: float, weights: list[float], norm: float
) -> None:
    shares = {f"phase-{i}": weight / sum(weights) for i, weight in enumerate(weights)}
    query = a_query(a_block(clipping_norm=norm), a_block("counts", clipping_norm=norm / 3))
    events = [
        GaussianEvent(query.sensitivity, z * query.sensitivity)
        for z in noise_multipliers(epsilon, delta, shares).values()
    ]
    assert epsilon_of(compose(events), delta) <= epsilon
