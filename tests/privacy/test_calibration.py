from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from privacy.accountant import Adjacency, GaussianEvent, compose, epsilon_of
from privacy.calibration import noise_multipliers
from privacy.query import STEPS_BITS

SHARES = {"calibrate": 0.05, "lloyd": 0.75, "popularity": 0.2}


def spent(multipliers: Iterable[float], step: float = 0.0) -> float:
    events = [GaussianEvent(1.0, z, step) for z in multipliers]
    return epsilon_of(compose(events, Adjacency.ADD_OR_REMOVE_ONE), 1e-6)


def test_plan_that_spends_every_share_spends_the_whole_budget_and_no_more() -> None:
    multipliers = noise_multipliers(3.0, 1e-6, SHARES)
    assert spent(multipliers.values()) <= 3.0
    assert spent(multipliers.values()) == pytest.approx(3.0, rel=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 3.0, 20.0, 500.0])
def test_plan_stays_within_the_budget_with_discrete_noise_as_well(epsilon: float) -> None:
    multipliers = noise_multipliers(epsilon, 1e-6, SHARES)
    coarsest = 2.0**-STEPS_BITS  # of a sensitivity of 1
    assert spent(multipliers.values()) <= spent(multipliers.values(), coarsest) <= epsilon


def test_a_larger_share_gets_less_noise() -> None:
    multipliers = noise_multipliers(3.0, 1e-6, SHARES)
    assert multipliers["lloyd"] < multipliers["popularity"] < multipliers["calibrate"]


def test_a_shares_mu_squared_is_its_part_of_the_whole() -> None:
    whole = noise_multipliers(3.0, 1e-6, {"all": 1.0})["all"]
    quarter = noise_multipliers(3.0, 1e-6, {"quarter": 0.25})["quarter"]
    assert quarter == pytest.approx(2 * whole)


def test_shares_over_one_are_an_error_with_their_sum() -> None:
    with pytest.raises(ValueError, match=r"1\.250000"):
        noise_multipliers(3.0, 1e-6, {"lloyd": 1.0, "popularity": 0.25})


@pytest.mark.parametrize("share", [0.0, -0.1, math.nan])
def test_share_that_is_not_positive_is_an_error_with_the_shares(share: float) -> None:
    with pytest.raises(ValueError, match=f"'lloyd': {share!r}"):
        noise_multipliers(3.0, 1e-6, {"lloyd": share, "popularity": 0.5})


def test_impossible_budget_is_an_error() -> None:
    with pytest.raises(ValueError, match="epsilon"):
        noise_multipliers(0.0, 1e-6, SHARES)
    with pytest.raises(ValueError, match="delta"):
        noise_multipliers(1.0, 0.0, SHARES)
