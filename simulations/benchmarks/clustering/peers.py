"""Published systems, reimplemented from their papers for a comparison on equal terms.

Population, epsilon, delta, noise seed  ->  centroids (k, d)

REIMPLEMENTATIONS: not their authors' code. Every private one adds Gaussian
noise under exact Gaussian-DP composition (tighter than some papers' own
accounting), for one user added or removed, at a trusted server. NumPy's
generator makes the runs repeatable; nothing here is for people's data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from privacy.accountant import mu_of
from simulations.benchmarks.clustering.populations import Array, Labels, Population
from simulations.benchmarks.clustering.scoring import cells_of

Method = Callable[[Population, float, float, int], Array]

LEAST_WEIGHT = 5.0
"""FedDP-KMeans keeps server points that count so many users."""
ROUNDS = 5
COUNT_PART = 0.1
"""Of a round's mu^2 for the counts, in DP-Lloyd and FastLloyd."""


def feddp_kmeans(*, starts: int, lloyd: int) -> Method:
    """FedDP-KMeans (Scott, Lampert and Saulpic, ICML 2025, algorithms 1 and 2).

    Noisy outer products, projection of server points on the top K directions,
    noisy weights of them, k-means++ there, noisy means of the users assigned
    there, then noisy Lloyd steps. The outer products' sensitivity is R^2; the
    published code takes R in its data-point mode.

    Parameters
    ----------
    starts : int
        Of k-means++ on the server's weighted points.
    lloyd : int
        Lloyd steps after the initialisation.
    """

    def run(population: Population, epsilon: float, delta: float, seed: int) -> Array:
        if population.public is None:
            raise ValueError("FedDP-KMeans needs public points at the server.")
        rng = np.random.default_rng(seed)
        each = mu_of(epsilon, delta) / np.sqrt(3 + lloyd)
        bound, k = population.norm_bound, population.k
        users = clipped(population.vectors, bound)
        d = users.shape[1]
        noise = np.triu(rng.standard_normal((d, d)))
        noise = noise + np.triu(noise, 1).T
        values = users.T @ users + noise * bound**2 / each
        basis = np.linalg.eigh(values)[1][:, -k:]
        points = population.public.astype(np.float64) @ basis
        weights = np.bincount(cells_of(users @ basis, points), minlength=len(points))
        weights = weights + rng.standard_normal(len(points)) / each
        held = weights >= LEAST_WEIGHT
        if held.sum() < k:
            held = weights >= np.sort(weights)[-k]
        start = KMeans(k, n_init=starts, random_state=seed).fit(
            points[held], sample_weight=np.maximum(weights[held], 1e-3)
        )
        cells = cells_of(users @ basis, start.cluster_centers_)
        centroids = noisy_means(rng, users, cells, k, bound, each, count_part=0.5)
        for _ in range(lloyd):
            cells = cells_of(users, centroids)
            centroids = noisy_means(rng, users, cells, k, bound, each, count_part=0.5)
        return centroids

    return run


def dp_lloyd(population: Population, epsilon: float, delta: float, seed: int) -> Array:
    """DP-Lloyd (Blum et al. 2005; Su et al. 2016) with Gaussian noise, from random centroids."""
    rng = np.random.default_rng(seed)
    each = mu_of(epsilon, delta) / np.sqrt(ROUNDS)
    users = clipped(population.vectors, population.norm_bound)
    centroids = spread_out(rng, population)
    for _ in range(ROUNDS):
        cells = cells_of(users, centroids)
        means = noisy_means(
            rng, users, cells, population.k, population.norm_bound, each, count_part=COUNT_PART
        )
        centroids = clipped(means, population.norm_bound)
    return centroids


