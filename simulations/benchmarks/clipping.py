"""How fast, and in how much memory, users are clipped and summed: the door's way against NumPy.

100,000 users, 64 cells, 384 dimensions; median of five runs, in one process.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
import psutil
from rich.console import Console

from privacy.clipping import clipped_sum
from privacy.query import Block, Contributions, IntArray, SumQuery, TrustModel

USERS, CELLS, DIM, RUNS = 100_000, 64, 384, 5
NORM = 1.4


def segment_sum(contributions: Contributions) -> np.ndarray:
    """Clip and sum with NumPy in double precision, sorted by cell: the peer."""
    rows = contributions.rows.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    clipped = rows * np.minimum(1, NORM / np.maximum(norms, 1e-12))
    order = np.argsort(contributions.cells, kind="stable")
    starts = np.searchsorted(contributions.cells[order], np.arange(CELLS))
    return np.asarray(np.add.reduceat(clipped[order], starts, axis=0))


def median_seconds(action: Callable[[], object]) -> float:
    """Return the median of several runs, after one to warm up."""
    action()
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def added_megabytes(action: Callable[[], object]) -> float:
    """Return by how much an action raises this process's resident memory, in 10^6 bytes."""
    process = psutil.Process()
    before = process.memory_info().rss
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    action()
    done.set()
    watcher.join()
    return (peak - before) / 1e6


def main() -> None:
    """Print both times, their ratio, and the memory."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((USERS, DIM), dtype=np.float32) * np.float32(0.1)
    contributions = Contributions(rng.integers(0, CELLS, USERS), rows)
    block = Block(name="sums", cells=CELLS, width=DIM, clipping_norm=NORM)
    query = SumQuery(
        purpose="benchmark",
        kind="cell-sums",
        blocks=(block,),
        sigma=NORM,
        trust_model=TrustModel.LOCAL,
        run="benchmark",
        round_number=1,
        nonce="",
    )

    def ours() -> IntArray:
        return clipped_sum(query, block, contributions)

    few = Contributions(contributions.cells[:1000], rows[:1000])
    clipped_sum(query, block, few)  # loads libraries
    memory = added_megabytes(ours)
    error = np.abs(ours() * query.step - segment_sum(contributions)).max()
    seconds = median_seconds(ours)
    peer = median_seconds(lambda: segment_sum(contributions))
    Console(highlight=False).print(
        f"clip and sum {USERS} users, {CELLS} cells, {DIM} dimensions: Opacus {seconds:.3f} s, "
        f"NumPy {peer:.3f} s, ratio {seconds / peer:.2f}; {memory:.0f} MB added; "
        f"largest difference {error:.1e}"
    )


if __name__ == "__main__":
    main()
