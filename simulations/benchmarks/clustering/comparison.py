"""Run this system and the published ones on the same populations; keep every figure.

settings  ->  cost over the best without privacy, by method and seed  ->  clustering.json

Reported seeds are not those on which constants were chosen. Every run of ours
is a whole one: silos, doors, ledgers, messages and the strategy, with the
budget's last 3 percent spent on saying how well the clusters fit.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray, NoiseKind, TrustModel
from simulations.benchmarks.clustering import populations
from simulations.benchmarks.clustering.peers import PEERS
from simulations.benchmarks.clustering.populations import Population, without_public
from simulations.benchmarks.clustering.scoring import best_cost, kmeans_cost
from simulations.cluster_settings import ClusterSettings
from simulations.cluster_vectors import cluster_vectors
from simulations.partitions import partition_by_interest

Array = NDArray[np.float64]

OURS = "fedinterest"
TUNING_SEEDS = range(0, 10)
"""Of data and noise: constants were chosen on these."""
DATA_SEEDS = (101, 102, 103)
NOISE_SEEDS = (201, 202, 203)

DRAWS: dict[str, Callable[[int, int], Population]] = {
    "embeddings": populations.embeddings,
    "embeddings, nothing public": without_public(populations.embeddings),
    "embeddings, shifted public": populations.shifted,
    "embeddings, 20 interests": lambda n, seed: populations.embeddings(n, seed, interests=20),
    "mixture": populations.mixture,
    "S1-like": populations.s1_like,
    "G2-like": populations.g2_like,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is clustered, and under which privacy.

    Attributes
    ----------
    population : str
        A key of ``DRAWS``.
    n : int
        Users.
    epsilon : float
        For one user; delta is ``1 / (n ln n)``.
    silos : int
        Under ``local`` each adds the full noise; 0 is one trusted server.
    concentration : float
        Dirichlet parameter of how interests spread over silos; 0 splits evenly.
    noise : str
        Of ours: ``seeded`` is Opacus' Gaussian, as ``float``, but repeatable.
    """

    population: str
    n: int
    epsilon: float
    silos: int = 0
    concentration: float = 0.0
    noise: str = "seeded"

    @property
    def delta(self) -> float:
        """As the published systems choose it."""
        return 1 / (self.n * math.log(self.n))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One run's cost over that of the best without privacy."""

    setting: Setting
    method: str
    data_seed: int
    noise_seed: int
    cost: float
    seconds: float


def run_setting(
    setting: Setting,
    methods: Sequence[str],
    data_seeds: Iterable[int] = DATA_SEEDS,
    noise_seeds: Sequence[int] = NOISE_SEEDS,
) -> Iterator[Figure]:
    """Run the methods on every pair of seeds; those that need public vectors only with them."""
    for data_seed in data_seeds:
        population, reference = drawn(setting.population, setting.n, data_seed)
        for method in methods:
            if population.public is None and method.startswith("FedDP"):
                continue
            for noise_seed in noise_seeds:
                clock = time.perf_counter()
                centroids = run_method(method, setting, population, noise_seed)
                seconds = time.perf_counter() - clock
                cost = kmeans_cost(population.vectors, centroids) / reference
                yield Figure(
                    setting=setting,
                    method=method,
                    data_seed=data_seed,
                    noise_seed=noise_seed,
                    cost=cost,
                    seconds=seconds,
                )


@lru_cache(maxsize=8)
def drawn(name: str, n: int, data_seed: int) -> tuple[Population, float]:
    """Return a population and the best cost without privacy."""
    population = DRAWS[name](n, data_seed)
    return population, best_cost(population.vectors, population.k, seed=0)


def run_method(method: str, setting: Setting, population: Population, seed: int) -> Array:
    """Return the centroids that a method finds: shape (k, d)."""
    if method == OURS:
        return ours(setting, population, seed)
    return PEERS[method](population, setting.epsilon, setting.delta, seed)


def ours(setting: Setting, population: Population, seed: int) -> Array:
    """Run ``fedinterest cluster`` on the population, split over the setting's silos."""
    settings = ClusterSettings(
        k=population.k,
        epsilon=setting.epsilon,
        delta=setting.delta,
        trust_model=TrustModel.LOCAL if setting.silos else TrustModel.CENTRAL,
        noise=NoiseKind(setting.noise),
        seed=seed,
        norm_bound=population.norm_bound,
    )
    with tempfile.TemporaryDirectory() as folder:
        cluster_vectors(
            split(setting, population), settings, Path(folder), public=population.public
        )
        with np.load(Path(folder) / "centroids.npz") as result:
            return np.asarray(result["centroids"], dtype=np.float64)


def split(setting: Setting, population: Population) -> list[FloatArray]:
    """Return the silos' vectors."""
    vectors, silos = population.vectors, max(setting.silos, 1)
    if not setting.concentration:
        return [vectors[number::silos] for number in range(silos)]
    homes = partition_by_interest(vectors, silos, concentration=setting.concentration, seed=7)
    return [vectors[homes == number] for number in range(silos)]


def save(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as JSON: one line for each setting and method, with all its runs."""
    runs: dict[tuple[Setting, str], list[list[float]]] = {}
    for one in figures:
        found = [one.data_seed, one.noise_seed, round(one.cost, 6), round(one.seconds, 2)]
        runs.setdefault((one.setting, one.method), []).append(found)
    lines = [
        json.dumps({"setting": asdict(setting), "method": method, "runs": found})
        for (setting, method), found in runs.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def load(path: Path) -> list[Figure]:
    """Read what :func:`save` wrote."""
    return [
        Figure(
            setting=Setting(**part["setting"]),
            method=part["method"],
            data_seed=data_seed,
            noise_seed=noise_seed,
            cost=cost,
            seconds=seconds,
        )
        for part in json.loads(path.read_text(encoding="utf-8"))
        for data_seed, noise_seed, cost, seconds in part["runs"]
    ]
