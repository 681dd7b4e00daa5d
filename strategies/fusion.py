"""How much each view of an item counts when a client ranks for its users."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np

from privacy.query import FloatArray

HALF_LIVES = (8.0, 20.0, 1e9)
CLUSTERS = (1.0, 0.0)
"""What is tried at home and voted on, the usual first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """How much each of the views counts.

    Attributes
    ----------
    half_life : float
        After so many newer items one counts half in a history; infinite: all count alike.
    text : float
        Of closeness in text beside taste.
    popularity : float
        Of how popular an item is, beside taste: steadies what a noisy release knows of taste.
    lift : float
        How far taste follows what is popular lately; 0 not at all.
    cluster : float
        How far taste follows what the user's cluster goes for; 0 not at all.
    """

    half_life: float = 8.0
    text: float = 0.6
    popularity: float = 0.3
    lift: float = 0.0
    cluster: float = 1.0

    def row(self) -> FloatArray:
        """Return it as questions and maps carry it: float32, shape (5,)."""
        return np.array(astuple(self), np.float32)

    @classmethod
    def of(cls, row: FloatArray) -> Fusion:
        """Return what :meth:`row` has written down."""
        # The shortest decimal of each: 0.6, not the 0.60000002 that single precision makes of it.
        names = (field.name for field in fields(cls))
        return cls(**{name: float(str(value)) for name, value in zip(names, row, strict=True)})


def are_fusions(rows: FloatArray) -> bool:
    """Tell whether an array has a usable fusion in each row: shape (n, 5)."""
    return bool(
        rows.ndim == 2
        and rows.shape[1] == len(fields(Fusion))
        and np.isfinite(rows).all()
        and (rows[:, 0] > 0).all()
        and (rows >= 0).all()
    )
