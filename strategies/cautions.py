"""What a reader of the clusters has to know before using them: from public and noisy values.

released sizes, counts, radius, curve over K  ->  sentences

Nothing here changes a result, and all of it is free.
"""

from __future__ import annotations

from strategies.clustering import NORM_BOUND, PUBLIC_PER_CLUSTER, Clustering
from strategies.phases.phase import BINS
from strategies.question_kinds.vectors import bin_ends
from strategies.rising import LEAST_SIGMAS

FAR_SIGMAS = 4.0
"""A declared number of users so many noise standard deviations away is wrong, not unlucky."""
FAR_SHARE = 0.1
"""Declared numbers are estimates: they may be off by as much."""
LARGE_DELTA = 0.5
"""Of delta times users: what a delta of one in the number of users allows is no privacy."""


def cautions(known: Clustering, *, delta: float, n_declared: int | None) -> list[str]:
    """Return what has to be said of a finished clustering, most important first.

    Parameters
    ----------
    known : Clustering
        After its last phase.
    delta : float
        Of the run.
    n_declared : int, optional
        Public estimate of the number of users.
    """
    told = (
        _too_short(known),
        _weak_clusters(known),
        _open_curve(known),
        _public_left_out(known),
        _wrongly_declared(known, n_declared),
        _large_delta(known, delta),
    )
    return [sentence for sentence in told if sentence]


def _too_short(known: Clustering) -> str | None:
    """Tell where people lie closer together than the first bin of distances is wide."""
    first = float(bin_ends(2 * NORM_BOUND, BINS)[0])
    if known.radius > first:
        return None
    return (
        f"People lie within {first:.3f} of the norm bound from their mean, the least distance that "
        "is told apart: the vectors are much shorter than the norm bound, or all alike. Lower the "
        "norm bound (--norm-bound), or the noise hides the clusters."
    )


def _weak_clusters(known: Clustering) -> str | None:
    weak = int((known.sizes < LEAST_SIGMAS * known.size_noise).sum())
    if not weak:
        return None
    return (
        f"{weak} of {known.k} clusters do not rise above the noise (fewer than "
        f"{LEAST_SIGMAS * known.size_noise:.0f} users): they may hold nobody. Ask for fewer "
        "clusters, or merge small ones (least size)."
    )


def _open_curve(known: Clustering) -> str | None:
    curve = known.k_curve
    if not known.choosing_k or curve is None or not curve.is_open:
        return None
    last = curve.ks[-1]
    why = (
        f"the silhouette still climbs at {last}, the most clusters that {curve.n_cells} cells "
        "above the noise can tell"
        if last > 1
        else f"{curve.n_cells} cells above the noise are too few to tell one"
    )
    return (
        f"No K was chosen: {why}, so K stays at {curve.chosen}. For a chosen K take more users, a "
        "larger epsilon, or a smaller K to begin with."
    )


def _public_left_out(known: Clustering) -> str | None:
    given = len(known.catalogue.vectors)
    if not given or known.has_catalogue:
        return None
    return (
        f"The {given} public vectors were not used: fewer than {PUBLIC_PER_CLUSTER} for each of "
        f"{known.asked_k} clusters lead further astray than none."
    )


def _wrongly_declared(known: Clustering, n_declared: int | None) -> str | None:
    if n_declared is None:
        return None
    gap = abs(known.users - n_declared)
    if gap <= max(FAR_SIGMAS * known.users_noise, FAR_SHARE * n_declared):
        return None
    return (
        f"{n_declared:,} users were declared, and {known.users:,.0f} ± {known.users_noise:,.0f} "
        "were counted."
    )


def _large_delta(known: Clustering, delta: float) -> str | None:
    if delta * known.users < LARGE_DELTA or not known.is_private:
        return None
    return (
        f"delta {delta:g} times {known.users:,.0f} users is {delta * known.users:.2g}: such a "
        "promise could be kept by publishing somebody outright. Take a delta well below one in "
        "the number of users."
    )
