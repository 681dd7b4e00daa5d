"""What Gaussian releases cost, by three accountants that share no code.

mechanisms (sensitivity, sigma)  ->  mu  ->  epsilon at a delta

All sums are over all users of a client (sampling rate 1), under add-or-remove
of one user, so composition of Gaussian mechanisms is exact: mu^2 is the sum of
(sensitivity / sigma)^2 (Dong, Roth and Su 2022, corollary 3.3), and
delta(epsilon) has a closed form (ibid., corollary 2.13; Balle and Wang 2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import log_ndtr

UNIT = "user"
ADJACENCY = "add-or-remove-one"
ACCOUNTANT = "gaussian-dp"


@dataclass(frozen=True, slots=True)
class GaussianEvent:
    """What happened: one Gaussian release. What it costs is an accountant's affair.

    Parameters
    ----------
    sensitivity : float
        Largest L2 change when one user is added or removed.
    sigma : float
        Noise standard deviation, in the same unit.
    """

    sensitivity: float
    sigma: float

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of this release alone."""
        return self.sensitivity / self.sigma


def compose(events: Iterable[GaussianEvent]) -> float:
    """Return the Gaussian-DP parameter mu of all events together."""
    return math.sqrt(math.fsum(event.mu**2 for event in events))


def delta_of(mu: float, epsilon: float) -> float:
    """Return the smallest delta at which mu-Gaussian-DP implies (epsilon, delta)-DP."""
    if mu == 0:
        return 0.0
    first = math.exp(log_ndtr(-epsilon / mu + mu / 2))
    second = math.exp(epsilon + log_ndtr(-epsilon / mu - mu / 2))
    return first - second


def epsilon_of(mu: float, delta: float) -> float:
    """Return the smallest epsilon at which mu-Gaussian-DP implies (epsilon, delta)-DP."""
    _check_delta(delta)
    if mu < 0 or not math.isfinite(mu):
        raise ValueError(f"mu is {mu!r}; it must be finite and not negative.")
    if delta_of(mu, 0.0) <= delta:
        return 0.0
    highest = mu * mu / 2 + mu * 40 + 10
    return float(brentq(lambda epsilon: delta_of(mu, epsilon) - delta, 0.0, highest, xtol=1e-12))


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest mu at which mu-Gaussian-DP implies (epsilon, delta)-DP.

    Rounded down by one part in 10^9, so that a plan which spends all of it
    never exceeds a limit of ``epsilon``.
    """
    _check_delta(delta)
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon is {epsilon!r}; it must be positive and finite.")
    root = brentq(lambda mu: delta_of(mu, epsilon) - delta, 1e-6, 2 * epsilon + 100, xtol=1e-13)
    return float(root) * (1 - 1e-9)


def pld_epsilon(events: Sequence[GaussianEvent], delta: float, *, interval: float = 1e-4) -> float:
    """Return epsilon by dp-accounting's privacy loss distributions, event by event."""
    from dp_accounting import dp_event
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=interval)
    for event in events:
        accountant.compose(dp_event.GaussianDpEvent(1 / event.mu))
    return float(accountant.get_epsilon(delta))


def rdp_epsilon(events: Sequence[GaussianEvent], delta: float) -> float:
    """Return epsilon by Opacus' Renyi accountant: an upper bound, not tight."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    for event in events:
        accountant.step(noise_multiplier=1 / event.mu, sample_rate=1.0)
    return float(accountant.get_epsilon(delta))


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta!r}; it must lie between 0 and 1.")
