"""Time and memory of the clustering over the number of users, and of one local step.

``python -m simulations.benchmarks.clustering.scaling [USERS...]``: each size runs in a process of
its own, so that its peak memory is its own.
"""

from __future__ import annotations

import logging
import math
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from rich.console import Console
from sklearn.cluster import KMeans

from client.contributions import batches_of_contributions
from client.vector_users import VectorUsers
from privacy.door import _clip_and_sum
from privacy.query import FloatArray, NoiseKind, TrustModel
from simulations.cluster_settings import ClusterSettings
from simulations.cluster_vectors import cluster_vectors
from strategies.questions import CellSums, Request

SIZES = (20_000, 100_000, 300_000, 1_000_000)
DIM, K = 384, 20
REPEATS = 5

console = Console(highlight=False)


def users(n: int) -> FloatArray:
    """Return unit vectors around 40 directions, made a part at a time."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, DIM)).astype(np.float32)
    vectors = np.empty((n, DIM), dtype=np.float32)
    for start in range(0, n, 20_000):
        part = vectors[start : start + 20_000]
        part[:] = centres[rng.integers(0, 40, len(part))]
        part += rng.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def local_step(vectors: FloatArray) -> tuple[float, float]:
    """Return the median seconds of one clipped sum, and of a fit of one Lloyd iteration."""
    centres = vectors[:K].copy()
    question = CellSums(
        origin=np.zeros(DIM, np.float32),
        basis=np.zeros((DIM, 0), np.float32),
        centres=centres,
        radius=0.5,
        count_weight=0.15,
    )
    query = Request(
        run="scaling",
        round_number=1,
        purpose="lloyd-1",
        trust_model=TrustModel.LOCAL,
        sigma=1.0,
        encoder="",
        catalogue="",
        question=question,
    ).query()
    ours, fits = [], []
    for _ in range(REPEATS):
        clock = time.perf_counter()
        _clip_and_sum(query, batches_of_contributions(question, VectorUsers(vectors)))
        ours.append(time.perf_counter() - clock)
        fits.append(_one_iteration(vectors, centres))
    return float(np.median(ours)), float(np.median(fits))


def _one_iteration(vectors: FloatArray, centres: FloatArray) -> float:
    """Return the seconds that scikit-learn takes for one Lloyd iteration, its checks included."""
    clock = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged is what is wanted
        KMeans(K, init=centres, n_init=1, max_iter=1, tol=0).fit(vectors)
    return time.perf_counter() - clock


def whole_run(n: int) -> None:
    """Print seconds and peak memory of one run over ``n`` users."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    vectors = users(n)
    settings = ClusterSettings(
        k=K, epsilon=1.0, noise=NoiseKind.FLOAT, trust_model=TrustModel.CENTRAL
    )
    with tempfile.TemporaryDirectory() as folder:
        clock = time.perf_counter()
        cluster_vectors([vectors], settings, Path(folder))
        seconds = time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(f"{seconds} {peak} {vectors.nbytes}\n")


def main() -> None:
    """Measure the sizes that were named, or all."""
    if sys.argv[1:2] == ["--one"]:
        whole_run(int(sys.argv[2]))
        return
    ours, fit = local_step(users(100_000))
    console.print(
        f"local step, 100,000 users: {ours:.2f} s; scikit-learn's fit of one Lloyd iteration: "
        f"{fit:.2f} s; ratio {ours / fit:.1f}"
    )
    sizes = [int(size) for size in sys.argv[1:]] or list(SIZES)
    times = []
    for n in sizes:
        command = [sys.executable, "-m", "simulations.benchmarks.clustering.scaling", "--one"]
        done = subprocess.run([*command, str(n)], capture_output=True, text=True, check=True)
        seconds, peak, size = (float(part) for part in done.stdout.split()[-3:])
        times.append(seconds)
        console.print(
            f"{n:>9,} users: {seconds:6.1f} s, peak {peak / 1e9:.2f} GB, input {size / 1e9:.2f} GB"
        )
    if len(sizes) > 1:
        exponent = math.log(times[-1] / times[0]) / math.log(sizes[-1] / sizes[0])
        console.print(f"time grows with the {exponent:.2f}th power of the number of users")


if __name__ == "__main__":
    main()
