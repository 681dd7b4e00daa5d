"""Tell from answers whether one user was there: a lower bound of the privacy loss.

evidence of many independent trials, with the target and without
    ->  a threshold test  ->  limits of its rates  ->  at least this mu, at least this epsilon

In mu-Gaussian-DP every test has ``quantile(true positives) - quantile(false
positives) <= mu`` (Dong, Roth and Su 2022, definition 2.6), and under (epsilon,
delta)-DP ``true positives <= e^epsilon * false positives + delta``, also with both
worlds exchanged (Kairouz, Oh and Viswanath 2015, theorem 2.1). The rates are not
known; Clopper and Pearson's (1934) limits for them are, at any number of trials.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinguished:
    """How often a threshold test was right, and what that proves at least.

    Parameters
    ----------
    hits, present : int
        How many of the trials with the target the test told to be such.
    alarms, absent : int
        How many of those without the target it told to have it.
    error : float
        Probability with which the bounds may be too high; each of the two rates'
        limits may be wrong with half of it.

    Raises
    ------
    ValueError
        If the counts do not fit together, or ``error`` is no probability.
    """

    hits: int
    present: int
    alarms: int
    absent: int
    error: float

    def __post_init__(self) -> None:
        if not (0 <= self.hits <= self.present and 0 <= self.alarms <= self.absent):
            raise ValueError(
                f"{self.hits} of {self.present} trials with the target and {self.alarms} of "
                f"{self.absent} without it cannot be; nothing was concluded."
            )
        if not 0 < self.error < 1:
            raise ValueError(f"The error is {self.error!r}; it must lie between 0 and 1.")

    @property
    def true_positives(self) -> float:
        """Lower limit of the rate at which the target is noticed."""
        return lower_limit(self.hits, self.present, self.error / 2)

    @property
    def false_positives(self) -> float:
        """Upper limit of the rate at which it is suspected in vain."""
        return upper_limit(self.alarms, self.absent, self.error / 2)

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of the mechanism, at least; 0 if the test proves nothing."""
        bound = norm.ppf(self.true_positives) - norm.ppf(self.false_positives)
        return max(0.0, float(bound)) if math.isfinite(bound) else 0.0

    def epsilon(self, delta: float) -> float:
        """Return the epsilon at ``delta`` that any mechanism has at least, Gaussian or not."""
        hits, alarms = self.true_positives, self.false_positives
        ratios = [_ratio(hits - delta, alarms), _ratio(1 - alarms - delta, 1 - hits)]
        return math.log(max(1.0, *ratios))


def distinguish(
    there: Doubles, absent: Doubles, *, threshold: float, error: float
) -> Distinguished:
    """Return how well a threshold tells two worlds apart.

    Parameters
    ----------
    there, absent : float64, shape (n_trials,)
        Evidence for the target in independent trials with it, and without it.
    threshold : float
        Fixed before any evidence was seen; more than it tells of the target.
    error : float
        As in :class:`Distinguished`.
    """
    return Distinguished(
        hits=int((there > threshold).sum()),
        present=there.size,
        alarms=int((absent > threshold).sum()),
        absent=absent.size,
        error=error,
    )


def lower_limit(found: int, trials: int, error: float) -> float:
    """Return Clopper and Pearson's lower limit of a rate; wrong with probability ``error``."""
    return float(beta.ppf(error, found, trials - found + 1)) if found else 0.0


def upper_limit(found: int, trials: int, error: float) -> float:
    """Return their upper limit; wrong with probability ``error``."""
    return float(beta.ppf(1 - error, found + 1, trials - found)) if found < trials else 1.0


def _ratio(one: float, other: float) -> float:
    return one / other if other > 0 else math.inf if one > 0 else 0.0
