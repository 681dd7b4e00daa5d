"""Epsilon, computed anew from the mechanisms that a ledger names, by several accountants.

mechanisms (sensitivity, sigma, step)  ->  the claim, and three accountants beside it

Many ledgers of one deployment hold the same mechanisms, so the slow accountants run once for each
combination. They take the mechanisms in groups: equal ones are composed at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from privacy.accountant import (
    Adjacency,
    GaussianEvent,
    compose,
    epsilon_of,
    pld_epsilon,
    rdp_epsilon,
    zcdp_epsilon,
)

AGREEMENT = 1.001
"""Numerical accountants round up; by so much they may lie above the claim."""

Mechanisms = tuple[tuple[GaussianEvent, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """What releases cost together, by each accountant.

    Attributes
    ----------
    releases : int
    delta, mu : float
    epsilon : float
        The claim: exact Gaussian-DP.
    pld : float
        dp-accounting's privacy loss distributions; should agree with the claim.
    rdp, zcdp : float
        Opacus' and OpenDP's upper bounds.
    """

    releases: int
    delta: float
    mu: float
    epsilon: float
    pld: float
    rdp: float
    zcdp: float

    @property
    def agrees(self) -> bool:
        """Whether the claim lies where the other accountants say that it must."""
        return self.pld <= AGREEMENT * self.epsilon and self.epsilon <= max(self.rdp, self.zcdp)


def recompute(events: Iterable[GaussianEvent], *, delta: float, adjacency: Adjacency) -> Recomputed:
    """Return what ``events`` cost together at ``delta``."""
    counted = Counter(events)
    ordered = sorted(counted.items(), key=lambda part: (part[0].mu, part[0].sigma, part[0].step))
    return _recompute(tuple(ordered), delta, adjacency)


@lru_cache(maxsize=256)
def _recompute(mechanisms: Mechanisms, delta: float, adjacency: Adjacency) -> Recomputed:
    events = [event for event, count in mechanisms for _ in range(count)]
    if not events:
        return Recomputed(releases=0, delta=delta, mu=0.0, epsilon=0.0, pld=0.0, rdp=0.0, zcdp=0.0)
    mu = compose(events, adjacency)
    return Recomputed(
        releases=len(events),
        delta=delta,
        mu=mu,
        epsilon=epsilon_of(mu, delta),
        pld=pld_epsilon(events, delta=delta, adjacency=adjacency),
        rdp=rdp_epsilon(events, delta=delta, adjacency=adjacency),
        zcdp=zcdp_epsilon(events, delta=delta, adjacency=adjacency),
    )
