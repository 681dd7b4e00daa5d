"""An experiment's outcome: right on average, and no difference where there is none."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from strategies.aggregation import NoisySum
from strategies.arm_comparison import Experiment, outcome
from strategies.questions import ListFeedback

USERS = 2000
SIGMA = 7.5
"""About what 4% of epsilon 4 asks of one region."""


def question(arms: int = 2) -> ListFeedback:
    names = [f"arm-{number}" for number in range(arms)]
    return ListFeedback(experiment="lists", arms=names, window_days=30.0, dwell_cap=60.0)


def tried(
    rates: tuple[float, ...], seed: int, *, users: int = USERS, sigma: float = SIGMA
) -> Experiment:
    """Return the outcome of an experiment whose users each accept of ten items by their rate."""
    rng = np.random.default_rng(seed)
    rows = []
    for rate in rates:
        n = users // len(rates)
        own = rng.beta(8 * rate, 8 * (1 - rate), n)
        accepted = rng.binomial(10, own) / 10
        skipped = rng.binomial(10, 0.5, n) / 10 * (1 - accepted)
        rows.append([0.5 * n, accepted.sum(), skipped.sum(), 0.5 * (0.2 * n)])
    noisy = np.array(rows) + sigma * rng.standard_normal((len(rates), 4))
    return outcome(question(len(rates)), NoisySum({"arms": noisy}, sigma))


def test_without_noise_the_figures_are_plain_means() -> None:
    sums = np.array([[0.5 * 40, 12.0, 20.0, 0.5 * 10], [0.5 * 60, 6.0, 30.0, 0.0]])
    found = outcome(question(), NoisySum({"arms": sums}, 1e-12))
    first, second = found.arms
    assert [first.users.value, second.users.value] == pytest.approx([40, 60])
    assert first.acceptance
    assert first.skips
    assert first.dwell_seconds
    assert first.acceptance.value == pytest.approx(0.3)
    assert first.skips.value == pytest.approx(0.5)
    assert first.dwell_seconds.value == pytest.approx(15)
    (difference,) = found.differences
    assert difference.value == pytest.approx(0.1 - 0.3)
    expected = 2.5758 * math.sqrt(0.3 * 0.7 / 40 + 0.1 * 0.9 / 60)
    assert difference.high - difference.value == pytest.approx(expected, rel=1e-4)
    assert (difference.arm, difference.against) == ("arm-1", "arm-0")


@pytest.mark.parametrize("seed", range(20))
def test_a_planted_difference_is_found(seed: int) -> None:
    (difference,) = tried((0.30, 0.15), seed).differences
    assert difference.stands_out
    assert difference.low <= -0.15 <= difference.high
    assert "arm-1 is accepted less often than arm-0" in difference.told()
    (turned,) = tried((0.15, 0.30), seed).differences
    assert "arm-1 is accepted more often than arm-0" in turned.told()


@pytest.mark.parametrize("seed", range(20))
def test_no_difference_is_claimed_where_there_is_none(seed: int) -> None:
    (difference,) = tried((0.2, 0.2), seed).differences
    assert not difference.stands_out
    assert "No difference between arm-1 and arm-0 stands out" in difference.told()


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.5])
@pytest.mark.parametrize("sigma", [0.1, SIGMA, 30.0])
def test_intervals_hold_as_often_as_they_say(rate: float, sigma: float) -> None:
    draws = [tried((rate,) * 4, seed, sigma=sigma) for seed in range(300)]
    wrong = [any(one.stands_out for one in found.differences) for found in draws]
    assert np.mean(wrong) <= 0.02


def test_the_noise_that_is_told_is_the_noise_that_is_there() -> None:
    values, told = [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        sums = np.tile([0.5 * 1000, 300.0, 400.0, 0.5 * 200], (2, 1))
        noisy = sums + 10 * rng.standard_normal(sums.shape)
        arm = outcome(question(), NoisySum({"arms": noisy}, 10.0)).arms[0]
        assert arm.acceptance
        assert arm.skips
        assert arm.dwell_seconds
        means = (arm.users, arm.acceptance, arm.skips, arm.dwell_seconds)
        values.append([mean.value for mean in means])
        told.append([mean.noise for mean in means])
    np.testing.assert_allclose(np.std(values, axis=0), np.mean(told, axis=0), rtol=0.1)


def test_arms_with_too_few_users_are_not_compared() -> None:
    sums = np.array([[0.5 * 1000, 300.0, 1.0, 1.0], [4.9 * SIGMA, 30.0, 1.0, 1.0]])
    found = outcome(question(), NoisySum({"arms": sums}, SIGMA))
    assert found.arms[0].acceptance is not None
    few = found.arms[1]
    assert (few.acceptance, few.skips, few.dwell_seconds) == (None, None, None)
    assert found.differences == ()


def test_more_arms_make_each_interval_wider() -> None:
    widths = []
    for arms in (2, 3, 8):
        rows = np.tile([0.5 * 1000, 300.0, 400.0, 0.0], (arms, 1))
        found = outcome(question(arms), NoisySum({"arms": rows}, SIGMA)).differences
        assert len(found) == arms - 1
        widths.append(found[0].high - found[0].low)
    assert all(narrow < wide for narrow, wide in pairwise(widths))
