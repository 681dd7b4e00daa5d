from __future__ import annotations

import math

import pytest
from scipy.stats import norm

from privacy.accountant import (
    GaussianEvent,
    compose,
    delta_of,
    epsilon_of,
    mu_of,
    pld_epsilon,
    rdp_epsilon,
)

RUNS = {
    "one release": [GaussianEvent(1.0, 2.0)],
    "forty alike": [GaussianEvent(1.0, 20.0)] * 40,
    "a mixture": [GaussianEvent(0.3, 3.0), GaussianEvent(2.0, 8.0), GaussianEvent(1.0, 1.5)],
    "little noise": [GaussianEvent(1.0, 1.0)] * 3,
}
DELTAS = (1e-8, 1e-6, 1e-3)


@pytest.mark.parametrize("events", RUNS.values(), ids=RUNS.keys())
@pytest.mark.parametrize("delta", [1e-8, 1e-6])
def test_claim_lies_between_two_accountants_that_share_no_code_with_it(
    events: list[GaussianEvent], delta: float
) -> None:
    claimed = epsilon_of(compose(events), delta)
    assert pld_epsilon(events, delta, interval=1e-4) <= 1.001 * claimed
    assert claimed <= rdp_epsilon(events, delta)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("mu", [0.05, 0.5, 1.0, 3.0])
def test_numerical_accountant_agrees_with_the_closed_form(mu: float, delta: float) -> None:
    assert pld_epsilon([GaussianEvent(mu, 1.0)], delta) == pytest.approx(
        epsilon_of(mu, delta), rel=1e-3, abs=1e-4
    )


@pytest.mark.parametrize("mu", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 3.0])
def test_delta_is_the_closed_form_of_balle_and_wang(mu: float, epsilon: float) -> None:
    expected = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(
        -mu / 2 - epsilon / mu
    )
    assert delta_of(mu, epsilon) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("events", RUNS.values(), ids=RUNS.keys())
def test_composition_is_the_root_of_the_summed_squares(events: list[GaussianEvent]) -> None:
    expected = math.sqrt(sum((event.sensitivity / event.sigma) ** 2 for event in events))
    assert compose(events) == pytest.approx(expected, rel=1e-6)


def test_nothing_released_costs_nothing() -> None:
    assert compose([]) == 0
    assert epsilon_of(0.0, 1e-6) == 0
    assert delta_of(0.0, 0.0) == 0
    assert pld_epsilon([], 1e-6) == 0
    assert rdp_epsilon([], 1e-6) == 0


def test_a_loss_below_delta_costs_no_epsilon() -> None:
    assert epsilon_of(1e-7, 1e-6) == 0


def test_order_of_events_does_not_matter() -> None:
    events = RUNS["a mixture"]
    assert compose(events) == compose(events[::-1])


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-6, 2.0, math.nan])
def test_impossible_delta_is_an_error_with_the_value(delta: float) -> None:
    with pytest.raises(ValueError, match=f"delta is {delta!r}"):
        epsilon_of(1.0, delta)
    with pytest.raises(ValueError, match=f"delta is {delta!r}"):
        mu_of(1.0, delta)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan])
def test_impossible_epsilon_is_an_error_with_the_value(epsilon: float) -> None:
    with pytest.raises(ValueError, match=f"epsilon is {epsilon!r}"):
        mu_of(epsilon, 1e-6)


@pytest.mark.parametrize("mu", [-1.0, math.inf, math.nan])
def test_impossible_mu_is_an_error_with_the_value(mu: float) -> None:
    with pytest.raises(ValueError, match=f"mu is {mu!r}"):
        epsilon_of(mu, 1e-6)