def fastlloyd(population: Population, epsilon: float, delta: float, seed: int) -> Array:
    """FastLloyd's relative updates (Diaa, Humphries and Kerschbaum, USENIX Security 2025).

    Users move a centroid by their distance from it, at most by a radius that
    shrinks from round to round. Its noise is seeded soundly here; the published
    code seeds it with ``seed * round``.
    """
    rng = np.random.default_rng(seed)
    each = mu_of(epsilon, delta) / np.sqrt(ROUNDS)
    bound, k = population.norm_bound, population.k
    users = clipped(population.vectors, bound)
    centroids = spread_out(rng, population)
    for number in range(ROUNDS):
        radius = bound * 0.8**number
        cells = cells_of(users, centroids)
        residuals = clipped(users - centroids[cells], radius)
        moves = noisy_means(rng, residuals, cells, k, radius, each, count_part=COUNT_PART)
        centroids = clipped(centroids + clipped(moves, radius), bound)
    return centroids


def k_fed(population: Population, epsilon: float, delta: float, seed: int) -> Array:
    """k-FED (Dennis, Li and Smith, ICML 2021) over 20 silos; not private."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(population.vectors))
    found = [
        KMeans(population.k, n_init=1, random_state=seed).fit(population.vectors[part])
        for part in np.array_split(order, 20)
    ]
    local = np.vstack([one.cluster_centers_ for one in found]).astype(np.float64)
    chosen = found[int(rng.integers(len(found)))].cluster_centers_.astype(np.float64)
    cells = cells_of(local, chosen)
    return np.array([local[cells == cell].mean(axis=0) for cell in range(population.k)])


def private_mean(population: Population, epsilon: float, delta: float, seed: int) -> Array:
    """Return one noisy mean, the whole budget spent on it: what any clustering has to beat."""
    rng = np.random.default_rng(seed)
    users = clipped(population.vectors, population.norm_bound)
    noise = population.norm_bound / mu_of(epsilon, delta) * rng.standard_normal(users.shape[1])
    return np.asarray((users.sum(axis=0) + noise) / len(users))[None]


FEDDP: dict[str, Method] = {
    "FedDP-KMeans": feddp_kmeans(starts=1, lloyd=1),
    "FedDP-KMeans, 10 starts": feddp_kmeans(starts=10, lloyd=1),
    "FedDP-KMeans, initialisation only": feddp_kmeans(starts=10, lloyd=0),
}
"""The best of the three in each setting stands for the published system."""

PEERS: dict[str, Method] = FEDDP | {
    "DP-Lloyd": dp_lloyd,
    "FastLloyd": fastlloyd,
    "k-FED, not private": k_fed,
    "one private mean": private_mean,
}


def clipped(rows: NDArray[np.floating], bound: float) -> Array:
    """Return the rows in double precision, the longer ones shortened to ``bound``."""
    doubles = np.asarray(rows, dtype=np.float64)
    norms = np.linalg.norm(doubles, axis=1, keepdims=True)
    return np.asarray(doubles * np.minimum(1.0, bound / np.maximum(norms, 1e-12)))


def noisy_means(
    rng: np.random.Generator,
    rows: Array,
    cells: Labels,
    k: int,
    bound: float,
    mu: float,
    *,
    count_part: float,
) -> Array:
    """Return noisy sums over noisy counts; both together cost ``mu``."""
    sums = np.stack([rows[cells == cell].sum(axis=0) for cell in range(k)])
    sums += rng.standard_normal(sums.shape) * bound / (mu * np.sqrt(1 - count_part))
    counts = np.bincount(cells, minlength=k) + rng.standard_normal(k) / (mu * np.sqrt(count_part))
    return np.asarray(sums / np.maximum(counts, 1.0)[:, None])


def spread_out(rng: np.random.Generator, population: Population) -> Array:
    """Return K centroids far apart within half the bound, from no data (sphere packing)."""
    d, bound = population.vectors.shape[1], population.norm_bound
    drawn = rng.standard_normal((20 * population.k, d))
    drawn *= 0.5 * bound / np.linalg.norm(drawn, axis=1, keepdims=True)
    chosen = [0]
    distance = np.full(len(drawn), np.inf)
    while len(chosen) < population.k:
        distance = np.minimum(distance, np.linalg.norm(drawn - drawn[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return drawn[chosen]
