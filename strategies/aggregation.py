"""What the server makes of noisy sums: all of it post-processing, hence free.

noisy sums and counts of cells  ->  means that are shrunk where noise prevails

Formulas: empirical-Bayes shrinkage of normal means with known noise (Efron and
Morris 1973), optimal singular-value shrinkage for Frobenius loss (Gavish and
Donoho 2017, equation 7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.release import Release

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NoisySum:
    """A sum over all users that took part, with the noise of all releases inside.

    Attributes
    ----------
    sums : mapping of str to float64 array, shape (cells, width)
        One array for each block.
    sigma : float
        Standard deviation of the noise on every entry.
    """

    sums: Mapping[str, Array]
    sigma: float


def add_up(releases: Sequence[Release]) -> NoisySum:
    """Add the regions' releases in the given order; their noises are independent."""
    names = releases[0].sums
    return NoisySum(
        {
            name: np.sum([release.sums[name] for release in releases], axis=0, dtype=np.float64)
            for name in names
        },
        float(np.sqrt(sum(release.sigma**2 for release in releases))),
    )


def shrink_mean(mean: Array, noise: float) -> Array:
    """Shrink one noisy vector towards zero (James and Stein 1961, positive part).

    Parameters
    ----------
    mean : shape (d,)
    noise : float
        Its noise standard deviation per entry.
    """
    d = len(mean)
    return mean * max(0.0, 1 - max(d - 2, 0) * noise**2 / max(float(mean @ mean), 1e-12))


def shrink_rows(sums: Array, counts: Array, sigma: float) -> Array:
    """Return the cells' means, each shrunk towards zero by what its noise deserves.

    The true means of all cells are taken as normal around zero with one
    variance, which is estimated from the noisy sums by moments.

    Parameters
    ----------
    sums : shape (cells, d)
        Noisy sums of residuals.
    counts : shape (cells,)
        Noisy numbers of users, at least 1.
    sigma : float
        Noise standard deviation of each entry of ``sums``.

    Returns
    -------
    shape (cells, d)
    """
    means = sums / counts[:, None]
    noise = sigma**2 / counts**2
    precision = 1 / noise
    d = sums.shape[1]
    excess = (means**2).sum(axis=1) * precision - d
    variance = max(float(excess.sum() / (d * precision.sum())), 0.0)
    return means * (variance / (variance + noise))[:, None]


def shrink_spectrum(sums: Array, counts: Array, sigma: float) -> Array:
    """Return the cells' means after optimal singular-value shrinkage of their sums.

    Suits directions in which few dimensions carry all the signal, and nobody
    knows which.

    Parameters and return value as for :func:`shrink_rows`.
    """
    rows, columns = sums.shape
    longer = np.sqrt(max(rows, columns))
    ratio = min(rows, columns) / max(rows, columns)
    left, values, right = np.linalg.svd(sums / (sigma * longer), full_matrices=False)
    inside = np.maximum((values**2 - ratio - 1) ** 2 - 4 * ratio, 0)
    kept = np.where(values > 1 + np.sqrt(ratio), np.sqrt(inside) / np.maximum(values, 1e-9), 0)
    return np.asarray((left * kept * sigma * longer) @ right / counts[:, None])


def histogram_quantile(histogram: Array, largest: float, quantile: float) -> float:
    """Return the quantile of a non-negative scalar from its noisy histogram.

    Read off the running sum as it is: clipping negative bins to zero first
    would count noise as users and push every quantile up.

    Parameters
    ----------
    histogram : shape (bins,)
        Noisy counts of equal bins over [0, largest].
    largest : float
        Upper end of the last bin, in the scalar's unit.
    quantile : float
        Between 0 and 1.

    Returns
    -------
    float
        The upper end of the bin in which the quantile falls; ``largest`` where
        the running sum never gets there.
    """
    reached = np.flatnonzero(np.cumsum(histogram) >= quantile * max(histogram.sum(), 1.0))
    bins = len(histogram)
    return largest * (int(reached[0]) + 1 if reached.size else bins) / bins
