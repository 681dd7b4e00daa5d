"""Norms of rows, the same to the last bit whoever stands beside a row and whatever else runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 8192
"""Linear algebra splits longer rows over threads, and adds up differently with each number."""


def squared_norms(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the squared L2 norms of rows, shape (n,), in the rows' own precision.

    Rows are copied where they are not contiguous, and added up in pieces of a fixed
    length: a row's norm depends on that row alone.
    """
    rows = np.ascontiguousarray(rows)
    pieces = [rows[:, start : start + PIECE] for start in range(0, rows.shape[1], PIECE)]
    with np.errstate(over="ignore"):  # a row of infinite length is clipped to nothing
        parts = [np.vecdot(piece, piece) for piece in pieces]
        return np.asarray(sum(parts[1:], start=parts[0]))
