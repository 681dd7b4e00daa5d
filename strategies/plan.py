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
from strategies.phases.experiment import Asked, Feedback
from strategies.phases.lloyd import Lloyd, LloydPool
from strategies.phases.phase import Phase
from strategies.phases.preferences import Popularity, Tastes
from strategies.phases.projections import TasteRound, TasteRounds
from strategies.phases.summary import Summary
from strategies.phases.votes import Votes
from strategies.taste_plan import ROUNDS, TasteChoice, TasteWay, UploadLimit, choose_taste

CLUSTERING_SHARE = 0.69
"""Of a run that also releases what each cluster goes for."""
TASTE_SHARE = 0.7
"""Of a run that also learns what goes with what: that, and what is popular."""
LATEST = 10
"""So many of a user's latest items tell what is popular lately."""
VOTES_SHARE = 0.03
"""Of a run that asks users how well lists rank; all other shares shrink by it."""
FEEDBACK_SHARE = 0.04
"""Of a run that also asks what came of an experiment; all other phases shrink alike."""
SPACE_SHARE = 0.005
"""Of a run that chooses the space of its clusters: the choice."""
CLUSTERS_INSTEAD = "clusters and what they go for"
"""What a run spends on where it does not ask for taste, for people."""


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
    votes: bool = False,
    signal: float = math.inf,
    space: Space = Space.BOTH,
    limit: UploadLimit | None = None,
    experiment: Asked | None = None,
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
    votes : bool
        Whether users say, where taste is learned, how well lists rank, and which weights rank
        best.
    signal : float
        Declared users times the run's effective mu: public.
    space : Space
        In which clusters are looked for where taste is learned; else in that of texts.
    limit : UploadLimit, optional
        What a client sends at most in one answer about taste.
    experiment : Asked, optional
        The experiment to ask about, before the push-back.
    """
    feedback = [Feedback("feedback", FEEDBACK_SHARE, experiment)] if experiment else []
    asked = experiment is not None
    if taste and joint_taste(signal, limit, votes=votes, experiment=asked).is_asked_for:
        left = _left(votes=votes, experiment=asked)
        choice, begin = [], space
        if space is Space.BEST:  # which one that is, is the question after taste
            choice, begin = [SpaceChoice("space", SPACE_SHARE)], Space.TEXT
        clusters = 0.2 * left - sum(phase.share for phase in choice)
        return [
            # Taste first: clusters may be made of it.
            *preferences(TASTE_SHARE * left, signal, limit, lately=lately, space=begin),
            *choice,
            *clustering(clusters, choosing_k=choosing_k),
            Items("items", 0.08 * left),
            *feedback,
            *([Votes("votes", VOTES_SHARE)] if votes else []),
            Quality("quality", 0.02 * left),
        ]
    rest = _left(experiment=asked)
    return [
        *clustering(CLUSTERING_SHARE * rest, choosing_k=choosing_k),
        # Describe: what each cluster goes for; the push-back.
        Items("items", 0.27 * rest),
        *feedback,
        Quality("quality", 0.04 * rest),
    ]


def joint_taste(
    signal: float,
    limit: UploadLimit | None = None,
    *,
    votes: bool = False,
    experiment: bool = False,
) -> TasteChoice:
    """Return how a run that finds clusters, too, asks what goes with what, and why."""
    share = TASTE_SHARE * _left(votes=votes, experiment=experiment)
    return choose_taste(share, signal, limit or UploadLimit(), instead=CLUSTERS_INSTEAD)


def _left(*, votes: bool = False, experiment: bool = False) -> float:
    """Return what the questions about lists leave to all others."""
    return 1.0 - (VOTES_SHARE if votes else 0.0) - (FEEDBACK_SHARE if experiment else 0.0)


def recommendation_alone(
    signal: float = math.inf,
    limit: UploadLimit | None = None,
    *,
    lately: bool = False,
    votes: bool = False,
) -> list[Phase]:
    """Return the phases of a run that learns what people go for, and no clusters.

    Nobody votes where the votes' share would leave too little for taste.
    """
    left = _left(votes=votes)
    votes = votes and choose_taste(0.99 * left, signal, limit or UploadLimit()).is_asked_for
    left = _left(votes=votes)
    return [
        *preferences(0.99 * left, signal, limit, lately=lately),
        *([Votes("votes", VOTES_SHARE)] if votes else []),
        Quality("quality", 0.01 * left),
    ]


def preferences(
    share: float,
    signal: float,
    limit: UploadLimit | None = None,
    *,
    lately: bool = False,
    space: Space = Space.TEXT,
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
    limit : UploadLimit, optional
        What a client sends at most in one answer about taste.
    lately : bool
        Whether half of what popularity spends is about everybody's latest items: only for
        clients that follow it.
    space : Space
        In which clusters are looked for afterwards.
    """
    choice = choose_taste(share, signal, limit or UploadLimit())
    if not choice.is_asked_for:
        return [Popularity("popularity", share)]
    popularity = Popularity("popularity", 0.15 * share, latest=LATEST if lately else 0)
    if choice.way is TasteWay.PRODUCTS:
        products = Tastes("taste", 0.85 * share, spent=share, space=space, most_items=choice.items)
        return [popularity, products]
    rounds = TasteRounds(
        spent=share, most_items=choice.items, directions=choice.directions, space=space
    )
    return [
        popularity,
        *taste_rounds(0.85 * share, rounds),
    ]


def taste_rounds(share: float, rounds: TasteRounds) -> list[Phase]:
    """Return the rounds that find out what goes with what, with the same share each.

    Parameters
    ----------
    share : float
        Part of the run's mu^2 of all rounds.
    rounds : TasteRounds
    """
    return [
        TasteRound(
            f"taste-{number}", share / ROUNDS, rounds, first=number == 1, last=number == ROUNDS
        )
        for number in range(1, ROUNDS + 1)
    ]


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
