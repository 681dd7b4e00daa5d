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

from privacy.query import Contributions
from privacy.release import Release
from tests.privacy.examples import a_block, a_door, a_query, giving

TRIALS = 20_000
ERROR = 1e-6
"""Probability with which each of the two limits may be wrong."""


def least_mu(folder: Path, *, row: npt.NDArray[np.float32], sigma: float) -> float:
    """Return what a door's answers betray at least of a user with the given row."""
    everywhere = Contributions(np.arange(TRIALS), np.tile(row, (TRIALS, 1)))
    nobody = Contributions(np.arange(0), np.zeros((0, len(row)), np.float32))
    direction = row / np.linalg.norm(row)
    there = _answer(folder / "with", everywhere, sigma) @ direction
    absent = _answer(folder / "without", nobody, sigma) @ direction
    threshold = (np.median(there) + np.median(absent)) / 2
    hits, alarms = int((there > threshold).sum()), int((absent > threshold).sum())
    true_positives = beta.ppf(ERROR, hits, TRIALS - hits + 1)
    false_positives = beta.ppf(1 - ERROR, alarms + 1, TRIALS - alarms)
    return float(norm.ppf(true_positives) - norm.ppf(false_positives))


def _answer(folder: Path, contributions: Contributions, sigma: float) -> npt.NDArray[np.float32]:
    # Both worlds must not share their noise, so it comes from the operating system.
    door = a_door(folder, seed=None, epsilon=100.0)
    query = a_query(a_block(cells=TRIALS, width=contributions.rows.shape[1]), sigma=sigma)
    answer = door.answer(query, giving({"sums": contributions}))
    if not isinstance(answer, Release):
        raise TypeError(f"The door gave {answer!r}, not a release.")
    return answer.sums["sums"]
