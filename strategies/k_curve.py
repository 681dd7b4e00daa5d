"""How well each number of clusters suits the private summary, and which one is taken.

cells, weights (released)  ->  silhouette and inertia for every K  ->  K
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KCurve:
    """Every number of clusters that was tried on the summary.

    Attributes
    ----------
    ks : list of int
    silhouettes, inertias : list of float
        Of the summary's cells; those of people are lower, and higher.
    peak, elbow : int
        K with the highest silhouette, and K where the inertia bends.
    chosen : int
        The smallest K whose silhouette is about as high as the highest.
    is_sharp : bool
        Whether people fall into a definite number of clusters.
    """

    ks: list[int]
    silhouettes: list[float]
    inertias: list[float]
    peak: int
    elbow: int
    chosen: int
    is_sharp: bool


def k_curve(cells: Array, weights: Array, noise: float, most: int, *, seed: int) -> KCurve:
    """Try every K up to ``most``, and up to a fifth of the cells.

    Cells that hardly rise above the noise are left out: far from everybody,
    each would be worth a cluster of its own.

    Parameters
    ----------
    cells, weights : shapes (n_cells, m), (n_cells,)
    noise : float
        Standard deviation of the noise on each weight.
    most : int
    seed : int
        Of the K-means.
    """
    held = weights > LEAST_SIGMAS * noise
    held = held if held.any() else weights == weights.max()
    found = KSelector(k_max=most, random_state=seed).fit(cells[held], sample_weight=weights[held])
    enough = found.silhouettes_ >= found.silhouettes_.max() - TOLERANCE
    return KCurve(
        ks=found.ks_.tolist(),
        silhouettes=found.silhouettes_.tolist(),
        inertias=found.inertias_.tolist(),
        peak=int(found.k_),
        elbow=int(found.elbow_k_),
        chosen=int(found.ks_[enough.argmax()]),
        is_sharp=bool(found.is_sharp_),
    )
