"""From scores to a list: without what is excluded, not all alike, few of each category, fresh.

scores of candidates  +  rules  ->  the items to show, best first
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray, IntArray

FRESH_DAYS = 30.0
"""An item that can be had for so many days is half as fresh as a new one."""
POOL = 10
"""So many times as many items as are wanted are looked at for variety."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRules:
    """What a list must be like.

    Attributes
    ----------
    variety : float
        0: by score alone; 1: by difference from what is on the list already, alone. Carbonell
        and Goldstein's (1998) maximal marginal relevance with lambda = 1 - variety.
    freshness : float
        0: by score alone; 1: by how new items are in the catalogue, alone.
    most_per_category : int, optional
        Items of one category.
    excluded_items, excluded_categories : frozenset of str
        Never shown; a category excludes those beneath it.
    """

    variety: float = 0.0
    freshness: float = 0.0
    most_per_category: int | None = None
    excluded_items: frozenset[str] = field(default_factory=frozenset)
    excluded_categories: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        for name in ("variety", "freshness"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be between 0 and 1.")
        if self.most_per_category is not None and self.most_per_category < 1:
            raise ValueError(
                f"most_per_category is {self.most_per_category}; it must be at least 1."
            )

    def is_excluded(self, item_id: str, category: str) -> bool:
        """Whether an item must not be shown."""
        parts = category.split(" > ")
        paths = {" > ".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
        return item_id in self.excluded_items or bool(paths & self.excluded_categories)


def pick(
    scores: NDArray[np.float64],
    items: IntArray,
    count: int,
    rules: ListRules,
    *,
    item_ids: tuple[str, ...],
    categories: tuple[str, ...],
    item_vectors: FloatArray,
    ages: NDArray[np.float64] | None = None,
) -> list[int]:
    """Return the places in the catalogue of at most ``count`` items, best first.

    Parameters
    ----------
    scores : shape (c,)
        Minus infinity for what must not be shown.
    items : int64, shape (c,)
        Whose scores they are: places in the catalogue, ascending.
    count : int
    rules : ListRules
    item_ids, categories : tuple of str, length n_items
        Categories may be empty texts.
    item_vectors : float32, shape (n_items, d)
    ages : float64, shape (n_items,), optional
        For how many days items can be had; nan where that is not known.
    """
    if rules.freshness and ages is not None:
        scores = freshened(scores, ages[items], rules.freshness)
    pool: list[int] = []
    wanted = count * POOL if rules.variety else count
    taken: Counter[str] = Counter()
    chosen: list[int] = []
    for place in np.argsort(-scores, kind="stable"):
        item = int(items[place])
        if not np.isfinite(scores[place]) or len(pool) >= wanted:
            break
        if rules.is_excluded(item_ids[item], categories[item]):
            continue
        if not rules.variety and not _has_room(taken, categories[item], rules):
            continue
        taken[categories[item]] += 1
        pool.append(int(place))
    if not rules.variety:
        return [int(items[place]) for place in pool]
    taken.clear()
    relevance = _between_0_and_1(scores[pool])
    vectors = item_vectors[items[pool]]
    nearest = np.zeros(len(pool))
    left = list(range(len(pool)))
    while left and len(chosen) < count:
        worth = (1 - rules.variety) * relevance - rules.variety * nearest
        best = max(left, key=lambda one: (worth[one], -one))
        left.remove(best)
        item = int(items[pool[best]])
        if not _has_room(taken, categories[item], rules):
            continue
        taken[categories[item]] += 1
        chosen.append(item)
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return chosen


def freshened(
    scores: NDArray[np.float64], ages: NDArray[np.float64], freshness: float
) -> NDArray[np.float64]:
    """Return scores between 0 and 1 with part of them given to how new items are."""
    shown = np.isfinite(scores)
    fresh = np.nan_to_num(0.5 ** (np.maximum(ages, 0.0) / FRESH_DAYS))
    found = np.full(len(scores), -np.inf)
    relevance = _between_0_and_1(scores[shown])
    found[shown] = (1 - freshness) * relevance + freshness * fresh[shown]
    return found


def _has_room(taken: Counter[str], category: str, rules: ListRules) -> bool:
    most = rules.most_per_category
    return most is None or not category or taken[category] < most


def _between_0_and_1(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    width = float(np.ptp(scores)) if scores.size else 0.0
    return (scores - scores.min(initial=np.inf)) / width if width else np.zeros(len(scores))
