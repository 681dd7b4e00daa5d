"""Epsilon, computed anew from the mechanisms that a ledger names, by several accountants.

mechanisms (mu, how many of them)  ->  the claim, and other accountants beside it

Regions that answered the same runs have the same mechanisms, so that each
combination is counted once. The slowest accountant, privacy loss
distributions, goes through every release of the costliest combinations; of the
others it checks the sum, while Opacus' Renyi accountant goes through all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from privacy.accountant import (
    Adjacency,
    GaussianEvent,
    epsilon_of,
    pld_epsilon,
    rdp_epsilon,
    zcdp_epsilon,
)
from privacy.calibration import LARGEST_EPSILON

AGREEMENT = 1.001
"""Numerical accountants round up; by so much they may lie above the claim."""
NOTHING = 1e-6
"""Epsilons below that are none, to a numerical accountant."""
MOST_DISTRIBUTIONS = 200
"""So many different mechanisms, of the costliest combinations, get a privacy loss distribution."""
COARSE, COARSEST = 1e-3, 3e-3
"""Intervals of losses tried first, of few releases and of many; coarser ones only round up more."""
FEW = 100
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
        None where epsilon is so large that nothing is promised.
    pld_by_release : bool
        Whether those went through every release, or checked the sum only.
    rdp, zcdp : float, optional
        Opacus' and OpenDP's upper bounds.
    """

    releases: int
    delta: float
    mu: float
    epsilon: float
    pld: float | None
    pld_by_release: bool
    rdp: float | None
    zcdp: float | None

    @property
    def promises_something(self) -> bool:
        """Whether epsilon is small enough to mean anything to an accountant."""
        return self.epsilon <= LARGEST_EPSILON

    @property
    def agrees(self) -> bool:
        """Whether the claim lies where the other accountants say that it must."""
        if self.pld is None or self.rdp is None or self.zcdp is None:
            return True
        bound = max(self.rdp, self.zcdp) + NOTHING
        return self.pld <= AGREEMENT * self.epsilon + NOTHING and self.epsilon <= bound


def combine(events: Iterable[GaussianEvent], *, delta: float, adjacency: Adjacency) -> Combination:
    """Count equal mechanisms; mu is rounded up in the 12th digit, so that nearly equal ones are."""
    counted = Counter(_rounded_up(event.mu) for event in events)
    return Combination(tuple(sorted(counted.items())), delta, adjacency)


def count_costs(combinations: Sequence[Combination]) -> Mapping[Combination, Cost]:
    """Return what each combination costs; equal ones are counted once."""
    costs, distributions = {}, 0
    for combination in sorted(dict.fromkeys(combinations), key=lambda one: -one.mu):
        distributions += len(combination.mechanisms)
        by_release = distributions <= MOST_DISTRIBUTIONS
        costs[combination] = _cost(combination, by_release=by_release)
    return costs


def _cost(combination: Combination, *, by_release: bool) -> Cost:
    events, delta, adjacency = combination.events, combination.delta, combination.adjacency
    mu = combination.mu
    epsilon = epsilon_of(mu, delta)
    others: dict[str, float | None] = dict.fromkeys(("pld", "rdp", "zcdp"))
    if not events:
        others = dict.fromkeys(others, 0.0)
    elif epsilon <= LARGEST_EPSILON:
        whole = GaussianEvent(1.0, adjacency.changes / mu)
        others = {
            "pld": _pld(events if by_release else [whole], delta, adjacency, epsilon),
            "rdp": rdp_epsilon(events, delta=delta, adjacency=adjacency),
            "zcdp": zcdp_epsilon(events, delta=delta, adjacency=adjacency),
        }
    return Cost(
        releases=len(events),
        delta=delta,
        mu=mu,
        epsilon=epsilon,
        pld_by_release=by_release,
        **others,
    )


def _pld(
    events: Sequence[GaussianEvent], delta: float, adjacency: Adjacency, epsilon: float
) -> float:
    """Return epsilon on a coarse grid if that agrees already, else on the finest."""
    first = COARSE if len(events) <= FEW else COARSEST
    found = pld_epsilon(events, delta=delta, adjacency=adjacency, interval=first)
    if found <= AGREEMENT * epsilon:
        return found
    return pld_epsilon(events, delta=delta, adjacency=adjacency)


def _rounded_up(mu: float) -> float:
    return float(f"{mu * (1 + 10.0**-DIGITS):.{DIGITS}g}")
