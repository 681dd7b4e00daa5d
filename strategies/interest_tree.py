"""The clusters in words and in order: coarse interests, and the fine ones below each.

centroids, noisy sizes (released), catalogue (public)  ->  Ward tree  ->  labels at each level

Post-processing, hence free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.hierarchy import InterestHierarchy
from strategies.labels import ClusterWords, describe_levels
from strategies.public_catalogue import PublicCatalogue

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestTree:
    """Two levels of interests.

    Attributes
    ----------
    clusters : list of ClusterWords, length k
        The clusters themselves.
    groups : list of ClusterWords
        What clusters have in common, one for each group of them.
    parents : list of int, length k
        Each cluster's group, by its place in ``groups``.
    """

    clusters: list[ClusterWords]
    groups: list[ClusterWords]
    parents: list[int]


def interest_tree(
    centroids: Array,
    sizes: Array,
    catalogue: PublicCatalogue,
    *,
    item_weights: Array | None = None,
    popularity: Array | None = None,
) -> InterestTree:
    """Group the clusters and put all of it into words.

    Parameters
    ----------
    centroids, sizes : shapes (k, d), (k,)
        Sizes may be noisy, and so not positive.
    catalogue : PublicCatalogue
        Without item ids, clusters are numbered.
    item_weights, popularity : shapes (k, n_items), (n_items,), optional
        How strongly each cluster takes up each item, where that was released.
    """
    k = len(centroids)
    tree = InterestHierarchy().fit(centroids, sample_weight=np.maximum(sizes, 1.0))
    groups: Labels = tree.labels_at(tree.levels_[0])
    levels = [groups, np.arange(k)] if len(set(groups.tolist())) < k else [np.arange(k)]
    described = describe_levels(
        centroids, catalogue, levels, item_weights=item_weights, popularity=popularity
    )
    parents = groups.tolist() if len(levels) > 1 else list(range(k))
    return InterestTree(clusters=described[-1], groups=described[0], parents=parents)
