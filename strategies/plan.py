"""A whole run on one page: its phases in their order, and what each may spend.

All shares are fixed before the first release; only public knowledge decides
between the two ways to begin: with a public catalogue, and without one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from privacy.calibration import noise_multipliers
from privacy.forecast import PlannedRelease
from strategies.item_space import Space
from strategies.phases.basis import Basis
from strategies.phases.calibration import Mean, Radius, Reach, Spread
from strategies.phases.choice import SpaceChoice
from strategies.phases.description import Items, Quality
from strategies.phases.lloyd import Lloyd, LloydPool
from strategies.phases.phase import Phase
from strategies.phases.preferences import Popularity, Tastes
from strategies.phases.summary import Summary

CLUSTERING_SHARE = 0.69
"""Of a run that also releases what each cluster goes for."""
TASTE_SHARE = 0.7
"""Of a run that also learns what goes with what: that, and what is popular."""
LATEST = 10
"""So many of a user's latest items tell what is popular lately."""
SPACE_SHARE = 0.005
"""Of a run that chooses the space of its clusters: the choice."""
TASTE_SIGNAL = 150.0
"""Users times mu, of what is spent on it, from which on taste ranks better than popularity with
the same budget: on MovieLens' second-last items it loses at 30, and gains at 250."""


def planned_releases(epsilon: float, delta: float, phases: Sequence[Phase]) -> list[PlannedRelease]:
    """Return what a run with this budget would ask of each region, in its order."""
    multipliers = noise_multipliers(epsilon, delta, {phase.name: phase.share for phase in phases})
    return [
        PlannedRelease(phase.name, phase.asks.kind, multipliers[phase.name]) for phase in phases
    ]


def plan(
    *,
    choosing_k: bool = False,
    taste: bool = False,
    lately: bool = False,
    signal: float = math.inf,
    space: Space = Space.BOTH,
) -> list[Phase]:
    """Return the phases of a run over a catalogue; their shares of mu^2 add up to 1.

    The items' share was chosen on the bundled sample at epsilon 4 with eight
    regions under ``local``, on seeds that no reported figure uses: it keeps the
    ranking as good as exact popularity's. Those beside taste were chosen on
    what MovieLens' people rated second last.

    Parameters
    ----------
    choosing_k : bool
        Whether the summary chooses the number of clusters.
    taste : bool
        Whether to learn what goes with what, where that can rise above the noise: it then
        makes better recommendations than clusters do.
    lately : bool
        Whether to learn beside taste what is popular lately.
    signal : float
        Declared users times the run's effective mu: public.
    space : Space
        In which clusters are looked for where taste is learned; else in that of texts.
    """
    if taste and knows_taste(TASTE_SHARE, signal):
        choice = [SpaceChoice("space", SPACE_SHARE)] if space is Space.BEST else []
        return [
            # Taste first: clusters may be made of it.
            *preferences(TASTE_SHARE, signal, lately=lately, space=space),
            *choice,
            *clustering(0.2 - sum(phase.share for phase in choice), choosing_k=choosing_k),
            Items("items", 0.08),
            Quality("quality", 0.02),
        ]
    return [
        *clustering(CLUSTERING_SHARE, choosing_k=choosing_k),
        # Describe: what each cluster goes for; the push-back.
        Items("items", 0.27),
        Quality("quality", 0.04),
    ]


def recommendation_alone(signal: float = math.inf, *, lately: bool = False) -> list[Phase]:
    """Return the phases of a run that learns what people go for, and no clusters."""
    return [*preferences(0.99, signal, lately=lately), Quality("quality", 0.01)]


