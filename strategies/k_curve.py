"""How well each number of clusters suits the private summary, and which one is taken.

cells, weights (released)  ->  silhouette and inertia over K  ->  K
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.choose_k import KSelector

Array = NDArray[np.float64]

LEAST_SIGMAS = 2.5
"""A cell has a say if it holds so many noise standard deviations of users."""
TOLERANCE = 0.025
"""Silhouettes so far below the highest are as good: the noise moves them by as much."""
CELLS_PER_CLUSTER = (5.0, 3.0)
"""K is bounded by the cells over the first; where the silhouette is highest at that bound, by the
cells over the second. Measured at epsilon 1, ``central``, on populations of clear clusters: 5,000
users in 8 clusters, 20,000 in 20 and 2,000 in 5 have their peak at or beyond a fifth of the cells,
and below a third of them. One cloud climbs to the end of both, and is not sharp."""
CLIMBING = 0.75
"""A curve whose highest values all lie beyond this share of the largest K tried still climbs."""
MOST_TRIED = {True: 60, False: 20}
"""Numbers of K: to choose by, and only to show."""
STARTS, FEW_STARTS = 10, 3
"""Of each K-means: where all K are tried to choose by, and else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KCurve:
    """The numbers of clusters that were tried on the summary.

    Attributes
    ----------
    ks : list of int
    silhouettes, inertias : list of float
        Of the summary's cells; those of people are lower, and higher.
    peak, elbow : int
        K with the highest silhouette, and K where the inertia bends.
    chosen : int
        The peak where it is sharp, else the smallest K whose silhouette is
        about as high; ``most`` where the curve is open.
    is_sharp : bool
        Whether people fall into a definite number of clusters, the peak.
    is_open : bool
        Whether the silhouette still climbs at the largest K that the cells can
        tell, and more were asked for: then it is the cells' number and not
        people's, and nothing was chosen.
    n_cells : int
        How many cells rise above the noise.
    """

    ks: list[int]
    silhouettes: list[float]
    inertias: list[float]
    peak: int
    elbow: int
    chosen: int
    is_sharp: bool
    is_open: bool
    n_cells: int


def k_curve(
    cells: Array, weights: Array, noise: float, most: int, *, choosing: bool, seed: int
) -> KCurve:
    """Try K up to ``most``, as far as the cells can tell.

    Cells that hardly rise above the noise are left out: far from everybody,
    each would be worth a cluster of its own.

    Parameters
    ----------
    cells, weights : shapes (n_cells, m), (n_cells,)
    noise : float
        Standard deviation of the noise on each weight.
    most : int
    choosing : bool
        Whether K is to be chosen, or the curve is only shown: then fewer K are
        tried, from fewer starts.
    seed : int
        Of the K-means.
    """
    held = weights > LEAST_SIGMAS * noise
    held = held if held.any() else weights == weights.max()
    n_tried = MOST_TRIED[choosing]
    for cells_per_cluster in CELLS_PER_CLUSTER:
        found = KSelector(
            k_max=most,
            n_tried=n_tried,
            cells_per_cluster=cells_per_cluster,
            n_init=STARTS if choosing and most <= n_tried else FEW_STARTS,
            random_state=seed,
        ).fit(cells[held], sample_weight=weights[held])
        last = int(found.ks_[-1])
        if found.k_ < last or last == most:
            break
    enough = found.silhouettes_ >= found.silhouettes_.max() - TOLERANCE
    smallest = int(found.ks_[enough.argmax()])
    is_open = found.k_ == last < most and smallest > CLIMBING * last
    return KCurve(
        ks=found.ks_.tolist(),
        silhouettes=found.silhouettes_.tolist(),
        inertias=found.inertias_.tolist(),
        peak=int(found.k_),
        elbow=int(found.elbow_k_),
        chosen=most if is_open else int(found.k_) if found.is_sharp_ else smallest,
        is_sharp=bool(found.is_sharp_),
        is_open=bool(is_open),
        n_cells=int(held.sum()),
    )
