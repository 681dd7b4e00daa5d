"""Many canaries in one run: a lower bound of epsilon from how many are guessed right.

m canaries, each put in or left out by a fair coin  ->  a run  ->  scores  ->  guesses
    ->  too many are right for this epsilon?  ->  at least that epsilon

Steinke, Nasr and Jagielski (2023, theorem 5.2): under (epsilon, delta)-DP for one
canary more or less, of at most r guesses on m coins at least v are right with
probability at most

    f(v) + 2 m delta max_{1 <= i <= v} (f(v - i) - f(v)) / i,
    f(v) = P[Binomial(r, e^epsilon / (1 + e^epsilon)) >= v].

The bound holds whatever the attack is, so long as ``guesses`` was fixed before the
coins were thrown: choose it by :func:`best_guesses`, never by the scores. It is loose
for Gaussian noise; :func:`expected_epsilon` says what it shows when a claim is used
to the full.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, expit

Doubles = NDArray[np.float64]
Coins = NDArray[np.bool_]

ACCURACY = 1e-7
"""Of a bound; rounded down."""
LARGEST = 700.0
"""Epsilons beyond it are not told apart: their e^epsilon is no double."""
REPEATS = 200
"""Runs of the idealised mechanism that an expectation is taken over."""
SHARES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""Of the canaries, on which guesses may be made."""


def p_value(*, canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Bound the probability of so many correct guesses under (epsilon, delta)-DP.

    Parameters
    ----------
    canaries, guesses, correct : int
        m, r and v of theorem 5.2.
    epsilon, delta : float

    Returns
    -------
    float
        At most 1. Binomial tails are by the incomplete beta function, so that small
        ones keep their digits at any number of canaries.
    """
    if not 0 <= correct <= guesses <= canaries:
        raise ValueError(
            f"{correct} correct of {guesses} guesses on {canaries} canaries cannot be; "
            "nothing was concluded."
        )
    if correct == 0:
        return 1.0
    right = float(expit(epsilon))
    reached = float(_tail(guesses, right, np.array([correct]))[0])
    if delta == 0:
        return reached
    fewer = np.arange(1, correct + 1)
    nearly = _tail(guesses, right, correct - fewer) - reached
    return min(1.0, reached + 2 * canaries * delta * float((nearly / fewer).max()))


def _tail(trials: int, right: float, least: NDArray[np.int_]) -> Doubles:
    """Return P[Binomial(trials, right) >= least] for each of ``least``."""
    some = np.maximum(least, 1)
    return np.where(least > 0, betainc(some, trials - some + 1, right), 1.0)


@lru_cache(maxsize=4096)
def least_epsilon(
    *, canaries: int, guesses: int, correct: int, delta: float, error: float
) -> float:
    """Return the largest epsilon that so many correct guesses refute.

    Parameters
    ----------
    canaries, guesses, correct : int
    delta : float
    error : float
        Probability with which the bound may be too high.
    """

    def refuted(epsilon: float) -> bool:
        p = p_value(
            canaries=canaries, guesses=guesses, correct=correct, epsilon=epsilon, delta=delta
        )
        return p <= error

    if not 0 < error < 1:
        raise ValueError(f"The error is {error!r}; it must lie between 0 and 1.")
    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while refuted(high):
        low, high = high, 2 * high
        if high > LARGEST:
            return low
    while high - low > ACCURACY:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low


def correct_guesses(scores: Doubles, included: Coins, guesses: int) -> int:
    """Guess that the highest scores are in and the lowest out; return how many are right.

    Parameters
    ----------
    scores : float64, shape (m,)
        Evidence that a canary is in.
    included : bool, shape (m,)
        How the coins fell.
    guesses : int
        As many are made, half of them (rounded up) on the highest scores.
    """
    order = np.argsort(scores, kind="stable")
    out, there = order[: guesses // 2], order[len(order) - (guesses - guesses // 2) :]
    return int((~included[out]).sum() + included[there].sum())


@lru_cache(maxsize=256)
def expected_epsilon(
    mu: float,
    *,
    canaries: int,
    guesses: int,
    delta: float,
    error: float,
    repeats: int = REPEATS,
    seed: int = 0,
) -> float:
    """Return what the bound is on average for an ideal Gaussian mechanism that has ``mu``.

    Each canary's score is a normal variable of standard deviation 1 whose mean is
    ``mu`` higher when it is in, independent of all others: no attack on mu-Gaussian-DP
    sees more of one canary. This is the power of the test, not a bound.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        included = rng.random(canaries) < 0.5
        scores = rng.standard_normal(canaries) + mu * included
        right = correct_guesses(scores, included, guesses)
        found.append(
            least_epsilon(
                canaries=canaries, guesses=guesses, correct=right, delta=delta, error=error
            )
        )
    return math.fsum(found) / len(found)


def best_guesses(
    mu: float,
    *,
    canaries: int,
    delta: float,
    error: float,
    shares: Iterable[float] = SHARES,
    repeats: int = 50,
) -> int:
    """Return the number of guesses that shows most if the claim ``mu`` is used to the full.

    It depends on the claim alone, so it may be used on the run that is examined.
    """
    numbers = sorted({max(1, round(share * canaries)) for share in shares})
    return max(
        numbers,
        key=lambda guesses: expected_epsilon(
            mu, canaries=canaries, guesses=guesses, delta=delta, error=error, repeats=repeats
        ),
    )
