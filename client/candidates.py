"""Which items are looked at for a user: all of a small catalogue, the likeliest of a large one.

cluster map  ->  for each cluster, items that taste knows, that it goes for, that are popular
lately, that are new in the catalogue
"""

from __future__ import annotations

from functools import cache

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
        lately = self._map.recent_popularity
        parts = [_largest(weights, OF_CLUSTER), np.flatnonzero(self._map.taste_weights)]
        parts.append(_largest(lately if lately.size else self._map.popularity, OF_LATELY))
        if self._ages is not None:
            parts.append(_largest(-np.nan_to_num(self._ages, nan=np.inf), NEWEST))
        return np.unique(np.concatenate(parts)).astype(np.int64)


def _largest(values: np.ndarray, count: int) -> IntArray:
    return np.argpartition(-values, count)[:count]
