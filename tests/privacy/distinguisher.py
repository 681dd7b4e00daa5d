"""Tell from a door's answers whether one user was there: a check from outside.

many cells, the target alone in each  ->  a noisy world with, one without
                                      ->  a lower bound of the privacy loss mu

Each cell is one independent run of the mechanism, so two releases give
thousands of trials. The bound is that of a threshold test: in mu-Gaussian-DP,
``quantile(true positives) - quantile(false positives) <= mu`` (Dong, Roth and
Su 2022), here with Clopper-Pearson limits for both rates.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, norm

from privacy.door import Door
from privacy.mechanism import NoiseSource
from privacy.query import Contributions, NoiseKind
from privacy.release import Release
from tests.privacy.examples import a_block, a_ledger, a_query, giving

TRIALS = 20_000
ERROR = 1e-6
"""Probability with which each of the two limits may be wrong."""
BLOCKS = (
    a_block("sums", cells=TRIALS, width=2, clipping_norm=1.0),
    a_block("counts", cells=TRIALS, width=1, clipping_norm=0.75),
)
SIGMA = 1.25
QUERY = a_query(*BLOCKS, sigma=SIGMA)
TARGET = {"sums": np.array([3.0, -4.0]), "counts": np.array([9.0])}
"""What the target adds before clipping; it is too long for either block."""

Doubles = npt.NDArray[np.float64]


def least_mu(folder: Path, kind: NoiseKind) -> float:
    """Return what a door's answers betray at least of the target."""
    there = _evidence(folder / "with", kind, world=1)
    absent = _evidence(folder / "without", kind, world=0)
    threshold = (np.median(there) + np.median(absent)) / 2
    hits, alarms = int((there > threshold).sum()), int((absent > threshold).sum())
    true_positives = beta.ppf(ERROR, hits, TRIALS - hits + 1)
    false_positives = beta.ppf(1 - ERROR, alarms + 1, TRIALS - alarms)
    return float(norm.ppf(true_positives) - norm.ppf(false_positives))


def _evidence(folder: Path, kind: NoiseKind, *, world: int) -> Doubles:
    """Return how far the answer of each cell lies in the direction of the target."""
    # Both worlds must not share their noise.
    source = NoiseSource(kind, world if kind is NoiseKind.SEEDED else None)
    door = Door(a_ledger(folder, epsilon=100.0), source)
    cells = np.arange(TRIALS * world, dtype=np.int64)
    contributions = {
        name: Contributions(cells, np.tile(row, (len(cells), 1)).astype(np.float32))
        for name, row in TARGET.items()
    }
    answer = door.answer(QUERY, giving(contributions))
    if not isinstance(answer, Release):
        raise TypeError(f"The door gave {answer!r}, not a release.")
    clipped = {b.name: TARGET[b.name] / np.linalg.norm(TARGET[b.name]) for b in BLOCKS}
    parts = [answer.sums[b.name] @ (b.clipping_norm * clipped[b.name]) for b in BLOCKS]
    return np.asarray(sum(parts))
