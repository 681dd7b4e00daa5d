"""How fast users are clipped and summed: the door's Opacus path against NumPy.

100,000 users, 64 cells, 384 dimensions; median of five runs, in one process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console

from privacy.clipping import clipped_sum
from privacy.query import Block, Contributions

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


def main() -> None:
    """Print both times and their ratio."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((USERS, DIM), dtype=np.float32) * np.float32(0.1)
    contributions = Contributions(rng.integers(0, CELLS, USERS), rows)
    block = Block(name="sums", cells=CELLS, width=DIM, clipping_norm=NORM)
    error = np.abs(clipped_sum(block, contributions).numpy() - segment_sum(contributions)).max()
    ours = median_seconds(lambda: clipped_sum(block, contributions))
    peer = median_seconds(lambda: segment_sum(contributions))
    Console(highlight=False).print(
        f"clip and sum {USERS} users, {CELLS} cells, {DIM} dimensions: Opacus {ours:.3f} s, "
        f"NumPy {peer:.3f} s, ratio {ours / peer:.2f}, largest difference {error:.1e}"
    )


if __name__ == "__main__":
    main()
