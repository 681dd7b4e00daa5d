"""A whole run on one page: its phases in their order, and what each may spend."""

from __future__ import annotations

from privacy.calibration import noise_multipliers
from privacy.forecast import PlannedRelease
from strategies.phases import (
    Items,
    Lloyd,
    LloydPool,
    Mean,
    Phase,
    Quality,
    Radius,
    Spread,
    Summary,
)


def planned_releases(epsilon: float, delta: float) -> list[PlannedRelease]:
    """Return what a run with this budget would ask of each region, in its order."""
    phases = plan()
    multipliers = noise_multipliers(epsilon, delta, {phase.name: phase.share for phase in phases})
    return [
        PlannedRelease(phase.name, phase.asks.kind, multipliers[phase.name]) for phase in phases
    ]


def plan() -> list[Phase]:
    """Return the phases of a run; their shares of mu^2 add up to 1.

    The shares were chosen on the bundled sample at epsilon 4 with eight regions
    under ``local``, on seeds that no reported figure uses. The clusters get
    0.69; the items' share keeps the ranking as good as exact popularity's.
    """
    pool = LloydPool()
    return [
        # Calibrate: where people are, and how far apart.
        Mean("mean", 0.03),
        Radius("radius", 0.02),
        # Summarise: weighted cells on public candidates; k-means++ on them costs nothing.
        Summary("summary-1", 0.12, last=False),
        Summary("summary-2", 0.12, last=True),
        # Refine: noisy Lloyd rounds in all dimensions.
        Spread("spread", 0.02),
        Lloyd("lloyd-1", 0.19, pool),
        Lloyd("lloyd-2", 0.19, pool),
        # Describe: what each cluster goes for; the push-back.
        Items("items", 0.27),
        Quality("quality", 0.04),
    ]
