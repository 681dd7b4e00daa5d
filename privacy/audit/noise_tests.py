"""Is it the noise that was promised? Probabilities of what was drawn, under the promise.

noise of several releases, in standard deviations  ->  the probability of something so odd

Each function returns a bound of the probability that noise which is independent and
normal is as odd as what was found, over everything that the function looks at (the
smallest of its k probabilities times k: Bonferroni). A discrete Gaussian of 2^23 steps
and the rounding to single precision are no different from a normal variable, for tests
of as many draws as these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtr, chdtrc, ndtr
from scipy.stats import nbinom

from privacy.audit.noise_draws import Noise

Doubles = NDArray[np.float64]

PARTS = 8
"""Of every array, each of which has to have noise of the promised size."""
SAME = 2e-6
"""Noise of two entries that is not further apart, or from the other's negative, looks the same."""
ROUNDING = 5e-7
"""Releases are rounded to single precision; noise taken off them stands on a grid finer than
this. So much of uniform noise is added where differences as small as the grid's are counted."""


def size_is_promised(releases: Sequence[Noise]) -> float:
    """Every array and every part of it has the promised variance, and the array its distribution.

    Variances by the chi-squared distribution; distribution functions by Dvoretzky, Kiefer and
    Wolfowitz's inequality with Massart's (1990) constant.
    """
    found = []
    for array in (array.ravel() for noise in releases for array in noise.values()):
        parts = [array, *(part for part in np.array_split(array, PARTS) if part.size)]
        found += [_variance(part) for part in parts]
        found.append(_distribution(array))
    return _least(found)


def every_entry_has_noise(there: Sequence[Noise], absent: Sequence[Noise]) -> float:
    """No entry has the same value whenever the same users are asked, or hardly any noise.

    The squares of an entry's noise over all releases add up to a chi-squared variable. What is
    put into an entry without noise, whatever it is, does not change from request to request.
    """
    everything = np.array([_flat(noise) for noise in (*there, *absent)])
    squares = np.square(everything).sum(axis=0)
    degrees = len(everything)
    if (np.ptp(everything[: len(there)], axis=0) == 0).any():
        return 0.0
    odd = [float(chdtr(degrees, squares.min())), float(chdtrc(degrees, squares.max()))]
    return min(1.0, float(squares.size) * _least(odd))


def entries_are_independent(releases: Sequence[Noise]) -> float:
    """No entry tells of another one of its release, at any distance of up to half of it.

    Sums of products at every lag, by the fast Fourier transform, each nearly normal of the
    variance that it has by the number of its terms.
    """
    found = []
    for noise in releases:
        flat = _flat(noise)
        n, lags = flat.size, np.arange(1, flat.size // 2)
        spectrum = np.abs(np.fft.rfft(flat, 2 * n)) ** 2
        products = np.fft.irfft(spectrum)[1 : len(lags) + 1]
        found.append(2 * lags.size * float(ndtr(-np.abs(products / np.sqrt(n - lags)).max())))
    return _least(found)


def noise_is_used_once(releases: Sequence[Noise], seed: int = 0) -> float:
    """No two releases, blocks or columns share noise: in the same place, or in any other.

    In the same place: given one column, its product with another is exactly normal. In any
    place, and under either sign: pairs of entries of the same size are counted among all.
    """
    columns = [
        column for noise in releases for array in noise.values() for column in _columns(array)
    ]
    in_place = [
        2 * float(ndtr(-abs(one @ other) / (np.linalg.norm(one) or 1.0)))
        for one, other in combinations(columns, 2)
    ]
    anywhere = _coincidences(np.concatenate([_flat(noise) for noise in releases]), seed)
    return _least([_least(in_place), anywhere])


def _columns(array: Doubles) -> Doubles:
    """Return the columns of a block, or its one row: shape (n_columns, length)."""
    return array.T if array.shape[0] > 1 else array


def _coincidences(noise: Doubles, seed: int) -> float:
    """Return the probability of so many pairs of entries whose noise has the same size.

    Of n entries, the pairs within ``SAME`` have mean ``n^2 SAME / sqrt(pi)`` and slightly more
    variance, as entries near 0 have more neighbours: that of a negative binomial variable.
    """
    n = noise.size
    grid = np.random.default_rng(seed).uniform(-ROUNDING, ROUNDING, n)
    sizes = np.sort(np.abs(noise + grid))
    ends = np.searchsorted(sizes, sizes + SAME)
    pairs = int((ends - np.arange(n) - 1).sum())
    density, squared = 1 / math.sqrt(math.pi), 2 / (math.pi * math.sqrt(3))
    mean = n * (n - 1) * SAME * density
    variance = mean + n**3 * (2 * SAME) ** 2 * (squared - density**2)
    return float(nbinom.sf(pairs - 1, mean**2 / (variance - mean), mean / variance))


def _variance(part: Doubles) -> float:
    squares = float(np.square(part).sum())
    return 2 * float(np.minimum(chdtr(part.size, squares), chdtrc(part.size, squares)))


def _distribution(array: Doubles) -> float:
    n, promised = array.size, ndtr(np.sort(array))
    steps = np.arange(n + 1) / n
    furthest = max(np.abs(steps[1:] - promised).max(), np.abs(steps[:-1] - promised).max())
    return 2 * math.exp(-2 * n * float(furthest) ** 2)


def _flat(noise: Noise) -> Doubles:
    return np.concatenate([array.ravel() for array in noise.values()])


def _least(probabilities: Sequence[float]) -> float:
    """Return the smallest times their number, at most 1: Bonferroni. What is no number is 0."""
    found = np.nan_to_num(np.array([1.0, *probabilities]), nan=0.0)
    return min(1.0, len(probabilities) * float(found.min()))
