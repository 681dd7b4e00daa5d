"""The private weighted summary of everybody, in a file: to explore after the run, for free.

cells, weights (released)  ->  ``summary.npz``  ->  any clustering that takes sample weights

The cells lie in the few directions in which people differ. Whatever is computed
from them is post-processing of a release, hence costs no privacy.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrivateSummary:
    """Places where people are, and how many are near each.

    Attributes
    ----------
    cells : float64, shape (n_cells, m)
        Coordinates of the places, in the basis.
    weights : float64, shape (n_cells,)
        Noisy numbers of users, raised to at least 1.
    weight_noise : float
        Standard deviation of the noise on each weight.
    origin : float64, shape (d,)
        Noisy mean of the users' vectors: what the cells are counted from.
    basis : float64, shape (d, m)
        Orthonormal directions.
    norm_bound : float
        Users' vectors were shortened to it, where they were longer.
    """

    cells: Array
    weights: Array
    weight_noise: float
    origin: Array
    basis: Array
    norm_bound: float

    def __post_init__(self) -> None:
        (n_cells, m), d = self.cells.shape, len(self.origin)
        if self.weights.shape != (n_cells,) or self.basis.shape != (d, m):
            raise ValueError(
                f"A summary of {n_cells} cells in {m} of {d} directions has weights of shape "
                f"{self.weights.shape} and a basis of shape {self.basis.shape}; they do not fit."
            )

    @property
    def vectors(self) -> Array:
        """The cells in the users' space: shape (n_cells, d)."""
        return np.asarray(self.cells @ self.basis.T + self.origin)

    def coordinates(self, vectors: ArrayLike) -> Array:
        """Return where vectors lie among the cells, shortened as in the run: shape (n, m).

        Raises
        ------
        ValueError
            If they are of another space.
        """
        points = np.asarray(vectors, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != len(self.origin):
            raise ValueError(
                f"Vectors have shape {points.shape}; expected (n, {len(self.origin)}), as those "
                "of the run. Nothing was computed."
            )
        return np.asarray((self.shortened(points) - self.origin) @ self.basis)

    def shortened(self, vectors: ArrayLike) -> Array:
        """Return vectors as the run saw them: the longer ones shortened to the norm bound."""
        points = np.asarray(vectors, dtype=np.float64)
        norms = np.linalg.norm(points, axis=-1, keepdims=True)
        return np.asarray(points * np.minimum(1.0, self.norm_bound / np.maximum(norms, 1e-300)))

    def scaled(self, scale: float) -> PrivateSummary:
        """Return the same in a space that is larger by ``scale``."""
        return PrivateSummary(
            cells=self.cells * scale,
            weights=self.weights,
            weight_noise=self.weight_noise,
            origin=self.origin * scale,
            basis=self.basis,
            norm_bound=self.norm_bound * scale,
        )

    def save(self, path: Path) -> None:
        """Write to ``path`` (``.npz``)."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, version=VERSION, **content)

    @classmethod
    def load(cls, path: Path | str) -> PrivateSummary:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, of another version, or no summary.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                content = {name: archive[name] for name in archive.files}
            version = int(content.pop("version"))
            summary = cls(**_numbers(content)) if version == VERSION else None
        except (KeyError, TypeError, ValueError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(
                f"{path} is not a private summary ({error}). Nothing was read. Name the "
                "summary.npz in the folder of a run's results."
            ) from error
        if summary is None:
            raise ValueError(
                f"Summary {path} is of version {version}, this program reads version {VERSION}. "
                "Nothing was read. Make it anew with a run of this version."
            )
        return summary


def _numbers(content: dict[str, Any]) -> dict[str, Any]:
    """Return what was read with its scalars as numbers."""
    scalars = {name: float(content[name]) for name in ("weight_noise", "norm_bound")}
    return content | scalars
