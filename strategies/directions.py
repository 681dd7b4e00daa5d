"""In which directions people differ, from noisy second moments and public vectors.

noisy moments (released), public variances  ->  orthonormal directions, how much varies along each

Two uses, both post-processing: the summary's cells lie in the first directions,
and the centroids' noisy moves are judged against what is likely in each.

Formulas: empirical-Bayes shrinkage of normal values with known noise (Efron and
Morris 1973); bias of eigenvalues above the noise edge (Benaych-Georges and
Nadakuditi 2011, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.query import DIAGONAL, OFF_DIAGONAL

Array = NDArray[np.float64]

ABOVE_EDGE = 1.05
"""Eigenvalues of so many times the noise's largest carry signal."""
MIXTURES = (0.0, 0.03, 0.1, 0.3, 0.6, 1.0)
"""How much of people's variance may be spread evenly, the rest being as the catalogue's."""
SPREADS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""How far people's moments may be from the expected ones, in squared products of variances."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Directions:
    """Where people differ.

    Attributes
    ----------
    columns : shape (d, h)
        Orthonormal, most important first.
    variances : shape (h,)
        How much people differ along each, in squared units of the vectors; not negative.
    """

    columns: Array
    variances: Array

    def first(self, count: int) -> Directions:
        """Return the most important ones."""
        return Directions(columns=self.columns[:, :count], variances=self.variances[:count])


def principal_directions(vectors: Array) -> Directions:
    """Return all principal directions of public vectors of shape (n_items, d)."""
    centred = vectors - vectors.mean(axis=0)
    values, columns = np.linalg.eigh(centred.T @ centred / len(vectors))
    rank = min(len(vectors) - 1, vectors.shape[1])
    order = slice(None, -rank - 1, -1)
    return Directions(columns=columns[:, order], variances=np.maximum(values[order], 0.0))


def random_directions(dim: int, count: int, *, seed: int) -> Array:
    """Return orthonormal directions that depend on no data: shape (dim, count)."""
    gaussian = np.random.default_rng(seed).standard_normal((dim, count))
    return np.asarray(np.linalg.qr(gaussian)[0])


def symmetric(triangle: Array, width: int) -> Array:
    """Return the matrix of shape (width, width) whose weighted upper triangle was released."""
    matrix = np.zeros((width, width))
    matrix[np.triu_indices(width)] = triangle / OFF_DIAGONAL
    matrix += np.triu(matrix, 1).T
    matrix[np.diag_indices(width)] *= OFF_DIAGONAL / DIAGONAL
    return matrix


def refine_public(public: Directions, triangle: Array, users: float, sigma: float) -> Directions:
    """Turn public directions towards those in which people differ.

    People's moments are taken as the catalogue's variances, mixed with the same
    variance everywhere, plus normal deviations in proportion to them. How much
    of either is where the released moments are most likely, on a grid: so a
    catalogue that says nothing about people is not listened to. Each entry is
    then shrunk by what its noise deserves; little data keep the public
    directions as they are.

    Parameters
    ----------
    public : Directions
    triangle : shape (h (h + 1) / 2,)
        Released moments in the first h public directions.
    users : float
        Noisy number of them.
    sigma : float
        Noise standard deviation on every entry.
    """
    h = int((np.sqrt(8 * len(triangle) + 1) - 1) / 2)
    moments = symmetric(triangle, h) / users
    noise = np.full((h, h), (sigma / OFF_DIAGONAL / users) ** 2)
    noise[np.diag_indices(h)] = (sigma / DIAGONAL / users) ** 2
    shape = public.variances[:h] / max(float(public.variances[:h].sum()), 1e-30)
    total = max(float(np.trace(moments)), 1e-9)
    expected, spread = _likeliest(moments, noise, shape, total)
    likely = spread * np.outer(expected, expected)
    refined = np.diag(expected) + (moments - np.diag(expected)) * (likely / (likely + noise))
    values, turned = np.linalg.eigh(refined)
    beyond = public.columns[:, h:]
    return Directions(
        columns=np.hstack([public.columns[:, :h] @ turned[:, ::-1], beyond]),
        variances=np.maximum(np.r_[values[::-1], np.zeros(beyond.shape[1])], 0.0),
    )


def _likeliest(moments: Array, noise: Array, shape: Array, total: float) -> tuple[Array, float]:
    """Return the expected variances and the relative spread under which moments are likeliest."""
    above = np.triu_indices(len(shape))
    best = (np.inf, shape * total, 0.0)
    for mixed in MIXTURES:
        expected = ((1 - mixed) * shape + mixed / len(shape)) * total
        squares = ((moments - np.diag(expected)) ** 2)[above]
        products = np.outer(expected, expected)[above]
        for spread in SPREADS:
            variance = spread * products + noise[above]
            misfit = float((np.log(variance) + squares / variance).sum())
            if misfit < best[0]:
                best = (misfit, expected, spread)
    return best[1], best[2]


def directions_above_noise(
    triangle: Array, users: float, sigma: float, *, fewest: int, most: int
) -> Directions:
    """Return the directions whose moments rise above the noise, where nothing else is known.

    Parameters
    ----------
    triangle : shape (h (h + 1) / 2,)
        Released moments.
    users, sigma : float
        As for :func:`refine_public`.
    fewest, most : int
        How many directions to return.
    """
    h = int((np.sqrt(8 * len(triangle) + 1) - 1) / 2)
    values, columns = np.linalg.eigh(symmetric(triangle, h))
    values, columns = values[::-1], columns[:, ::-1]
    edge = 2 * sigma / OFF_DIAGONAL * np.sqrt(h)
    count = int(np.clip((values > ABOVE_EDGE * edge).sum(), min(fewest, h), min(most, h)))
    kept = values[:count]
    unbiased = (kept + np.sqrt(np.maximum(kept**2 - edge**2, 0.0))) / 2 / users
    floor = 1e-3 * max(float(unbiased.max()), 1e-12)
    return Directions(columns=columns[:, :count], variances=np.maximum(unbiased, floor))


def shrink_to_likely(moves: Array, noise: Array, directions: Directions) -> Array:
    """Return the posterior mean of moves, some directions being likelier than others.

    A move is taken as normal around zero with covariance ``a V + b I``: V is
    people's in ``directions``, I the identity. The two factors are those under
    which the noisy moves are most likely, on a grid.

    Parameters
    ----------
    moves : shape (k, d)
    noise : shape (k,)
        Noise variance of each entry of a row.
    directions : Directions

    Returns
    -------
    shape (k, d)
    """
    d = moves.shape[1]
    inside = moves @ directions.columns
    outside = moves - inside @ directions.columns.T
    rest = d - directions.columns.shape[1]
    beyond = (outside**2).sum(axis=1)
    shape = directions.variances / max(float(directions.variances.sum()), 1e-30)
    typical = float((moves**2).sum(axis=1).mean())
    grid = typical * np.r_[0.0, np.geomspace(1e-3, 3.0, 13)]

    def misfit(along: float, anywhere: float) -> float:
        expected = along * shape + anywhere / d + noise[:, None]
        elsewhere = anywhere / d + noise
        return float(
            (np.log(expected) + inside**2 / expected).sum()
            + (rest * np.log(elsewhere) + beyond / elsewhere).sum()
        )

    along, anywhere = min(
        ((one, other) for one in grid for other in grid), key=lambda pair: misfit(*pair)
    )
    expected = along * shape + anywhere / d
    kept = inside * (expected / (expected + noise[:, None]))
    elsewhere = (anywhere / d / (anywhere / d + noise))[:, None]
    return np.asarray(kept @ directions.columns.T + outside * elsewhere)
