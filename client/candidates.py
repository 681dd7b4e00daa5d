"""Which items are looked at for a user: all of a small catalogue, the likeliest of a large one.

cluster map  ->  for each cluster, items that taste knows, that it goes for, that are popular
lately, that are new in the catalogue
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.query import IntArray
from strategies.cluster_map import ClusterMap

ALL = 5000
"""Items; of a smaller catalogue every one is a candidate."""
OF_CLUSTER = 1000
"""So many that the own cluster goes for most."""
OF_LATELY = 200
"""So many that are most popular lately."""
NEWEST = 200
"""So many that can be had for the fewest days."""


class Candidates:
    """The items worth scoring, by cluster.

    Parameters
    ----------
    cluster_map : ClusterMap
    ages : float64, shape (n_items,), optional
        For how many days items can be had; nan where that is not known.
    """

    def __init__(self, cluster_map: ClusterMap, ages: NDArray[np.float64] | None = None) -> None:
        self._map = cluster_map
        self._ages = ages
        self.of = cache(self._of)

    def _of(self, cluster: int) -> IntArray:
        """Return candidates of a cluster: int64, ascending places in the catalogue."""
        weights = self._map.item_weights[cluster]
        if len(weights) <= ALL:
            return np.arange(len(weights))
        looked_at = self._for_everybody.copy()
        looked_at[_largest(weights, OF_CLUSTER)] = True
        return np.flatnonzero(looked_at)

    @cached_property
    def _for_everybody(self) -> NDArray[np.bool_]:
        lately = self._map.recent_popularity
        looked_at = np.zeros(len(self._map.popularity), dtype=np.bool_)
        looked_at[np.flatnonzero(self._map.taste_weights)] = True
        looked_at[_largest(lately if lately.size else self._map.popularity, OF_LATELY)] = True
        if self._ages is not None:
            looked_at[_largest(-np.nan_to_num(self._ages, nan=np.inf), NEWEST)] = True
        return looked_at


def _largest(values: np.ndarray, count: int) -> IntArray:
    return np.argpartition(values, -count)[-count:]
