"""Epsilon, computed anew from the mechanisms that a ledger names, by several accountants.

mechanisms (mu, how many of them)  ->  the claim, and other accountants beside it

The claim is exact. dp-accounting's privacy loss distributions check it for every
combination of mechanisms, on the sum of its releases. The costliest combinations
are then counted release by release, and by Opacus' and OpenDP's accountants, too;
regions that answered the same runs have the same one, which is counted once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from privacy.accountant import (
    FINEST_INTERVAL,
    Adjacency,
    GaussianEvent,
    compose,
    epsilon_of,
    pld_epsilon,
    rdp_epsilon,
    zcdp_epsilon,
)
from privacy.calibration import LARGEST_EPSILON

AGREEMENT = 1.001
"""Numerical accountants round up; by so much they may lie above the claim."""
ROUNDING = 1e-6
"""By so much an upper bound of doubles may lie below what it bounds."""
NOTHING = 1e-6
"""Epsilons below that are none, to a numerical accountant."""
COSTLIEST = 40
"""So many combinations are counted by all accountants."""
MOST_DISTRIBUTIONS = 200
"""So many different mechanisms, of the costliest combinations, get a privacy loss distribution."""
COARSE, COARSEST = 1e-3, 3e-3
"""Intervals of losses tried first, of few releases and of many; coarser ones only round up more."""
FEW = 100
FINE, FINER = 1e-2, 1e-3
"""No interval is a larger part of mu than that: losses of little spending are small."""
ALONE = 16e-3
"""The same for a sum, which is one release: rounding does not add up."""
LEAST_DELTA = 1e-10
"""Of less, the ends that the distributions cut off are a good part."""
DIGITS = 12

Mechanisms = tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """Releases whose cost is to be added up.

    Attributes
    ----------
    mechanisms : tuple of (float, int)
        Gaussian-DP parameter of a release under add-or-remove of one unit, and how
        many releases have it.
    delta : float
    adjacency : Adjacency
    """

    mechanisms: Mechanisms
    delta: float
    adjacency: Adjacency

    @property
    def releases(self) -> int:
        """How many there are."""
        return sum(count for _, count in self.mechanisms)

    @property
    def events(self) -> list[GaussianEvent]:
        """Every release, for an accountant."""
        return [GaussianEvent(1.0, 1 / mu) for mu, count in self.mechanisms for _ in range(count)]

    @property
    def mu(self) -> float:
        """Gaussian-DP parameter of all together, exact."""
        squares = math.fsum(count * mu * mu for mu, count in self.mechanisms)
        return self.adjacency.changes * math.sqrt(squares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What releases cost together, by each accountant.

    Attributes
    ----------
    releases : int
    delta, mu, epsilon : float
        The claim: exact Gaussian-DP.
    pld : float, optional
        dp-accounting's privacy loss distributions; should agree with the claim.
        None where epsilon is so large that nothing is promised, or delta so small that
        those distributions do not reach it.
    pld_by_release : bool
        Whether those went through every release, or checked the sum only.
    rdp, zcdp : float, optional
        Opacus' and OpenDP's upper bounds, of the costliest combinations.
    """

    releases: int
    delta: float
    mu: float
    epsilon: float
    pld: float | None
    pld_by_release: bool
    rdp: float | None = None
    zcdp: float | None = None

    @property
    def promises_something(self) -> bool:
        """Whether epsilon is small enough to mean anything to an accountant."""
        return self.epsilon <= LARGEST_EPSILON

    @property
    def agrees(self) -> bool:
        """Whether the claim lies where the other accountants say that it must."""
        bounds = [bound for bound in (self.rdp, self.zcdp) if bound is not None]
        if not all(self.epsilon <= bound + NOTHING for bound in bounds):
            return False
        return self.pld is None or (
            self.pld <= AGREEMENT * self.epsilon + NOTHING
            and self.epsilon <= (1 + ROUNDING) * self.pld + NOTHING
        )


def combine(events: Iterable[GaussianEvent], *, delta: float, adjacency: Adjacency) -> Combination:
    """Count equal mechanisms; mu is rounded up in the 12th digit, so that nearly equal ones are."""
    counted = Counter(_rounded_up(event.mu) for event in events)
    return Combination(tuple(sorted(counted.items())), delta, adjacency)


def check_the_sum(combination: Combination) -> Cost:
    """Return what a combination costs, checked by one more accountant on the sum."""
    return _cost(combination, by_release=False)


def count_by_release(combinations: Iterable[Combination]) -> dict[Combination, Cost]:
    """Return what the costliest combinations cost, by all accountants."""
    costs, distributions = {}, 0
    for combination in sorted(set(combinations), key=lambda one: -one.mu)[:COSTLIEST]:
        distributions += len(combination.mechanisms)
        cost = _cost(combination, by_release=distributions <= MOST_DISTRIBUTIONS)
        if combination.mu > combination.delta and cost.promises_something:
            events, delta = combination.events, combination.delta
            rdp = rdp_epsilon(events, delta=delta, adjacency=combination.adjacency)
            zcdp = zcdp_epsilon(events, delta=delta, adjacency=combination.adjacency)
            cost = replace(cost, rdp=max(rdp, 0.0), zcdp=zcdp)  # the conversion can fall below 0
        costs[combination] = cost
    return costs


def _cost(combination: Combination, *, by_release: bool) -> Cost:
    mu, delta, adjacency = combination.mu, combination.delta, combination.adjacency
    epsilon = epsilon_of(mu, delta)
    pld: float | None = 0.0
    if epsilon > LARGEST_EPSILON:
        pld = None
    elif mu > delta:  # else the total variation is below delta
        pld = (
            _pld(combination.events, delta, adjacency, epsilon)
            if by_release
            else _pld_of_sum(mu, delta, adjacency, epsilon)
        )
    return Cost(
        releases=combination.releases,
        delta=delta,
        mu=mu,
        epsilon=epsilon,
        pld=pld,
        pld_by_release=by_release or mu <= delta,
    )


@lru_cache(maxsize=4096)
def _pld_of_sum(mu: float, delta: float, adjacency: Adjacency, epsilon: float) -> float | None:
    """Return the same of one release that costs as much; many ledgers spend alike."""
    return _pld([GaussianEvent(1.0, adjacency.changes / mu)], delta, adjacency, epsilon)


def _pld(
    events: Sequence[GaussianEvent], delta: float, adjacency: Adjacency, epsilon: float
) -> float | None:
    """Return epsilon on a coarse grid if that agrees already, else on the finest.

    None where delta is below what those distributions cut off: they know no epsilon then.
    """
    if delta < LEAST_DELTA:
        return None
    mu = compose(events, adjacency)
    if len(events) == 1:
        first = ALONE * mu
    else:
        first = min(COARSE if len(events) <= FEW else COARSEST, FINE * mu)
    found = pld_epsilon(events, delta=delta, adjacency=adjacency, interval=first)
    if found > AGREEMENT * epsilon:
        finest = None if FINER * mu > FINEST_INTERVAL else FINER * mu
        found = pld_epsilon(events, delta=delta, adjacency=adjacency, interval=finest)
    return found if math.isfinite(found) else None


def _rounded_up(mu: float) -> float:
    return float(f"{mu * (1 + 10.0**-DIGITS):.{DIGITS}g}")
