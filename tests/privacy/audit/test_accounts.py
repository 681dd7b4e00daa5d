"""Accountants agree on honest releases of any size, and on nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from privacy.accountant import Adjacency, GaussianEvent
from privacy.audit.accounts import check_the_sum, combine, count_by_release


@pytest.mark.parametrize("adjacency", Adjacency)
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-100])
@pytest.mark.parametrize("releases", [1, 14])
@pytest.mark.parametrize("noise", [10.0, 5e3, 5e4, 1e20])
def test_accountants_agree_on_any_amount_of_noise(
    noise: float, releases: int, delta: float, adjacency: Adjacency
) -> None:
    events = [GaussianEvent(1.0, noise * (1 + place / 100)) for place in range(releases)]
    combination = combine(events, delta=delta, adjacency=adjacency)
    for cost in (count_by_release([combination])[combination], check_the_sum(combination)):
        assert cost.agrees
        assert cost.pld is not None or delta < 1e-10


@pytest.mark.parametrize("noise", [1.0, 100.0, 5e3, 5e4])
@pytest.mark.parametrize("by", [0.9, 1.1])
def test_claim_that_is_a_tenth_off_is_noticed(noise: float, by: float) -> None:
    combination = combine(
        [GaussianEvent(1.0, noise)], delta=1e-6, adjacency=Adjacency.ADD_OR_REMOVE_ONE
    )
    cost = count_by_release([combination])[combination]
    assert not replace(cost, epsilon=by * cost.epsilon).agrees


def test_upper_bound_below_the_claim_is_noticed_without_distributions() -> None:
    combination = combine(
        [GaussianEvent(1.0, 1.0)], delta=1e-15, adjacency=Adjacency.ADD_OR_REMOVE_ONE
    )
    cost = count_by_release([combination])[combination]
    assert cost.pld is None
    assert not replace(cost, zcdp=0.5 * cost.epsilon).agrees
