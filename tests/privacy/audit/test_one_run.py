"""The bound of one run is that of the theorem, of another implementation, and of closed forms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opake.auditing import canary_scores, coin_flip, one_run
from opake.random import key
from scipy.special import expit
from scipy.stats import binom, norm

from privacy.audit.one_run import (
    best_guesses,
    correct_guesses,
    expected_epsilon,
    least_epsilon,
    p_value,
)

SLACK = 1e-4
"""Of the other implementation's bisection."""


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    canaries = draw(st.integers(1, 400))
    guesses = draw(st.integers(1, canaries))
    return canaries, guesses, draw(st.integers(0, guesses))


def by_enumeration(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """Theorem 5.2 term by term, with probabilities added up one by one."""
    q = math.exp(epsilon) / (1 + math.exp(epsilon))
    chance = [math.comb(r, w) * q**w * (1 - q) ** (r - w) for w in range(r + 1)]
    reached = sum(chance[v:])
    worst = max((sum(chance[v - i : v]) / i for i in range(1, v + 1)), default=0.0)
    return min(1.0, reached + 2 * m * delta * worst)


@given(counts=counts(), epsilon=st.floats(0, 8), delta=st.sampled_from([0.0, 1e-6, 1e-3]))
def test_p_value_is_the_theorems(
    counts: tuple[int, int, int], epsilon: float, delta: float
) -> None:
    m, r, v = counts
    found = p_value(canaries=m, guesses=r, correct=v, epsilon=epsilon, delta=delta)
    expected = by_enumeration(m, r, v, epsilon, delta)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(counts=counts(), delta=st.sampled_from([0.0, 1e-6, 1e-4]))
def test_p_value_never_falls_with_epsilon(counts: tuple[int, int, int], delta: float) -> None:
    m, r, v = counts
    found = [
        p_value(canaries=m, guesses=r, correct=v, epsilon=float(epsilon), delta=delta)
        for epsilon in np.linspace(0, 10, 60)
    ]
    refuted = [p <= 0.05 for p in found]
    assert refuted == sorted(refuted, reverse=True)  # so bisection finds the one place
    assert (np.diff(found) >= -1e-6).all()


@pytest.mark.parametrize("n", [10**4, 10**6, 10**8])
def test_tails_keep_their_digits_at_many_canaries(n: int) -> None:
    correct = round(n * expit(1.0) + 8 * math.sqrt(n))
    found = p_value(canaries=n, guesses=n, correct=correct, epsilon=1.0, delta=0.0)
    assert 0 < found < 1e-50
    assert math.log(found) == pytest.approx(
        float(binom.logsf(correct - 1, n, expit(1.0))), rel=1e-6
    )


@pytest.mark.parametrize("guesses", [1, 10, 200, 5000])
def test_if_all_guesses_are_right_the_bound_has_a_closed_form(guesses: int) -> None:
    found = least_epsilon(canaries=guesses, guesses=guesses, correct=guesses, delta=0.0, error=0.05)
    right = 0.05 ** (1 / guesses)
    assert found == pytest.approx(max(0.0, math.log(right / (1 - right))), abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("error", [0.05, 1e-3])
def test_randomised_response_is_overstated_as_seldom_as_promised(
    epsilon: float, error: float
) -> None:
    # Each coin is told rightly with probability e^eps / (1 + e^eps): the worst of epsilon-DP.
    canaries = 150
    correct = np.arange(canaries + 1)
    bounds = [
        least_epsilon(canaries=canaries, guesses=canaries, correct=int(v), delta=0.0, error=error)
        for v in correct
    ]
    chance = binom.pmf(correct, canaries, expit(epsilon))
    overstated = chance[np.array(bounds) > epsilon].sum()
    assert 0 < overstated <= error


def scored(m: int, mu: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    included = rng.random(m) < 0.5
    return mu * included + rng.standard_normal(m), included


@pytest.mark.parametrize(("m", "mu", "seed"), [(50, 3.0, 0), (400, 1.0, 1), (2000, 2.0, 2)])
@pytest.mark.parametrize("error", [0.05, 0.001])
def test_bound_agrees_with_another_implementation(
    m: int, mu: float, seed: int, error: float
) -> None:
    scores, _ = scored(m, mu, seed)
    coins = coin_flip(range(m), num_canaries=m, key=key(seed))
    included = np.isin(np.arange(m), coins.in_indices)
    scores = scores + mu * included
    other = one_run(canary_scores(scores, canary_indices=np.arange(m)), coin_flip=coins)
    threshold = mu
    correct = int(((scores >= threshold) == included).sum())
    theirs = other.eps_delta().epsilon_at(delta=0.0, significance=error, threshold=threshold)
    ours = least_epsilon(canaries=m, guesses=m, correct=correct, delta=0.0, error=error)
    assert ours == pytest.approx(theirs, abs=2 * SLACK)
    # Theirs is another theorem where there is a delta; ours is at most as high here.
    theirs = other.eps_delta().epsilon_at(delta=1e-6, significance=error, threshold=threshold)
    ours = least_epsilon(canaries=m, guesses=m, correct=correct, delta=1e-6, error=error)
    assert theirs - 0.2 < ours <= theirs + 2 * SLACK


def test_a_delta_costs_something_and_the_more_canaries_the_more() -> None:
    bounds = [
        least_epsilon(canaries=m, guesses=50, correct=48, delta=1e-5, error=0.01)
        for m in (50, 500, 5000)
    ]
    none = least_epsilon(canaries=50, guesses=50, correct=48, delta=0.0, error=0.01)
    assert none > bounds[0] > bounds[1] > bounds[2]


def test_guesses_are_made_on_both_ends_and_as_many_as_were_fixed() -> None:
    scores = np.array([0.1, 5.0, -3.0, 0.2, 2.0])
    included = np.array([True, True, False, False, False])
    assert [correct_guesses(scores, included, n) for n in range(6)] == [0, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("mu", [0.5, 2.0])
def test_expectation_is_that_of_the_normal_distribution(mu: float) -> None:
    # A guess on everybody at once: rightness is known in closed form, but for the halves' sizes.
    m = 4000
    found = expected_epsilon(mu, canaries=m, guesses=m, delta=0.0, error=0.05, repeats=50)
    typical = round(m * norm.cdf(mu / 2))
    near = [
        least_epsilon(canaries=m, guesses=m, correct=typical + off, delta=0.0, error=0.05)
        for off in (-60, 60)
    ]
    assert near[0] < found < near[1]


def test_number_of_guesses_depends_on_the_claim_alone_and_is_the_best() -> None:
    best = best_guesses(1.0, canaries=300, delta=1e-6, error=0.05)
    assert best == best_guesses(1.0, canaries=300, delta=1e-6, error=0.05)
    powers = {
        guesses: expected_epsilon(
            1.0, canaries=300, guesses=guesses, delta=1e-6, error=0.05, repeats=50
        )
        for guesses in (3, best, 300)
    }
    assert max(powers, key=lambda n: powers[n]) == best


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct"),
    [bad for bad in itertools.product((3, 5), repeat=3) if not bad[2] <= bad[1] <= bad[0]],
)
def test_impossible_counts_are_an_error(canaries: int, guesses: int, correct: int) -> None:
    with pytest.raises(ValueError, match="nothing was concluded"):
        p_value(canaries=canaries, guesses=guesses, correct=correct, epsilon=1.0, delta=0.0)


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_an_error_that_is_no_probability_is_refused(error: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        least_epsilon(canaries=1, guesses=1, correct=1, delta=0.0, error=error)
