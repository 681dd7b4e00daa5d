"""The private weighted summary as clusterers take it: checked, or as synthetic users.

noisy cells, noisy weights  ->  finite cells, positive weights  ->  synthetic users

A synthetic user is drawn from the released summary and from nothing else, hence
stands for nobody; drawing any number of them is post-processing and free.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

LARGEST = 1e100
"""Squares of larger numbers do not add up."""
LEAST_SHARE = 1e-6
"""Weights are raised to this share of the mean positive one: noise may leave them negative."""


def check_summary(X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Array, Array]:
    """Return cells and weights as float64, the weights positive.

    Parameters
    ----------
    X : shape (n_cells, m)
    sample_weight : shape (n_cells,), optional
        Noisy numbers of users per cell; all 1 if left out. Those at or below
        zero are raised to a small positive floor: their cells count for next
        to nothing, but get a label.

    Raises
    ------
    ValueError
        If shapes do not fit, anything is not finite, or no weight is positive.
    """
    cells, weights = check_noisy_summary(X, sample_weight)
    positive = weights[weights > 0]
    if not positive.size:
        raise ValueError(
            f"None of {len(weights)} weights is positive, the largest is {weights.max():g}: the "
            "summary is all noise. Nothing was fitted. Spend more budget on fewer cells."
        )
    return cells, np.maximum(weights, LEAST_SHARE * positive.mean())


def check_noisy_summary(X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Array, Array]:
    """Return cells and weights as float64, the weights as noisy as they came.

    Parameters and errors as for :func:`check_summary`, but for the last.
    """
    cells = _finite_rows(X)
    given = np.ones(len(cells)) if sample_weight is None else sample_weight
    weights = np.asarray(given, dtype=np.float64)
    if weights.shape != (len(cells),):
        raise ValueError(
            f"{len(cells)} cells came with weights of shape {weights.shape}. Nothing was fitted. "
            "Give one weight for each cell."
        )
    fine = np.abs(weights) <= LARGEST
    if not fine.all():
        raise ValueError(
            f"{int((~fine).sum())} of {len(weights)} weights are not finite, or beyond "
            f"{LARGEST:g}. "
            "Nothing was fitted. Drop the cells whose release went wrong."
        )
    return cells, weights


def check_vectors(X: ArrayLike, n_features: int) -> Array:
    """Return what is to be predicted as float64, shape (n, n_features).

    Raises
    ------
    ValueError
        If it is not finite or has another number of columns.
    """
    vectors = _finite_rows(X)
    if vectors.shape[1] != n_features:
        raise ValueError(
            f"Vectors have {vectors.shape[1]} columns, the fitted cells {n_features}. Nothing was "
            "predicted. Project the vectors on the basis of the summary."
        )
    return vectors


def check_number_of_clusters(wanted: int, n_cells: int) -> None:
    """Refuse more clusters than cells, fewer than one, or a part of one.

    Raises
    ------
    ValueError
        If ``wanted`` is not between 1 and ``n_cells``.
    """
    is_whole = isinstance(wanted, Integral) and not isinstance(wanted, bool)
    if not (is_whole and 1 <= wanted <= n_cells):
        raise ValueError(
            f"{wanted!r} clusters were asked for, and there are {n_cells} cells. Nothing was "
            f"fitted. Ask for 1 to {n_cells} clusters."
        )


def check_spread(spread: float | None) -> float:
    """Return the within-cell spread, 0 where it is not known.

    Raises
    ------
    ValueError
        If it is negative or not finite.
    """
    value = 0.0 if spread is None else float(spread)
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(
            f"The spread within cells is {value}, not a distance. Nothing was fitted. "
            "Give the released root mean square distance, or leave it out."
        )
    return value


def distances(vectors: Array, centres: Array) -> Array:
    """Return Euclidean distances, shape (n, k), of (n, m) vectors from (k, m) centres."""
    return np.asarray(cdist(vectors, centres), dtype=np.float64)


def nearest(vectors: Array, centres: Array) -> Labels:
    """Return the index of the nearest centre of each vector: int64, shape (n,)."""
    return np.asarray(distances(vectors, centres).argmin(axis=1), dtype=np.int64)


def neighbour_distance(cells: Array, weights: Array) -> float:
    """Return the root mean square distance of cells from their nearest neighbour.

    Close to the spread of users within cells that k-means lays out: some 0.75
    to 0.95 of it in 10 dimensions, more where the noise moves the cells.

    Parameters
    ----------
    cells, weights : shapes (n_cells, m), (n_cells,)
    """
    if len(cells) < 2:
        return 0.0
    between = distances(cells, cells)
    np.fill_diagonal(between, np.inf)
    return float(np.sqrt(np.average(between.min(axis=1) ** 2, weights=weights)))


def synthetic_users(
    cells: Array, weights: Array, n_users: int, *, spread: float, rng: np.random.Generator
) -> tuple[Array, Labels]:
    """Draw users from the cells: as many from each as its weight deserves, scattered round it.

    Systematic resampling (Kitagawa 1996): each cell gets its share of
    ``n_users`` rounded down or up, so the draw adds hardly any variance.

    Parameters
    ----------
    cells, weights : shapes (n_cells, m), (n_cells,)
        As :func:`check_summary` returns them.
    n_users : int
    spread : float
        Root mean square distance of users from their cell, in the cells' unit;
        the scatter is normal and equal in all directions.
    rng : numpy.random.Generator

    Returns
    -------
    users : shape (n_users, m)
    cell : int64, shape (n_users,)
        Which cell each was drawn from.
    """
    ends = np.cumsum(weights) / weights.sum()
    at = (np.arange(n_users) + rng.random()) / n_users
    cell = np.minimum(np.searchsorted(ends, at), len(cells) - 1).astype(np.int64)
    scatter = spread / np.sqrt(cells.shape[1])
    return cells[cell] + scatter * rng.standard_normal((n_users, cells.shape[1])), cell


def _finite_rows(X: ArrayLike) -> Array:
    """Return ``X`` as float64 if it is a finite matrix that is not empty."""
    given = np.asarray(X)
    if given.dtype.kind not in "fiub":
        raise ValueError(
            f"An array of {given.dtype} values holds no real numbers. Nothing was computed. Give "
            "vectors as float64."
        )
    rows = given.astype(np.float64)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(
            f"An array of shape {rows.shape} is not a matrix with rows and columns. Nothing was "
            "computed. Give vectors as shape (n, m)."
        )
    fine = (np.abs(rows) <= LARGEST).all(axis=1)  # A comparison with NaN is false.
    if not fine.all():
        raise ValueError(
            f"{int((~fine).sum())} of {len(rows)} rows have values that are not finite, or beyond "
            f"{LARGEST:g}. Nothing was computed. Drop them."
        )
    return rows
