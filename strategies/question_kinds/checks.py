"""What every question must be, whoever's users it is about."""

from __future__ import annotations

import math

import numpy as np

from privacy.query import FloatArray
from strategies.item_space import ItemSpace

MOST_CENTRES = 2**14
"""More centres are not looked at: a question must not exhaust a client's memory."""


def require(kind: str, holds: bool, what: str) -> None:
    """Raise ValueError unless a question has ``what`` it must have, whoever's users they are."""
    if not holds:
        raise ValueError(f"A question of kind {kind!r} needs {what} that it does not have.")


def is_number(value: object) -> bool:
    """Tell numbers from everything else, truth values among it."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def require_positive(kind: str, value: float, name: str) -> None:
    """Raise ValueError unless a value is a positive, finite number."""
    require(kind, is_number(value) and 0 < value < math.inf, f"a positive {name}")


def require_space(
    kind: str, origin: FloatArray, basis: FloatArray, centres: FloatArray | None
) -> None:
    """Raise ValueError unless basis and centres are of the space that the origin lies in."""
    require(kind, origin.ndim == 1 and basis.ndim == 2, "shapes")
    require(kind, basis.shape[0] == len(origin), "shapes")
    require(kind, basis.shape[1] <= len(origin), "a basis of its space")
    require(kind, finite(origin, basis), "finite arrays")
    if centres is not None:
        require_centres(kind, centres)
        require(kind, centres.shape[1] == (basis.shape[1] or len(origin)), "shapes")


def require_item_space(kind: str, space: ItemSpace | None, dim: int) -> None:
    """Raise ValueError unless vectors of ``dim`` dimensions can lie in the space."""
    require(kind, space is None or space.can_hold(dim), "vectors of its space")


def require_centres(kind: str, centres: FloatArray) -> None:
    """Raise ValueError unless the centres are some, not too many, and finite."""
    require(kind, centres.ndim == 2 and 0 < len(centres) <= MOST_CENTRES, "centres")
    require(kind, finite(centres), "finite arrays")


def finite(*arrays: FloatArray) -> bool:
    """Whether all values of all arrays are finite."""
    return all(bool(np.isfinite(array).all()) for array in arrays)
