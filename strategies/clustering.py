"""What the server knows in the course of a run: public values, and released ones.

Nothing in here is exact about anybody, so nothing in here needs protection.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray
from strategies.cluster_map import ClusterMap
from strategies.public_catalogue import PublicCatalogue

Array = NDArray[np.float64]

NORM_BOUND = 1.0
"""Interest vectors have unit norm: public, by construction."""


@dataclass(slots=True, kw_only=True, eq=False)
class Clustering:
    """What the server knows so far: public values, and released ones.

    Attributes
    ----------
    run, k, seed : str, int, int
    effective_mu : float
        The run's Gaussian-DP parameter over the noise that all releases of one
        phase add up to; tells how many cells the budget can carry.
    catalogue : PublicCatalogue
    users : float
        Noisy number of users that take part.
    mean : shape (d,)
    radius : float
        Median distance of users from the mean.
    basis : shape (d, m)
    cells, cell_weights : shapes (cells, m), (cells,)
        The private weighted summary.
    centroids : shape (k, d)
    sizes : shape (k,)
        Noisy numbers of users per cluster.
    size_noise : float
        Standard deviation of the noise on each.
    spread : float
        Median distance of users from their centroid.
    item_weights, popularity : shapes (k, n_items), (n_items,)
    labels : list of str, length k
    silhouette, squared_distance : float
        Released quality, means over the users.
    silhouette_noise : float
        Standard deviation of the noise on the silhouette.
    """

    run: str
    k: int
    seed: int
    effective_mu: float
    catalogue: PublicCatalogue
    users: float = 1.0
    mean: Array = field(default_factory=lambda: np.zeros(0))
    radius: float = NORM_BOUND
    basis: Array = field(default_factory=lambda: np.zeros((0, 0)))
    cells: Array = field(default_factory=lambda: np.zeros((0, 0)))
    cell_weights: Array = field(default_factory=lambda: np.zeros(0))
    centroids: Array = field(default_factory=lambda: np.zeros((0, 0)))
    sizes: Array = field(default_factory=lambda: np.zeros(0))
    size_noise: float = float("nan")
    spread: float = NORM_BOUND
    item_weights: Array = field(default_factory=lambda: np.zeros((0, 0)))
    popularity: Array = field(default_factory=lambda: np.zeros(0))
    labels: list[str] = field(default_factory=list)
    silhouette: float = float("nan")
    squared_distance: float = float("nan")
    silhouette_noise: float = float("nan")

    @property
    def dim(self) -> int:
        """Dimension of the vectors."""
        return int(self.catalogue.vectors.shape[1])

    def cluster_map(self) -> ClusterMap:
        """Return what may be pushed back."""
        return ClusterMap(
            run=self.run,
            catalogue=self.catalogue.fingerprint,
            encoder=self.catalogue.encoder,
            centroids=single_precision(self.centroids),
            noisy_sizes=single_precision(self.sizes),
            labels=self.labels,
            item_weights=single_precision(self.item_weights),
            popularity=single_precision(self.popularity),
        )


def single_precision(array: Array) -> FloatArray:
    """Return the array as messages carry it: float32, contiguous."""
    return np.ascontiguousarray(array, dtype=np.float32)
