"""What a run learned of taste, for people: how much rose above the noise, and some of it.

taste, popularity (released)  ->  directions; for popular items, what goes with them best
"""

from __future__ import annotations

import numpy as np

from server.report import GoesWithPart, TastePart
from strategies.clustering import Clustering

SHOWN = 8
"""Popular items, at most two of a category."""
OF_A_CATEGORY = 2
BEST = 3
"""Items that go with each."""


def taste_part(known: Clustering) -> TastePart | None:
    """Return the report's part; None where nobody was asked."""
    taste = known.taste
    if taste is None:
        return None
    items = taste.items
    shown = _popular(known) if len(taste.strengths) else []
    scores = taste.between(items, np.array(shown, dtype=np.int64)).T
    pairs = []
    for item, row in zip(shown, scores, strict=True):
        order = [place for place in np.argsort(-row, kind="stable") if items[place] != item]
        best = [known.catalogue.item_ids[items[place]] for place in order[:BEST] if row[place] > 0]
        if best:
            pairs.append(GoesWithPart(item=known.catalogue.item_ids[item], goes_with=best))
    return TastePart(items=len(items), directions=len(taste.strengths), examples=pairs)


def _popular(known: Clustering) -> list[int]:
    """Return the most popular items that taste knows, few of each category."""
    if known.taste is None:
        return []
    items, taken, found = known.taste.items, dict[str, int](), list[int]()
    for item in items[np.argsort(-known.popularity[items], kind="stable")].tolist():
        category = known.catalogue.categories[item]
        if taken.get(category, 0) < OF_A_CATEGORY:
            taken[category] = taken.get(category, 0) + 1
            found.append(item)
    return found[:SHOWN]
