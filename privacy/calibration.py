"""From one budget for a run to the noise of each release.

(epsilon, delta), shares of the phases  ->  noise multiplier of each phase

A phase with share s of the run's mu^2 gets mu * sqrt(s); the shares add up to
at most 1, so the composition of all phases is at most mu.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from privacy.accountant import mu_of
from privacy.query import LEAST_NOISE

ROUNDING = 1e-9
LARGEST_EPSILON = 1e4
"""Of a run that promises anything; accountants lose their numbers beyond."""


def noise_multipliers(
    epsilon: float, delta: float, shares: Mapping[str, float]
) -> dict[str, float]:
    """Return sigma / sensitivity for each phase.

    Parameters
    ----------
    epsilon, delta : float
        Budget of the whole run, for one user added or removed. An infinite
        epsilon promises nothing: every phase gets the least noise there is.
    shares : mapping of str to float
        Each phase's share of mu^2; positive, together at most 1.

    Raises
    ------
    ValueError
        If a share is not positive or the shares exceed 1.
    """
    if any(not share > 0 for share in shares.values()):
        raise ValueError(f"Every phase needs a positive share of the budget, got {dict(shares)}.")
    total = math.fsum(shares.values())
    if total > 1 + ROUNDING:
        raise ValueError(f"The phases' shares of the budget add up to {total:.6f}, more than 1.")
    if math.isinf(epsilon):
        return dict.fromkeys(shares, LEAST_NOISE)
    mu = mu_of(epsilon, delta)
    return {phase: 1 / (mu * math.sqrt(share)) for phase, share in shares.items()}
