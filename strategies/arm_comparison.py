"""What an experiment has shown: each arm's figures, and whether two arms differ.

noisy sums by arm  ->  users, acceptance, skips, dwell, each with its noise  ->  differences

An interval has to cover two things: the noise that was added, whose standard deviation is
known, and that another sample of people would have done something else. Nothing is released
for the second: a share with mean p varies by at most p (1 - p) (Bhatia and Davis 2000).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from strategies.aggregation import NoisySum
from strategies.question_kinds.feedback import COUNT_WEIGHT, DWELL_WEIGHT, ListFeedback

CONFIDENCE = 0.99
"""Of all differences of an experiment together (Bonferroni)."""
LEAST_USERS = 5.0
"""Noise standard deviations of users, below which an arm's means say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over users, noisy: it may lie outside of what is possible.

    Attributes
    ----------
    value, noise : float
        ``noise`` is the standard deviation of the noise alone.
    """

    value: float
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFigures:
    """What came of an arm's lists.

    Attributes
    ----------
    name : str
    users : Mean
        How many there are.
    acceptance, skips, dwell_seconds : Mean, optional
        Per shown item, means over users; None where users are too few to tell.
    """

    name: str
    users: Mean
    acceptance: Mean | None
    skips: Mean | None
    dwell_seconds: Mean | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much more of an arm's lists is accepted than of the first arm's.

    Attributes
    ----------
    arm, against : str
    value, low, high : float
        The difference, and its interval.
    """

    arm: str
    against: str
    value: float
    low: float
    high: float

    @property
    def stands_out(self) -> bool:
        """Whether zero lies outside of the interval."""
        return self.low > 0 or self.high < 0

    def told(self) -> str:
        """Say it in a sentence."""
        interval = f"({100 * self.low:+.1f} to {100 * self.high:+.1f} percentage points)"
        if not self.stands_out:
            return f"No difference between {self.arm} and {self.against} stands out {interval}."
        more = "more" if self.value > 0 else "less"
        return f"{self.arm} is accepted {more} often than {self.against} {interval}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What came of an experiment: released, noisy.

    Attributes
    ----------
    name : str
    window_days, dwell_cap : float
        As they were asked for.
    arms : tuple of ArmFigures
    differences : tuple of Difference
        In acceptance, of each arm to the first, where both have users enough.
    """

    name: str
    window_days: float
    dwell_cap: float
    arms: tuple[ArmFigures, ...]
    differences: tuple[Difference, ...]


def outcome(question: ListFeedback, answer: NoisySum) -> Experiment:
    """Return what the answer to a question tells."""
    arms = tuple(
        _figures(name, row, answer.sigma, question.dwell_cap)
        for name, row in zip(question.arms, answer.sums["arms"], strict=True)
    )
    return Experiment(
        name=question.experiment,
        window_days=question.window_days,
        dwell_cap=question.dwell_cap,
        arms=arms,
        differences=_differences(arms),
    )


def _figures(name: str, row: NDArray[np.float64], sigma: float, dwell_cap: float) -> ArmFigures:
    users, accepted, skipped, dwell = row.tolist()
    counted = Mean(value=users / COUNT_WEIGHT, noise=sigma / COUNT_WEIGHT)
    if counted.value < max(LEAST_USERS * counted.noise, 1.0):
        return ArmFigures(name=name, users=counted, acceptance=None, skips=None, dwell_seconds=None)
    unit = dwell_cap / DWELL_WEIGHT
    return ArmFigures(
        name=name,
        users=counted,
        acceptance=_ratio(accepted, sigma, counted),
        skips=_ratio(skipped, sigma, counted),
        dwell_seconds=_ratio(unit * dwell, unit * sigma, counted),
    )


def _ratio(total: float, noise: float, users: Mean) -> Mean:
    """Return a mean and its noise: of the sum, and of the number that it is divided by."""
    value = total / users.value
    return Mean(value=value, noise=math.hypot(noise, value * users.noise) / users.value)


def _differences(arms: Sequence[ArmFigures]) -> tuple[Difference, ...]:
    first, *others = arms
    wide = float(norm.ppf(1 - (1 - CONFIDENCE) / (2 * len(others))))
    found = []
    for other in others:
        if first.acceptance is None or other.acceptance is None:
            continue
        value = other.acceptance.value - first.acceptance.value
        error = math.hypot(
            *(_error(arm.acceptance, arm.users.value) for arm in (first, other) if arm.acceptance)
        )
        found.append(
            Difference(
                arm=other.name,
                against=first.name,
                value=value,
                low=value - wide * error,
                high=value + wide * error,
            )
        )
    return tuple(found)


def _error(mean: Mean, users: float) -> float:
    """Return a mean's standard error: its noise, and that of another sample of people.

    The share that the second is computed from is itself noisy: it is taken two noise standard
    deviations closer to 1/2, where people vary most.
    """
    share = min(max(mean.value, 0.0), 1.0)
    towards = math.copysign(min(2 * mean.noise, abs(0.5 - share)), 0.5 - share)
    share += towards
    return math.hypot(mean.noise, math.sqrt(share * (1 - share) / users))