def preferences(
    share: float, signal: float, *, lately: bool = False, space: Space = Space.TEXT
) -> list[Phase]:
    """Return the phases that find out what is popular, and what goes with what.

    Where products of items cannot rise above the noise, all of it is spent on what is popular.
    The shares were chosen on what MovieLens' people rated second last, and on a factor
    population of a seed that no reported figure uses.

    Parameters
    ----------
    share : float
        Part of the run's mu^2 that they spend together.
    signal : float
        Declared users times the run's effective mu.
    lately : bool
        Whether half of what popularity spends is about everybody's latest items: only for
        clients that follow it.
    space : Space
        In which clusters are looked for afterwards.
    """
    if not knows_taste(share, signal):
        return [Popularity("popularity", share)]
    return [
        Popularity("popularity", 0.15 * share, latest=LATEST if lately else 0),
        Tastes("taste", 0.85 * share, spent=share, space=space),
    ]


def knows_taste(share: float, signal: float) -> bool:
    """Tell whether products of items can rise above the noise of this part of the budget."""
    return signal * math.sqrt(share) >= TASTE_SIGNAL


def clustering_alone(
    *, public: bool = True, choosing_k: bool = False, rounds: int = 4
) -> list[Phase]:
    """Return the phases of a run that clusters and says how well, and nothing else."""
    return [
        *clustering(0.97, public=public, choosing_k=choosing_k, rounds=rounds),
        Quality("quality", 0.03),
    ]


@dataclass(frozen=True, slots=True)
class _Shares:
    """What the basis and the summary take of a clustering, and the summary's size.

    Attributes
    ----------
    basis, summary : float
        Parts of the clustering's mu^2.
    rounds : int
        Of the summary.
    cell_signal : float
        As of :class:`~strategies.phases.basis.Basis`.
    count_weight : float
        As of :class:`~strategies.phases.summary.Summary`.
    """

    basis: float
    summary: float
    rounds: int
    cell_signal: float
    count_weight: float = 0.5


_SHARES = {
    (True, False): _Shares(0.18, 0.25, 2, 6.0),
    (False, False): _Shares(0.20, 0.35, 4, 4.0),
    (True, True): _Shares(0.15, 0.50, 3, 6.0),
    (False, True): _Shares(0.15, 0.50, 4, 3.0, 0.7),
}
"""By whether there are public vectors, and whether the summary chooses K.

Without public vectors the directions and the cells have to be found first; to
tell the number of clusters, the summary has to be better than for the clusters: without public
vectors, of more cells that are counted better. At epsilon 1, ``central``, 20,000 users in 20
clusters then have 120 to 130 cells above the noise instead of 90 to 99.
"""


def clustering(
    share: float, *, public: bool = True, choosing_k: bool = False, rounds: int = 4
) -> list[Phase]:
    """Return the phases that find the clusters.

    The shares were chosen on populations whose seeds no reported figure uses.

    Parameters
    ----------
    share : float
        Part of the run's mu^2 that they spend together.
    public : bool
        Whether there is a public catalogue.
    choosing_k : bool
        Whether the summary chooses the number of clusters.
    rounds : int
        Of Lloyd.
    """
    shares = _SHARES[public, choosing_k]
    lloyd = 1 - (0.02 + 0.01 + shares.basis + 0.0125 + shares.summary + 0.02)
    pool = LloydPool()
    return [
        # Calibrate: where people are, and how far apart.
        Mean("mean", 0.02 * share),
        Radius("radius", 0.01 * share),
        # Basis: the directions in which they differ.
        Basis(
            "basis",
            shares.basis * share,
            cell_signal=shares.cell_signal,
            summary_share=shares.summary * share,
        ),
        # Summary: weighted cells; k-means++ on them costs nothing.
        Reach("reach", 0.0125 * share),
        *(
            Summary(
                f"summary-{number}",
                shares.summary / shares.rounds * share,
                number=number,
                last=number == shares.rounds,
                count_weight=shares.count_weight,
            )
            for number in range(1, shares.rounds + 1)
        ),
        # Lloyd and lift: noisy rounds in all dimensions, pooled and shrunk.
        Spread("spread", 0.02 * share),
        *(
            Lloyd(f"lloyd-{number}", lloyd / rounds * share, pool, last=number == rounds)
            for number in range(1, rounds + 1)
        ),
    ]
