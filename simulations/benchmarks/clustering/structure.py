"""Whether the private summary tells the number of clusters, and the report their quality.

population with known components  ->  chosen K, adjusted Rand index, silhouette: private and not
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from privacy.query import NoiseKind, TrustModel
from server.report import Report
from simulations.benchmarks.clustering import populations
from simulations.benchmarks.clustering.comparison import DATA_SEEDS, NOISE_SEEDS
from simulations.benchmarks.clustering.populations import Population
from simulations.benchmarks.clustering.scoring import Array, cells_of
from simulations.cluster_settings import ClusterSettings
from simulations.cluster_vectors import cluster_vectors
from strategies.exact_geometry import nearest

MOST = 20
"""Clusters asked for; the summary chooses how many of them there are."""
DRAWS = {
    "separated": populations.separated,
    "mixture": populations.mixture,
    "S1-like": populations.s1_like,
    "G2-like": populations.g2_like,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What one private run tells of the structure, and what is true.

    Attributes
    ----------
    true_k, chosen_k : int
    rand, rand_non_private : float
        Adjusted Rand index against the truth, of the chosen clusters, and of
        scikit-learn's K-means with the true K.
    silhouette, silhouette_non_private : float
        Simplified; as the private run reports it with the true K, and exactly,
        of scikit-learn's K-means.
    """

    population: str
    n: int
    data_seed: int
    noise_seed: int
    true_k: int
    chosen_k: int
    rand: float
    rand_non_private: float
    silhouette: float
    silhouette_non_private: float


def structures(
    name: str,
    n: int,
    *,
    epsilon: float = 1.0,
    data_seeds: Iterable[int] = DATA_SEEDS,
    noise_seeds: Sequence[int] = NOISE_SEEDS,
) -> Iterator[Structure]:
    """Run on every pair of seeds, twice: choosing K, and with the true one."""
    for data_seed in data_seeds:
        population = DRAWS[name](n, data_seed)
        reference = KMeans(population.k, n_init=10, random_state=0).fit(population.vectors)
        exact = reference.cluster_centers_.astype(np.float64)
        for noise_seed in noise_seeds:
            chosen, found = _cluster(population, epsilon, noise_seed, choose_k=True)
            report, _ = _cluster(population, epsilon, noise_seed, choose_k=False)
            yield Structure(
                population=name,
                n=n,
                data_seed=data_seed,
                noise_seed=noise_seed,
                true_k=population.k,
                chosen_k=chosen.clustering.k,
                rand=_rand(population, found),
                rand_non_private=_rand(population, exact),
                silhouette=report.clustering.silhouette or math.nan,
                silhouette_non_private=_silhouette(population, exact),
            )


def _cluster(
    population: Population, epsilon: float, seed: int, *, choose_k: bool
) -> tuple[Report, Array]:
    logging.getLogger("flwr").setLevel(logging.ERROR)
    n = len(population.vectors)
    settings = ClusterSettings(
        k=MOST if choose_k else population.k,
        epsilon=epsilon,
        delta=1 / (n * math.log(n)),
        trust_model=TrustModel.CENTRAL,
        noise=NoiseKind.SEEDED,
        seed=seed,
        norm_bound=population.norm_bound,
        choose_k=choose_k,
    )
    with tempfile.TemporaryDirectory() as folder:
        report = cluster_vectors(
            [population.vectors], settings, Path(folder), public=population.public
        )
        with np.load(Path(folder) / "centroids.npz") as result:
            return report, np.asarray(result["centroids"], dtype=np.float64)


def _rand(population: Population, centroids: Array) -> float:
    cells = cells_of(population.vectors, centroids)
    return float(adjusted_rand_score(population.truth, cells))


def _silhouette(population: Population, centroids: Array) -> float:
    """Return the mean of ``1 - a / b`` over all users."""
    scale = np.float32(population.norm_bound)
    centres = np.asarray(centroids / scale, dtype=np.float32)
    own, other = np.sqrt(nearest(population.vectors / scale, centres, count=2)[1]).T
    return float(np.mean((other - own) / np.maximum(other, 1e-12)))
