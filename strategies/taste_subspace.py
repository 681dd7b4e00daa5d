"""The taste of a whole population from several small releases: private subspace iteration.

noisy popularity, public texts  ->  first directions
noisy products with them        ->  better directions  ->  products with those ...
all products, pooled            ->  eigenvectors above the noise's edge: the taste

With G the sum of all users' x x^T, a round releases G Q + noise for orthonormal
directions Q. What everybody has, one direction u, is known from popularity and
not asked about: it would use up most of what a user may add. Everything here
works on released values and is post-processing.

Formulas: private power iteration (Hardt and Price 2014); singular values of a
signal above the edge of rectangular noise (Benaych-Georges and Nadakuditi 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray
from strategies.taste import Taste
from strategies.taste_spectrum import MOST_TASTES, RIDGE

Array = NDArray[np.float64]

LEAST_LENGTH = 0.02
"""Of what a user may add: where nothing is known of people, they still may add something."""
SAME = 1e-6
"""Directions of two rounds that differ by less are the same."""
FIRST_LENGTH = 0.6
"""Of a user's row in the first directions, over what it has in common with everybody's."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What one round asked and got.

    Attributes
    ----------
    directions : shape (m, r)
    sums : shape (m, r)
        Released: G times the directions, and noise.
    sigma : float
        Its standard deviation on every entry.
    """

    directions: Array
    sums: Array
    sigma: float


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The directions in which people's rows have most.

    Attributes
    ----------
    directions : shape (m, k)
        Orthonormal, those that rise highest above the noise first.
    values : shape (k,)
        Eigenvalues of G along them; zero for those below the noise's edge.
    """

    directions: Array
    values: Array


@dataclass(slots=True, eq=False)
class Subspace:
    """What is known of the subspace, round by round.

    Attributes
    ----------
    weights : float32, shape (n_items,)
        Of the m items asked about; zero for all others.
    common : shape (m,)
        What everybody has: u, of unit length.
    common_length : float
        Typical length of a user's row along it.
    directions : shape (m, r)
        To be asked about next: orthonormal, and at a right angle to ``common``.
    length : float
        Typical length of a user's row along those.
    answered : list of Answered
    """

    weights: FloatArray
    common: Array
    common_length: float
    directions: Array
    length: float
    answered: list[Answered] = field(default_factory=list)

    def absorb(self, sums: Array, sigma: float, users: float) -> None:
        """Take in a round's answer; turn the directions towards where people have most.

        Parameters
        ----------
        sums : shape (m, r)
        sigma, users : float
        """
        across = sums - np.outer(self.common, self.common @ sums)
        self.answered.append(Answered(self.directions, across, sigma))
        found = pooled(self.answered)
        r = self.directions.shape[1]
        self.directions = found.directions[:, :r]
        captured = float(np.sort(found.values)[::-1][:r].sum()) / max(users, 1.0)
        self.length = float(np.clip(np.sqrt(captured), LEAST_LENGTH, 1.0))

    def taste(self, users: float) -> Taste:
        """Return what rose above the noise, and what everybody has."""
        found = pooled(self.answered)
        above = found.values > 0
        values = np.r_[max(users, 1.0) * self.common_length**2, found.values[above]]
        columns = np.column_stack([self.common, found.directions[:, above]])
        order = np.argsort(-values, kind="stable")[:MOST_TASTES]
        values, columns = values[order], columns[:, order]
        return Taste(
            weights=self.weights,
            directions=columns.astype(np.float32),
            strengths=(values / (values + RIDGE * max(users, 1.0))).astype(np.float32),
        )


def first_subspace(
    weights: FloatArray, popularity: Array, users: float, vectors: FloatArray, count: int
) -> Subspace:
    """Return what is known before anybody was asked what goes with what.

    What everybody has follows from popularity. The first directions are those in which
    public texts differ most, popular items more: people differ along them more than
    along random ones.

    Parameters
    ----------
    weights : float32, shape (n_items,)
    popularity : shape (n_items,)
        Released; positive: the sum of all users' unit rows.
    users : float
    vectors : float32, shape (n_items, d)
        Public, of the items' texts.
    count : int
        Directions, below the number of items that are asked about.
    """
    items = np.flatnonzero(weights)
    popular, own = popularity[items], weights[items].astype(np.float64)
    together = popular * own  # in proportion to the sum of the weighed rows
    length = float(np.linalg.norm(together))
    common = together / length
    # A weighed row is shorter than it is unweighed by the mean of the squared weights.
    shrinks = float(np.sqrt((popular * own**2).sum() / popular.sum()))
    common_length = float(np.clip(length / max(users, 1.0) / shrinks, LEAST_LENGTH, 1.0))
    texts = vectors[items].astype(np.float64)
    texts = (texts - texts.mean(axis=0)) * (np.sqrt(popular) * own)[:, None]
    texts = np.linalg.svd(texts, full_matrices=False)[0][:, :count]
    # Where texts have fewer directions than are wanted, any others will do.
    others = np.random.default_rng(0).standard_normal((len(items), count - texts.shape[1]))
    asked = np.linalg.qr(np.column_stack([common, texts, others]))[0][:, 1:]
    return Subspace(
        weights=weights,
        common=common,
        common_length=common_length,
        directions=asked,
        length=max(FIRST_LENGTH * common_length, LEAST_LENGTH),
    )


def pooled(answered: Sequence[Answered]) -> Found:
    """Return what all rounds together say: each weighed by its precision.

    With P = [Q_1 / s_1, Q_2 / s_2, ...] = B D R^T (B orthonormal) and
    W = [Y_1 / s_1, Y_2 / s_2, ...], W R = G B D + noise of standard deviation 1 on
    every entry: directions asked about twice count twice. The noise's largest
    singular value is about sqrt(m) + sqrt(k); of a singular value d above
    it, the part sqrt(d^2 - edge^2) is taken as signal, and is an eigenvalue of G
    times how far its direction was asked about.

    Parameters
    ----------
    answered : sequence of Answered
        At least one.
    """
    asked = np.hstack([one.directions / one.sigma for one in answered])
    got = np.hstack([one.sums / one.sigma for one in answered])
    basis, precision, turned = np.linalg.svd(asked, full_matrices=False)
    # Of what was asked twice a difference is left over, which is noise alone.
    new = precision > SAME * precision[0]
    basis, precision, turned = basis[:, new], precision[new], turned[new]
    together = got @ turned.T
    columns, heights, _ = np.linalg.svd(together, full_matrices=False)
    signal = np.sqrt(np.maximum(heights**2 - edge_of_noise(*together.shape) ** 2, 0.0))
    covered = np.linalg.norm((basis * precision).T @ columns, axis=0)
    return Found(directions=columns, values=signal / np.maximum(covered, 1e-12))


def edge_of_noise(m: int, k: int) -> float:
    """Return the largest singular value that (m, k) standard normal numbers are likely to have.

    Formula: the limit sqrt(m) + sqrt(k) (Davidson and Szarek 2001, theorem 2.13).
    """
    return float(np.sqrt(m) + np.sqrt(k))
