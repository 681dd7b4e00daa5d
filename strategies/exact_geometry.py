"""Distances and projections that depend on one user's vector alone, to the last bit.

points, centres  ->  integers on a lattice  ->  exact products  ->  squared distances, coordinates

A matrix product in floating point rounds a row differently when the matrix has
one row more or less. That is harmless to accuracy and fatal to privacy: a
server could ask about two centres that are equally far from many users, and
one user more would move all of them to the other centre, far beyond the
declared sensitivity. Here all entries are first rounded to a lattice so coarse
that every product and sum is an integer below 2^53; double precision then makes
no error, in whatever order the sums are taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST = 4.0
"""Entries are clipped to [-4, 4]; those of unit vectors and their neighbours lie well inside."""
BATCH = 512
"""Points whose distances to all centres are in memory at a time."""
EXACT_BITS = 53
"""Doubles hold integers up to 2^53 exactly."""


def nearest_centre(points: FloatArray, centres: FloatArray) -> Ints:
    """Return the nearest centre of each point, the earlier of equals: int64, shape (n,).

    As :func:`nearest` does, but without what is the same for all centres.
    """
    scale = lattice_scale(points.shape[1])
    c = _on_lattice(centres, scale)
    lengths = np.vecdot(c, c)
    cells = np.zeros(len(points), dtype=np.int64)
    for batch in _batches(len(points)):
        products = _on_lattice(points[batch], scale) @ c.T
        cells[batch] = (lengths - 2 * products).argmin(axis=1)
    return cells


def nearest(points: FloatArray, centres: FloatArray, count: int = 1) -> tuple[Ints, Doubles]:
    """Return each point's nearest centre, and the squared distances to the nearest ones.

    Points are taken ``BATCH`` at a time, so that the memory it takes hardly
    depends on their number.

    Parameters
    ----------
    points : shape (n, d)
    centres : shape (k, d)
    count : int
        How many distances; the last one is repeated where there are fewer centres.

    Returns
    -------
    int64, shape (n,)
        The earlier of equally near centres.
    float64, shape (n, count)
        Smallest first.
    """
    cells = np.zeros(len(points), dtype=np.int64)
    closest = np.zeros((len(points), count))
    columns = np.minimum(np.arange(count), len(centres) - 1)
    for batch in _batches(len(points)):
        squared = squared_distances(points[batch], centres)
        cells[batch] = squared.argmin(axis=1)
        closest[batch] = np.sort(squared, axis=1)[:, columns]
    return cells, closest


def _batches(points: int) -> Iterator[slice]:
    return (slice(start, start + BATCH) for start in range(0, points, BATCH))


def squared_distances(points: FloatArray, centres: FloatArray) -> Doubles:
    """Return squared Euclidean distances on the lattice: float64, shape (n_points, n_centres).

    Parameters
    ----------
    points : shape (n_points, d)
    centres : shape (n_centres, d)
        Entries beyond ``LARGEST`` count as that.
    """
    scale = lattice_scale(points.shape[1])
    x, c = _on_lattice(points, scale), _on_lattice(centres, scale)
    exact = x @ c.T
    exact *= -2
    exact += np.vecdot(x, x)[:, None]
    exact += np.vecdot(c, c)
    exact /= scale**2
    return np.asarray(exact)


def project(points: FloatArray, basis: FloatArray) -> FloatArray:
    """Return coordinates in a basis: float32, shape (n_points, m).

    Parameters
    ----------
    points : shape (n_points, d)
    basis : shape (d, m)
    """
    scale = lattice_scale(points.shape[1])
    exact = _on_lattice(points, scale) @ _on_lattice(basis, scale)
    return np.asarray(exact / scale**2, dtype=np.float32)


def lattice_scale(dimensions: int) -> float:
    """Return lattice points per unit, a power of two, for sums over so many dimensions.

    A squared distance adds up ``dimensions`` terms of at most
    (2 LARGEST scale)^2 in size.
    """
    bits = EXACT_BITS - math.ceil(math.log2(max(dimensions, 1))) - 2 * math.log2(2 * LARGEST)
    return float(2.0 ** math.floor(bits / 2))


def _on_lattice(entries: FloatArray, scale: float) -> Doubles:
    # Exact in single precision, too: a product with a power of two is, and so is rounding.
    lattice = np.clip(entries, -LARGEST, LARGEST)
    lattice *= entries.dtype.type(scale)
    return np.rint(lattice, out=lattice).astype(np.float64)
