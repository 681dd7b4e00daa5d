"""The taste of a whole population, learned from one private release of products of items.

noisy popularity  ->  the items worth asking about, and what each counts
noisy products    ->  eigenvectors above the noise's edge, each weighed by what of it is signal

Each user's row over the items has unit length, so a user's products have unit
length, too, while the largest eigenvalues of all users' grow with their number:
taste rises above the noise where single counts do not. Everything here works on
released values and is post-processing.

Formula: signal in an eigenvalue above the edge of symmetric noise
(Benaych-Georges and Nadakuditi 2011, section 3.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from privacy.query import OFF_DIAGONAL, FloatArray
from strategies.directions import symmetric
from strategies.taste import Taste

Array = NDArray[np.float64]

FEWEST_ITEMS = 60
ITEMS_PER_SIGNAL = 8.0
"""As many items are asked about as this times the root of users and mu."""
DAMPING = 0.25
"""Items count popularity to the minus this power: what everybody has says little."""
LEAST_POPULARITY = 0.1
"""Of the mean; rarer items count as if they were so popular."""
MOST_TASTES = 64
RIDGE = 0.01
"""Per user: directions in which people differ less than that are not followed."""


def item_weights(popularity: Array, users: float, mu: float, *, most: int) -> FloatArray:
    """Return what each item counts: float32, shape (n_items,); zero for those not worth asking.

    Those worth it are the most popular ones, as many as the noise allows.

    Parameters
    ----------
    popularity : shape (n_items,)
        Released; positive.
    users : float
        Noisy number of them.
    mu : float
        Gaussian-DP parameter of all that is spent on recommendations.
    most : int
        As many as may be sent.
    """
    count = int(min(worthwhile_items(max(users, 1.0) * mu), most, len(popularity)))
    items = np.argsort(-popularity, kind="stable")[:count]
    floor = max(LEAST_POPULARITY * float(popularity.mean()), 1e-9)
    weights = np.zeros(len(popularity), np.float32)
    weights[items] = np.maximum(popularity[items], floor) ** -DAMPING
    return weights


def worthwhile_items(signal: float) -> float:
    """Return how many items are worth asking about, at users times mu of ``signal``."""
    return max(FEWEST_ITEMS, ITEMS_PER_SIGNAL * float(np.sqrt(signal)))


def taste_above_noise(triangle: Array, sigma: float, users: float, weights: FloatArray) -> Taste:
    """Return the directions in which released products rise above their noise.

    Parameters
    ----------
    triangle : shape (m (m + 1) / 2,)
        Released products of the items.
    sigma : float
        Noise standard deviation on every entry.
    users : float
        Noisy number of them.
    weights : shape (n_items,)
        As they were asked for.
    """
    m = int(np.count_nonzero(weights))
    fewest = max(m - MOST_TASTES, 0)
    values, columns = eigh(symmetric(triangle, m), subset_by_index=[fewest, m - 1])
    edge = noise_edge(m, sigma)
    signal = np.sqrt(np.maximum(values**2 - edge**2, 0.0))
    above = (values > edge) & (signal > 0)
    signal, columns = signal[above][::-1], columns[:, above][:, ::-1]
    return Taste(
        weights=weights,
        directions=columns.astype(np.float32),
        strengths=(signal / (signal + RIDGE * max(users, 1.0))).astype(np.float32),
    )


def noise_edge(m: int, sigma: float) -> float:
    """Return the largest eigenvalue that the noise alone is likely to have."""
    return float(2 * np.sqrt(m) * sigma / OFF_DIAGONAL)
