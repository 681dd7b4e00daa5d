"""What the server makes of noisy sums: all of it post-processing, hence free.

noisy sums and counts of cells  ->  means that are shrunk where noise prevails

Formulas: empirical-Bayes shrinkage of normal means with known noise (Efron and
Morris 1973).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
    parts : mapping of str to NoisySum
        The releases that were added up, by region, where there are several.
    """

    sums: Mapping[str, Array]
    sigma: float
    parts: Mapping[str, NoisySum] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class CellMoves:
    """Where the users of each cell are, as seen from its centre.

    Attributes
    ----------
    means : shape (cells, width)
        Noisy mean residuals.
    noise : shape (cells,)
        Noise variance on each entry of a row.
    """

    means: Array
    noise: Array


def add_up(releases: Sequence[Release]) -> NoisySum:
    """Add the regions' releases in the given order; their noises are independent."""
    parts = {
        release.region: NoisySum(
            {name: array.astype(np.float64) for name, array in release.sums.items()}, release.sigma
        )
        for release in releases
    }
    return NoisySum(
        {
            name: np.sum([part.sums[name] for part in parts.values()], axis=0)
            for name in releases[0].sums
        },
        float(np.sqrt(sum(part.sigma**2 for part in parts.values()))),
        parts if len(parts) > 1 else {},
    )


def cell_moves(
    answer: NoisySum, count: float, sizes: Mapping[str, float], *, fewest: float = 2.0
) -> CellMoves:
    """Return the cells' mean residuals, each silo weighed by what it contributes.

    Where every silo adds the same noise, one with few users of a cell tells
    little about it: a silo's sums count by its users in the cell. How many
    those are is estimated from its noisy counts and its size.

    Parameters
    ----------
    answer : NoisySum
        With blocks ``sums`` and ``counts``.
    count : float
        What a user adds to ``counts``.
    sizes : mapping of str to float
        Each region's number of users, declared or released.
    fewest : float
        Where there is one release, a cell counts at least so many noise
        standard deviations of users.
    """
    if not answer.parts:
        users = answer.sums["counts"][:, 0] / count
        users = np.maximum(users, max(fewest * answer.sigma / count, 1.0))
        return CellMoves(answer.sums["sums"] / users[:, None], (answer.sigma / users) ** 2)
    sums = np.stack([part.sums["sums"] for part in answer.parts.values()])
    sigmas = np.array([part.sigma for part in answer.parts.values()])
    users = users_by_silo(
        answer, count, np.array([sizes.get(region, 0.0) for region in answer.parts])
    )
    weights = users / sigmas[:, None] ** 2
    precision = np.maximum((weights * users).sum(axis=0), (1 / sigmas**2).min())
    return CellMoves(np.einsum("sc,scw->cw", weights, sums) / precision[:, None], 1 / precision)


def users_by_silo(answer: NoisySum, count: float, sizes: Array) -> Array:
    """Estimate how many users of each cell each silo has: shape (silos, cells), not negative.

    A silo's users are taken to spread over the cells as everybody's do, plus
    normal deviations in proportion to its size; the posterior mean keeps of the
    noisy counts what they deserve (Efron and Morris 1973).
    """
    counts = np.stack([part.sums["counts"][:, 0] for part in answer.parts.values()]) / count
    noise = np.array([[(part.sigma / count) ** 2] for part in answer.parts.values()])
    shares = np.maximum(counts.sum(axis=0), 0.0)
    shares = (shares + 1e-9) / (shares + 1e-9).sum()
    expected = np.maximum(sizes, 0.0)[:, None] * shares
    likely = np.maximum(sizes, 0.0)[:, None] ** 2 * shares
    excess = ((counts - expected) ** 2 - noise) / noise
    spread = max(float(excess.sum() / max(float((likely / noise).sum()), 1e-12)), 0.0)
    kept = spread * likely / (spread * likely + noise)
    return np.asarray(np.maximum(expected + (counts - expected) * kept, 0.0))


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


def within_ball(points: Array, radius: float) -> Array:
    """Return points beyond ``radius`` drawn back to it: shape (n, d).

    Everybody lies within a public bound, hence so does every mean; what noise
    has carried beyond only comes closer to the truth.
    """
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points * np.minimum(1.0, radius / np.maximum(norms, 1e-12)))


def shrink_rows(moves: CellMoves) -> Array:
    """Return the cells' mean residuals, each shrunk towards zero by what its noise deserves.

    The true means of all cells are taken as normal around zero with one
    variance, which is estimated from the noisy ones by moments.

    Returns
    -------
    shape (cells, width)
    """
    precision = 1 / moves.noise
    d = moves.means.shape[1]
    excess = (moves.means**2).sum(axis=1) * precision - d
    variance = max(float(excess.sum() / (d * precision.sum())), 0.0)
    return np.asarray(moves.means * (variance / (variance + moves.noise))[:, None])


def histogram_quantile(histogram: Array, ends: Array, quantile: float) -> float:
    """Return the quantile of a non-negative scalar from its noisy histogram.

    Read off the running sum as it is: clipping negative bins to zero first
    would count noise as users and push every quantile up.

    Parameters
    ----------
    histogram : shape (bins,)
        Noisy counts.
    ends : shape (bins,)
        Upper ends of the bins, in the scalar's unit.
    quantile : float
        Between 0 and 1.

    Returns
    -------
    float
        The upper end of the bin in which the quantile falls; the last one
        where the running sum never gets there.
    """
    reached = np.flatnonzero(np.cumsum(histogram) >= quantile * max(histogram.sum(), 1.0))
    return float(ends[int(reached[0]) if reached.size else -1])
