"""What Gaussian releases cost, by accountants that share no code.

mechanisms (sensitivity, sigma)  ->  mu  ->  epsilon at a delta

All sums are over all users of a client (sampling rate 1), so composition of
Gaussian mechanisms is exact: mu^2 is the sum of (sensitivity / sigma)^2 (Dong,
Roth and Su 2022, corollary 3.3), also where a server chooses sigmas as it goes
(Smith and Thakurta 2022, since a limit on the sum is checked before each). And
delta(epsilon) has a closed form (Dong, Roth and Su, corollary 2.13; Balle and
Wang 2018).

A discrete Gaussian on a lattice costs the same, for all that a double can tell.
Draw N(x, sigma^2 - s^2) and round it at random to the lattice by a discrete
Gaussian of parameter s around it: that is post-processing of a continuous
Gaussian, and by Poisson summation its density differs from that of the discrete
Gaussian of parameter sigma by at most a factor (1 + e) / (1 - e), where
``e = 2 sum_k exp(-2 (pi k s / step)^2)`` (the convolution theorem of Peikert
2010). With s = 4 steps, e is below 10^-136: nothing, even for 2^25 entries and
a million releases. So the event is charged as a Gaussian of variance
``sigma^2 - 16 step^2``. ``docs/privacy.md`` has the steps.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scipy.optimize import brentq
from scipy.special import log_ndtr

ACCOUNTANT = "gaussian-dp"
FINEST_INTERVAL = 1e-4
"""Of privacy losses, in the numerical accountant."""
SMOOTHING_STEPS = 4.0
RENYI_ORDERS = [1 + 10 ** (step / 12) for step in range(-24, 61)]
"""From 1.01 to 100,001: Opacus' own end at 63, too early for small epsilons."""


class Adjacency(StrEnum):
    """Which data sets are neighbours."""

    ADD_OR_REMOVE_ONE = "add-or-remove-one"
    """One unit more or less."""
    REPLACE_ONE = "replace-one"
    """One unit's data exchanged for any other: one removed and one added."""

    @property
    def changes(self) -> int:
        """How many additions or removals lie between neighbours."""
        return 1 if self is Adjacency.ADD_OR_REMOVE_ONE else 2


class Unit(StrEnum):
    """Whose data neighbours differ in."""

    USER = "user"
    """Everything that one user did."""


@dataclass(frozen=True, slots=True)
class GaussianEvent:
    """What happened: one Gaussian release. What it costs is an accountant's affair.

    Parameters
    ----------
    sensitivity : float
        Largest L2 change when one unit is added or removed.
    sigma : float
        Noise standard deviation, in the same unit.
    step : float
        Distance of the lattice's points where the noise is discrete, else 0.
    """

    sensitivity: float
    sigma: float
    step: float = 0.0

    def __post_init__(self) -> None:
        smooth = SMOOTHING_STEPS * self.step
        if not (self.sensitivity > 0 and smooth < self.sigma < math.inf and self.step >= 0):
            raise ValueError(
                f"No Gaussian release has sensitivity {self.sensitivity!r}, sigma {self.sigma!r} "
                f"and step {self.step!r}."
            )

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of this release alone, under add-or-remove of one unit."""
        smooth = SMOOTHING_STEPS * self.step
        return self.sensitivity / math.sqrt((self.sigma - smooth) * (self.sigma + smooth))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyLoss:
    """What releases cost together: epsilon never stands without the rest.

    Attributes
    ----------
    epsilon, delta : float
    mu : float
        Gaussian-DP parameter; exact, of which epsilon is a summary.
    unit : Unit
    adjacency : Adjacency
    """

    epsilon: float
    delta: float
    mu: float
    unit: Unit
    adjacency: Adjacency


def compose(events: Iterable[GaussianEvent], adjacency: Adjacency) -> float:
    """Return the Gaussian-DP parameter mu of all events together.

    Under ``replace-one`` the answer can change by twice the sensitivity.
    """
    return adjacency.changes * math.sqrt(math.fsum(event.mu**2 for event in events))


def privacy_loss(
    events: Iterable[GaussianEvent], *, delta: float, unit: Unit, adjacency: Adjacency
) -> PrivacyLoss:
    """Return what all events together cost one ``unit`` at ``delta``."""
    mu = compose(events, adjacency)
    epsilon = epsilon_of(mu, delta)
    return PrivacyLoss(epsilon=epsilon, delta=delta, mu=mu, unit=unit, adjacency=adjacency)


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
    root = float(brentq(lambda epsilon: delta_of(mu, epsilon) - delta, 0.0, highest, xtol=1e-12))
    up = 1e-13 * (1 + root)
    while delta_of(mu, root) > delta:  # rounded up, never down
        root, up = root + up, 2 * up
    return root


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest mu at which mu-Gaussian-DP implies (epsilon, delta)-DP.

    Rounded down by one part in 10^9, so that a plan which spends all of it
    never exceeds a limit of ``epsilon``.
    """
    _check_delta(delta)
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise ValueError(f"epsilon is {epsilon!r}; it must be positive and finite.")
    root = brentq(lambda mu: delta_of(mu, epsilon) - delta, 1e-15, 2 * epsilon + 100, xtol=1e-15)
    return float(root) * (1 - 1e-9)


def pld_epsilon(
    events: Sequence[GaussianEvent],
    *,
    delta: float,
    adjacency: Adjacency,
    interval: float | None = None,
) -> float:
    """Return epsilon by dp-accounting's privacy loss distributions, equal events at once.

    Losses are rounded up to a grid of ``interval``: unless given, so fine that all
    events together lose less than a thousandth of epsilon, in a time that does not
    grow with it.
    """
    from dp_accounting import dp_event
    from dp_accounting.pld import PLDAccountant

    if interval is None:
        exact = epsilon_of(compose(events, adjacency), delta)
        interval = max(FINEST_INTERVAL, 1e-3 * exact / max(len(events), 1))
    accountant = PLDAccountant(value_discretization_interval=interval)
    for mu, count in Counter(event.mu for event in events).items():
        accountant.compose(dp_event.GaussianDpEvent(1 / (adjacency.changes * mu)), count)
    return float(accountant.get_epsilon(delta))


def rdp_epsilon(events: Sequence[GaussianEvent], *, delta: float, adjacency: Adjacency) -> float:
    """Return epsilon by Opacus' Renyi accountant: an upper bound, not tight.

    It holds for discrete noise too: a discrete Gaussian has at most the Renyi
    divergences of the continuous one (Canonne, Kamath and Steinke 2020, prop. 5).
    """
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [
        (1 / (adjacency.changes * mu), 1.0, count)
        for mu, count in Counter(event.mu for event in events).items()
    ]
    return float(accountant.get_epsilon(delta, alphas=RENYI_ORDERS))


def zcdp_epsilon(events: Sequence[GaussianEvent], *, delta: float, adjacency: Adjacency) -> float:
    """Return epsilon by OpenDP: zero-concentrated DP, which adds up, and its conversion."""
    import opendp.prelude as opendp

    opendp.enable_features("contrib")
    numbers = opendp.atom_domain(T=float, nan=False), opendp.absolute_distance(T=float)
    gaussian = opendp.m.make_gaussian(*numbers, scale=1 / compose(events, adjacency))
    curve = opendp.c.make_zCDP_to_approxDP(gaussian).map(1.0)  # type: ignore[no-untyped-call]
    return float(curve.epsilon(delta))


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta!r}; it must lie between 0 and 1.")
