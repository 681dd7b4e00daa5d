"""The question what goes with what, asked of a few directions only: its answer is small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from privacy.query import Block, FloatArray, IntArray
from strategies.question_kinds.checks import finite, is_number, require
from strategies.question_kinds.items import MOST_TASTE_ITEMS

MOST_NUMBERS = MOST_TASTE_ITEMS * (MOST_TASTE_ITEMS + 1) // 2
"""As many as the products of all pairs are."""
NOT_ORTHONORMAL = 1e-3
"""Directions may differ by so much from orthonormal ones, in any product."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TasteProjection:
    """What goes with what, along given directions: a block of the products of items.

    A user's row x has the weight of each item that the user met, scaled to unit
    length. The user adds x (x^T Q), a row of the matrix for each item and a
    column for each direction. Its length is |x| |Q^T x|, at most 1 for
    orthonormal Q; people lie along few directions in part only, so that a
    smaller ``length``, and less noise, leaves most of them whole.

    Parameters
    ----------
    weights : float32, shape (n_items,)
        Not negative; the m items of positive weight are asked about.
    directions : float32, shape (m, r)
        Orthonormal: Q.
    length : float
        What a user adds is clipped to it; in (0, 1].
    """

    kind: ClassVar[str] = "taste-projection"

    weights: FloatArray
    directions: FloatArray
    length: float

    def __post_init__(self) -> None:
        require(self.kind, self.weights.ndim == 1 and finite(self.weights), "weights of items")
        require(self.kind, bool((self.weights >= 0).all()), "weights of at least 0")
        m = len(self.items)
        require(self.kind, 1 <= m <= MOST_TASTE_ITEMS, f"1 to {MOST_TASTE_ITEMS} items")
        require(self.kind, self.directions.ndim == 2, "directions of its items")
        rows, columns = self.directions.shape
        require(self.kind, rows == m and 1 <= columns <= m, "directions of its items")
        require(self.kind, rows * columns <= MOST_NUMBERS, f"at most {MOST_NUMBERS} numbers")
        require(self.kind, self._is_orthonormal(), "orthonormal directions")
        require(self.kind, is_number(self.length) and 0 < self.length <= 1, "a length in (0, 1]")

    def _is_orthonormal(self) -> bool:
        if not finite(self.directions):
            return False
        # Entries of a unit column are within 1; larger ones would overflow in the products.
        if bool((np.abs(self.directions) > 1 + NOT_ORTHONORMAL).any()):
            return False
        products = self.directions.T.astype(np.float64) @ self.directions
        return bool((np.abs(products - np.eye(len(products))) <= NOT_ORTHONORMAL).all())

    @property
    def items(self) -> IntArray:
        """Which items it is about: int64, shape (m,), ascending."""
        return np.flatnonzero(self.weights)

    @property
    def n_items(self) -> int:
        """Length of the catalogue."""
        return len(self.weights)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``projected``: (1, m r), a user's matrix row by row."""
        width = self.directions.size
        return (Block(name="projected", cells=1, width=width, clipping_norm=self.length),)
