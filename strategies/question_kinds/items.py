"""Questions about which items people meet: each cluster's, everybody's, what goes with what."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from privacy.query import Block, FloatArray, IntArray
from strategies.item_space import ItemSpace
from strategies.question_kinds.checks import (
    finite,
    is_number,
    require,
    require_centres,
    require_item_space,
    require_positive,
)

MOST_TASTE_ITEMS = 2**11
"""Their products are two million numbers, 8 MB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemWeights:
    """Which items each cluster's users go for.

    A user's vector over the catalogue has a 1 for each item ever met and
    another 1 if it was met recently, divided by its length or ``saturation``,
    whichever is larger. Part of it goes to the row of the own cluster, part to
    a row for everybody; both together have at most unit length.

    Parameters
    ----------
    centroids : float32, shape (k, d)
    n_items : int
        Length of the catalogue.
    recent_days : float
        An item met within so many days counts twice.
    saturation : float
        Vectors shorter than this are not stretched to full length: who did
        little says little.
    cluster_weight : float
        Length of a full vector in the cluster's row, between 0 and 1; the
        row for everybody gets the rest of the unit length.
    space : ItemSpace, optional
        In which the own cluster is found; that of texts where it is left out.
    """

    kind: ClassVar[str] = "item-weights"

    centroids: FloatArray
    n_items: int
    recent_days: float
    saturation: float
    cluster_weight: float
    space: ItemSpace | None = None

    def __post_init__(self) -> None:
        require_centres(self.kind, self.centroids)
        require_item_space(self.kind, self.space, self.dim)
        require(
            self.kind,
            is_number(self.recent_days) and 0 <= self.recent_days < math.inf,
            "recent days of at least 0",
        )
        require_positive(self.kind, self.saturation, "saturation")
        require(
            self.kind,
            is_number(self.cluster_weight) and 0 < self.cluster_weight < 1,
            "a cluster weight in (0, 1)",
        )

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return int(self.centroids.shape[1])

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``by_cluster`` (k, n_items) and ``overall`` (1, n_items)."""
        return (
            Block(
                name="by_cluster",
                cells=len(self.centroids),
                width=self.n_items,
                clipping_norm=self.cluster_weight,
            ),
            Block(name="overall", cells=1, width=self.n_items, clipping_norm=self.overall_weight),
        )

    @property
    def overall_weight(self) -> float:
        """Length of a user's vector in the row for everybody."""
        return float(np.sqrt(1 - self.cluster_weight**2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemPopularity:
    """Which items people take up, ever and lately.

    A user adds a row with a 1 for each item ever met, and another for the
    latest ones, each scaled to the length sqrt(1/2): both have unit length.

    Parameters
    ----------
    n_items : int
        Length of the catalogue.
    latest : int
        How many of a user's latest items the second row is about; 0: there is no second
        row, and the first one has unit length.
    """

    kind: ClassVar[str] = "item-popularity"

    n_items: int
    latest: int

    def __post_init__(self) -> None:
        require(self.kind, type(self.n_items) is int and self.n_items > 0, "some items")
        require(self.kind, type(self.latest) is int and self.latest >= 0, "latest items")

    @property
    def length(self) -> float:
        """Of each of a user's rows."""
        return math.sqrt(0.5) if self.latest else 1.0

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``ever`` and, where it is asked for, ``latest`` (1, n_items)."""
        names = ("ever", "latest") if self.latest else ("ever",)
        return tuple(
            Block(name=name, cells=1, width=self.n_items, clipping_norm=self.length)
            for name in names
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TasteMoments:
    """What goes with what: products of which items people met, summed.

    A user's row has the weight of each item that the user met, is scaled to
    unit length, and adds all its products, once each.

    Parameters
    ----------
    weights : float32, shape (n_items,)
        Not negative; items of weight zero are not asked about.
    """

    kind: ClassVar[str] = "taste-moments"

    weights: FloatArray

    def __post_init__(self) -> None:
        require(self.kind, self.weights.ndim == 1 and finite(self.weights), "weights of items")
        require(self.kind, bool((self.weights >= 0).all()), "weights of at least 0")
        some = f"1 to {MOST_TASTE_ITEMS} items"
        require(self.kind, 1 <= len(self.items) <= MOST_TASTE_ITEMS, some)

    @property
    def items(self) -> IntArray:
        """Which items it is about: int64, shape (m,), ascending."""
        return np.flatnonzero(self.weights)

    @property
    def n_items(self) -> int:
        """Length of the catalogue."""
        return len(self.weights)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``moments``: a user's row over the items, its products are summed."""
        width = len(self.items)
        return (Block(name="moments", cells=1, width=width, clipping_norm=1.0, moments=True),)
