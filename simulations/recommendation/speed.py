"""How long recommendations take on one core, with a large catalogue and many clusters.

``python -m simulations.recommendation.speed``

made-up map and histories  ->  one user at a time, with and without reasons; everybody at once
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.console import Console
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from client.interest_profile import InterestProfiles
from client.recommender import Recommender
from privacy.query import FloatArray
from strategies.cluster_map import ClusterMap

ITEMS, USERS, CLUSTERS, DIM = 100_000, 100_000, 200, 384
ASKED, DIRECTIONS = 2048, 64

console = Console(highlight=False)


def unit_rows(rng: np.random.Generator, n: int) -> FloatArray:
    """Draw directions: float32, shape (n, DIM)."""
    rows = rng.standard_normal((n, DIM)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def made_up(rng: np.random.Generator) -> Recommender:
    """Return a recommender over a map and histories that mean nothing."""
    popularity = (rng.pareto(1.2, ITEMS) + 0.1).astype(np.float32)
    weights = np.zeros(ITEMS, np.float32)
    asked = np.argsort(-popularity)[:ASKED]
    weights[asked] = popularity[asked] ** -0.25
    lifts = rng.uniform(0.5, 2, (CLUSTERS + 1, ITEMS)).astype(np.float32)
    directions = np.linalg.qr(rng.standard_normal((ASKED, DIRECTIONS)))[0]
    pushed = ClusterMap(
        run="speed",
        catalogue="",
        encoder="",
        centroids=unit_rows(rng, CLUSTERS),
        noisy_sizes=np.ones(CLUSTERS, np.float32),
        labels=[f"cluster {number}" for number in range(CLUSTERS)],
        item_weights=popularity * lifts[1:],
        popularity=popularity,
        recent_popularity=popularity * lifts[0],
        taste_weights=weights,
        taste_directions=directions.astype(np.float32),
        taste_strengths=np.linspace(1, 0.1, DIRECTIONS).astype(np.float32),
    )
    lengths = rng.integers(10, 100, USERS)
    odds = popularity.astype(np.float64) / popularity.sum(dtype=np.float64)
    met = rng.choice(ITEMS, lengths.sum(), p=odds)
    users = np.repeat(np.arange(USERS), lengths)
    days = csr_matrix((rng.uniform(1, 300, len(met)), (users, met)), shape=(USERS, ITEMS))
    profiles = InterestProfiles(
        user_ids=tuple(map(str, range(USERS))),
        item_ids=tuple(map(str, range(ITEMS))),
        item_vectors=unit_rows(rng, ITEMS),
        vectors=unit_rows(rng, USERS),
        counts=days,
        last_days=days,
        first_days=days,
        habits=days,
    )
    return Recommender(profiles, profiles.item_vectors, pushed, pd.DataFrame())


def milliseconds(act: Callable[[int], object], times: int) -> str:
    """Time an act for one user after another."""
    act(0)
    took = []
    for user in range(times):
        started = time.perf_counter()
        act(user)
        took.append(1e3 * (time.perf_counter() - started))
    return f"median {np.median(took):.2f} ms, 99% within {np.quantile(took, 0.99):.2f} ms"


def main() -> None:
    """Print the figures."""
    with threadpool_limits(1):
        recommender = made_up(np.random.default_rng(0))
        alone = milliseconds(lambda user: recommender.best_new(np.array([user])), 2000)
        console.print(f"one user: {alone}")
        told = milliseconds(lambda user: recommender.new_for(str(user)), 500)
        console.print(f"one user, with reasons: {told}")
        started = time.monotonic()
        recommender.best_new(np.arange(USERS))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        console.print(f"{USERS:,} users: {time.monotonic() - started:.1f} s; peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
