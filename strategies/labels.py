"""Names for clusters, from public items near their centroids.

centroids, mean (released)  +  item vectors, categories (public)  ->  labels, terms
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from strategies.public_catalogue import PublicCatalogue

Array = NDArray[np.float64]

LEAST_ITEMS = 3
CATEGORIES_PER_LABEL = 2


def directions(centroids: Array) -> Array:
    """Return how each centroid differs from the average one: shape (k, d), unit norm."""
    differences = centroids - centroids.mean(axis=0)
    norms = np.maximum(np.linalg.norm(differences, axis=1, keepdims=True), 1e-12)
    return np.asarray(differences / norms)


def label_clusters(centroids: Array, catalogue: PublicCatalogue) -> list[str]:
    """Name each cluster after the categories that set it apart from the others.

    Parameters
    ----------
    centroids : shape (k, d)
    catalogue : PublicCatalogue

    Returns
    -------
    list of str, length k
        For example ``"Baby foods, Diapers and wipes"``; no two alike.
    """
    names, centres = _categories(catalogue)
    closeness = directions(centroids) @ centres.T
    # A category names the cluster that it is closest to, before any other.
    contrast = closeness - np.sort(closeness, axis=0)[-2:].mean(axis=0)
    score = closeness + contrast
    labels: list[str] = []
    for row in score:
        best = [_title(names[index]) for index in np.argsort(-row)]
        words = list(dict.fromkeys(best))
        width = CATEGORIES_PER_LABEL
        while ", ".join(words[:width]) in labels and width < len(words):
            width += 1
        labels.append(", ".join(words[:width]))
    return labels


def typical_items(centroids: Array, catalogue: PublicCatalogue, count: int) -> list[list[str]]:
    """Return the ``count`` public items that lie furthest in each cluster's own direction."""
    closeness = directions(centroids) @ catalogue.vectors.T
    return [[catalogue.item_ids[item] for item in np.argsort(-row)[:count]] for row in closeness]


def _categories(catalogue: PublicCatalogue) -> tuple[list[str], Array]:
    """Return the categories with enough items, and their unit mean vectors."""
    by_name: dict[str, list[int]] = {}
    for item, category in enumerate(catalogue.categories):
        by_name.setdefault(category, []).append(item)
    names = [name for name, items in by_name.items() if len(items) >= LEAST_ITEMS and name]
    names = names or list(by_name)
    means = np.stack([catalogue.vectors[by_name[name]].mean(axis=0) for name in names])
    norms = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return names, np.asarray(means / norms, dtype=np.float64)


def _title(category: str) -> str:
    """Return a category path's last part, in sentence case."""
    return category.rsplit(">", 1)[-1].strip().capitalize() or "Other"
