"""The space that people are clustered in: texts, what goes with what, or both side by side.

public text vectors  +  taste (released)  ->  vectors of items
a user's text vector, items that were met  ->  the user's vector

A vector has two parts. One is the text vector times sqrt(1 - share); the other comes from taste,
is scaled to unit length and taken times sqrt(share). As neither part is longer than its root, no
vector is longer than 1. Both parts are public or released, so the space of items costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from privacy.query import FloatArray
from privacy.row_norms import squared_norms
from strategies.taste import Taste
from strategies.taste_spectrum import MOST_TASTES

Array = NDArray[np.float64]


class Space(StrEnum):
    """What clusters are made of."""

    TEXT = "text"
    TASTE = "taste"
    BOTH = "both"
    BEST = "best"
    """Whichever of them tells people's latest items best."""


SHARES = {Space.TASTE: 1.0, Space.BOTH: 0.5}
"""How much of a vector's squared length taste makes up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemSpace:
    """Where items lie, and people who met them.

    Parameters
    ----------
    share : float
        How much of a squared length taste makes up, above 0 and at most 1; at 1 there is
        no text part.
    taste : Taste
        With at least one direction.

    Raises
    ------
    ValueError
        If the parts do not fit together, or are not finite.
    """

    share: float
    taste: Taste
    _loadings: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights, directions, strengths = self.taste.parts().values()
        # An array of one number would pass for it, and make vectors of other shapes.
        _require(type(self.share) in (int, float), "a number for a share")
        _require(0 < self.share <= 1, "a share above 0 and at most 1")
        _require(weights.ndim == 1 and bool((weights >= 0).all()), "weights of items")
        _require(strengths.ndim == 1, "strengths of directions")
        _require(1 <= len(strengths) <= MOST_TASTES, f"1 to {MOST_TASTES} directions")
        _require(directions.shape == (len(self.taste.items), len(strengths)), "directions")
        _require(bool(np.isfinite(weights).all()), "finite weights")
        _require(bool((np.abs(directions) <= 1).all()), "directions of unit length")
        _require(bool(((strengths >= 0) & (strengths <= 1)).all()), "strengths from 0 to 1")
        loadings = weights[self.taste.items, None] * np.sqrt(strengths, dtype=np.float64)
        object.__setattr__(self, "_loadings", loadings * directions)

    @property
    def n_items(self) -> int:
        """Length of the catalogue."""
        return len(self.taste.weights)

    @property
    def directions(self) -> int:
        """Dimensions of the part that comes from taste."""
        return len(self.taste.strengths)

    def dim(self, text: int) -> int:
        """Return the dimensions of the space, where texts have ``text``."""
        return self.directions + (text if self.share < 1 else 0)

    def can_hold(self, dim: int) -> bool:
        """Tell whether vectors of so many dimensions can lie in it, whatever texts have."""
        return dim == self.directions if self.share == 1 else dim > self.directions

    def of_items(self, text: FloatArray) -> FloatArray:
        """Return the items' vectors: float32, shape (n_items, dim).

        Parameters
        ----------
        text : float32, shape (n_items, d)
            Of unit norm. Items that taste does not know have no second part.
        """
        along = np.zeros((self.n_items, self.directions))
        along[self.taste.items] = self._loadings
        return self._joined(text, along)

    def of_users(self, text: FloatArray, met: csr_matrix) -> FloatArray:
        """Return users' vectors: float32, shape (n, dim). Private.

        A user's row depends on that user alone, to the last bit: rows of a sparse matrix are
        multiplied one by one, each in the order of its own entries.

        Parameters
        ----------
        text : float32, shape (n, d)
            Of at most unit norm.
        met : sparse, shape (n, n_items)
            Stored where a user met an item; the values do not matter.
        """
        once = csr_matrix((np.ones(met.nnz), met.indices, met.indptr), shape=met.shape)
        return self._joined(text, np.asarray(once[:, self.taste.items] @ self._loadings))

    def _joined(self, text: FloatArray, along: Array) -> FloatArray:
        lengths = np.sqrt(squared_norms(along))
        unit = along / np.where(lengths > 0, lengths, 1.0)[:, None]
        taste: FloatArray = (np.sqrt(self.share) * unit).astype(np.float32)
        if self.share == 1:
            return taste
        return np.asarray(np.hstack([text * np.float32(np.sqrt(1 - self.share)), taste]))


def space_of(name: Space, taste: Taste | None) -> ItemSpace | None:
    """Return a space by its name; None for that of texts, or where taste knows nothing."""
    if name not in SHARES or taste is None or not len(taste.strengths):
        return None
    return ItemSpace(share=SHARES[name], taste=taste)


def located(space: ItemSpace | None, text: FloatArray, met: csr_matrix) -> FloatArray:
    """Return users' vectors in a space; in that of texts where there is no other."""
    return text if space is None else space.of_users(text, met)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"A space of items needs {what} that it does not have.")
