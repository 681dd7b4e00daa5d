"""Who lives where: users over regions, unevenly and not at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from privacy.query import FloatArray

TYPES_OF_PEOPLE = 8
SIZE_POWER = 0.7
"""Region r is as large as r^-0.7, before interests pull it up or down."""


def partition_by_interest(
    vectors: FloatArray, n_regions: int, *, concentration: float, seed: int
) -> NDArray[np.int64]:
    """Assign users to regions so that regions differ in size and in interests.

    Users fall into types by K-means on their interest vectors; each type
    spreads over the regions by a Dirichlet draw around the regions' sizes
    (Hsu, Qi and Brown 2019).

    Parameters
    ----------
    vectors : float32, shape (n_users, d)
    n_regions : int
    concentration : float
        Small values put each type into few regions.
    seed : int

    Returns
    -------
    int64, shape (n_users,)
        Region of each user, from 0; no region is empty if there are users enough.
    """
    rng = np.random.default_rng(seed)
    n_types = min(TYPES_OF_PEOPLE, len(vectors))
    types = KMeans(n_types, n_init=1, random_state=seed).fit_predict(vectors)
    sizes = np.arange(1, n_regions + 1) ** -SIZE_POWER
    sizes /= sizes.sum()
    regions = np.zeros(len(vectors), dtype=np.int64)
    for kind in range(n_types):
        members = np.flatnonzero(types == kind)
        shares = rng.dirichlet(concentration * n_regions * sizes)
        regions[members] = rng.choice(n_regions, size=len(members), p=shares)
    _fill_empty(regions, n_regions)
    return regions


def _fill_empty(regions: NDArray[np.int64], n_regions: int) -> None:
    """Give each empty region one user of the largest, in place."""
    for region in range(n_regions):
        counts = np.bincount(regions, minlength=n_regions)
        if counts[region] == 0 and counts.max() > 1:
            regions[np.flatnonzero(regions == counts.argmax())[0]] = region
