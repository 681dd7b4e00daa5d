"""Questions about where people's interest vectors lie: sums, distances, directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from privacy.query import Block, FloatArray
from strategies.exact_geometry import Doubles
from strategies.item_space import ItemSpace
from strategies.question_kinds.checks import (
    is_number,
    require,
    require_item_space,
    require_positive,
    require_space,
)

MOST_BINS = 1024
BINS_PER_OCTAVE = 8
"""Of a histogram of distances: neighbouring bins end 9 percent apart, at whatever scale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellSums:
    """Per cell, the sum of residuals and the number of users nearest to its centre.

    A user's vector x becomes ``y = (x - origin) @ basis``; with ``a`` the
    nearest centre, the user adds ``y - centres[a]``, clipped to ``radius``, and
    a count, to row ``a``. One centre at the origin asks for the mean.

    Parameters
    ----------
    origin : float32, shape (d,)
    basis : float32, shape (d, m)
        Orthonormal columns; shape (d, 0) leaves all d dimensions as they are.
    centres : float32, shape (cells, m) or (cells, d)
    radius : float
        Clipping norm of a user's residual, in the unit of the vectors.
    count_weight : float
        A user counts ``count_weight * radius``, so that one sigma suits both
        blocks; smaller values leave more of the budget to the sums.
    space : ItemSpace, optional
        In which users' vectors are taken; that of texts where it is left out.
    """

    kind: ClassVar[str] = "cell-sums"

    origin: FloatArray
    basis: FloatArray
    centres: FloatArray
    radius: float
    count_weight: float
    space: ItemSpace | None = None

    def __post_init__(self) -> None:
        require_space(self.kind, self.origin, self.basis, self.centres)
        require_item_space(self.kind, self.space, len(self.origin))
        require(self.kind, is_number(self.radius), "a number for a radius")
        require(
            self.kind,
            is_number(self.count_weight) and 0 < self.count_weight <= 1,
            "a count weight in (0, 1]",
        )

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return len(self.origin)

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``sums`` and ``counts``."""
        cells, width = self.centres.shape
        count = self.count_weight * self.radius
        return (
            Block(name="sums", cells=cells, width=width, clipping_norm=self.radius),
            Block(name="counts", cells=cells, width=1, clipping_norm=count),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DistanceHistogram:
    """How far users are from their nearest centre: a histogram with bins in proportion.

    The last bin ends at ``largest``, each one before it ends at 2^(-1/8) of the
    next one's end; what is further counts in the last bin.

    Parameters
    ----------
    origin, basis, centres
        The space and the centres in it, as in :class:`CellSums`.
    largest : float
        Upper end of the last bin.
    bins : int
    space : ItemSpace, optional
    """

    kind: ClassVar[str] = "distance-histogram"

    origin: FloatArray
    basis: FloatArray
    centres: FloatArray
    largest: float
    bins: int
    space: ItemSpace | None = None

    def __post_init__(self) -> None:
        require_space(self.kind, self.origin, self.basis, self.centres)
        require_item_space(self.kind, self.space, len(self.origin))
        require_positive(self.kind, self.largest, "largest distance")
        require(self.kind, type(self.bins) is int, "a whole number of bins")
        require(self.kind, 1 <= self.bins <= MOST_BINS, f"1 to {MOST_BINS} bins")

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return len(self.origin)

    @property
    def ends(self) -> Doubles:
        """Upper ends of the bins: float64, shape (bins,)."""
        return bin_ends(self.largest, self.bins)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``histogram``: a user adds 1 to one bin."""
        return (Block(name="histogram", cells=self.bins, width=1, clipping_norm=1.0),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SecondMoments:
    """In which directions people differ: products of their coordinates, summed.

    A user's vector x becomes ``y = (x - origin) @ basis``, clipped to ``radius``;
    the user adds all products ``y_i y_j``, once each.

    Parameters
    ----------
    origin : float32, shape (d,)
    basis : float32, shape (d, m)
        Orthonormal columns; shape (d, 0) leaves all d dimensions as they are.
    radius : float
        Clipping norm of y, in the unit of the vectors.
    space : ItemSpace, optional
        As in :class:`CellSums`.
    """

    kind: ClassVar[str] = "second-moments"

    origin: FloatArray
    basis: FloatArray
    radius: float
    space: ItemSpace | None = None

    def __post_init__(self) -> None:
        require_space(self.kind, self.origin, self.basis, None)
        require_item_space(self.kind, self.space, len(self.origin))
        require(self.kind, is_number(self.radius), "a number for a radius")

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return len(self.origin)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``moments``: a user's row is y, its products are summed."""
        width = self.basis.shape[1] or len(self.origin)
        return (
            Block(name="moments", cells=1, width=width, clipping_norm=self.radius, moments=True),
        )


def bin_ends(largest: float, bins: int) -> Doubles:
    """Return the upper ends of a distance histogram's bins: float64, shape (bins,)."""
    octaves = [(bins - 1 - number) / BINS_PER_OCTAVE for number in range(bins)]
    return np.array([largest * 2.0**-octave for octave in octaves])
