"""A threshold test proves what its counts allow, and not more."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from privacy.accountant import delta_of, epsilon_of
from privacy.audit.distinguishing import Distinguished, distinguish, lower_limit, upper_limit

MANY = 10**9


def counted(hits: int, alarms: int, *, n: int = 1000, error: float = 0.05) -> Distinguished:
    return Distinguished(hits=hits, present=n, alarms=alarms, absent=n, error=error)


@given(
    n=st.integers(1, 60), rate=st.floats(1e-9, 1 - 1e-9), error=st.sampled_from([1e-4, 0.01, 0.2])
)
def test_limits_are_wrong_as_seldom_as_they_say(n: int, rate: float, error: float) -> None:
    found = np.arange(n + 1)
    chance = binom.pmf(found, n, rate)
    too_high = np.array([lower_limit(int(k), n, error) > rate + 1e-12 for k in found])
    too_low = np.array([upper_limit(int(k), n, error) < rate - 1e-12 for k in found])
    assert chance[too_high].sum() <= error * (1 + 1e-9)
    assert chance[too_low].sum() <= error * (1 + 1e-9)


@pytest.mark.parametrize("mu", [0.1, 1.0, 3.0])
def test_with_many_trials_mu_is_that_of_the_mechanism(mu: float) -> None:
    # Balanced threshold: both rates are known in closed form.
    hits, alarms = round(MANY * norm.cdf(mu / 2)), round(MANY * norm.sf(mu / 2))
    found = counted(hits, alarms, n=MANY)
    assert found.mu == pytest.approx(mu, abs=1e-3)
    assert found.mu < mu


@pytest.mark.parametrize("delta", [1e-6, 1e-3])
@pytest.mark.parametrize("mu", [0.3, 1.0, 2.0])
def test_epsilon_is_at_most_the_accountants_and_reaches_it_at_the_best_threshold(
    mu: float, delta: float
) -> None:
    claimed = epsilon_of(mu, delta)
    assert delta_of(mu, claimed) == pytest.approx(delta)
    # The likelihood ratio is e^epsilon at this threshold, where delta is reached.
    threshold = claimed / mu + mu / 2
    rates = norm.sf(threshold - mu), norm.sf(threshold)
    exact = math.log((rates[0] - delta) / rates[1])
    assert exact == pytest.approx(claimed, abs=1e-6)
    found = counted(round(MANY * rates[0]), round(MANY * rates[1]), n=MANY)
    assert found.epsilon(delta) <= claimed


def test_a_worse_mechanism_in_either_direction_is_noticed() -> None:
    assert counted(1000, 500).epsilon(0.0) > 4  # whoever is not noticed was not there
    assert counted(500, 0).epsilon(0.0) > 4  # whoever is suspected was there


def test_what_proves_nothing_is_zero() -> None:
    for found in (counted(0, 0), counted(500, 500), counted(10, 900), counted(0, 1000)):
        assert found.mu == 0.0
        assert found.epsilon(1e-6) == 0.0


def test_threshold_is_compared_with_both_worlds() -> None:
    found = distinguish(np.array([0.4, 0.6, 0.7]), np.array([0.5, 0.6]), threshold=0.5, error=0.01)
    assert (found.hits, found.present, found.alarms, found.absent) == (2, 3, 1, 2)


@pytest.mark.parametrize("counts", [(-1, 0), (1001, 0), (0, 1001)])
def test_impossible_counts_are_an_error(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="nothing was concluded"):
        counted(*counts)


@pytest.mark.parametrize("error", [0.0, 1.0, -0.1])
def test_an_error_that_is_no_probability_is_refused(error: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        counted(1, 0, error=error)
