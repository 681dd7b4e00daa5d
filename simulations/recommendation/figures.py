"""What the benchmark finds, as plain numbers: kept as JSON, turned into tables later.

Every figure has two standard errors, since two things were drawn: people, and noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import norm, permutation_test

Floats = NDArray[np.float64]

SIGN_FLIPS = 9999
"""Random ones: the least p value is 1/10,000."""
MOST_FLIPPED = 2000
"""People; of more, the mean difference is normal to well within what p values are read for."""


class Part(BaseModel):
    """A part of what is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(Part):
    """A mean, its standard error over people, and over the noise (0 where none was drawn)."""

    mean: float
    error: float
    noise_error: float


class Paired(Part):
    """How much higher ours is than another ranking, on the same people."""

    gain: float
    error: float
    noise_error: float
    p: float


class Group(Part):
    """Hit rates of a group of people."""

    name: str
    people: int
    ours: Figure
    popularity: Figure


class Line(Part):
    """Ours at one budget, and what can be had for the same.

    ``ours`` and ``popularity`` have all measures; ``rivals`` are hit rates of other rankings
    with the same budget; ``paired`` has ours against ``popularity`` and against each rival.
    """

    set: str
    split: str
    released: str
    epsilon: float
    draws: int
    people: int
    ours: dict[str, Figure]
    popularity: dict[str, Figure]
    rivals: dict[str, Figure]
    paired: dict[str, Paired]
    groups: dict[str, list[Group]]
    seconds: float


class References(Part):
    """Hit rates on one split that no budget bounds.

    ``nothing_released`` is closeness of texts; ``no_noise`` is ours; ``non_private`` know
    everything about everybody.
    """

    set: str
    split: str
    people: int
    nothing_released: Figure
    no_noise: Figure
    non_private: dict[str, Figure]

    @property
    def best(self) -> tuple[str, Figure]:
        """The best of ``non_private``, chosen on what judges: a generous bar."""
        return max(self.non_private.items(), key=lambda one: one[1].mean)


def figure(draws: Floats) -> Figure:
    """Summarise values of shape (n_draws, n_people)."""
    return Figure(
        mean=float(draws.mean()),
        error=_standard_error(draws.mean(axis=0)),
        noise_error=_standard_error(draws.mean(axis=1)),
    )


def paired(ours: Floats, others: Floats) -> Paired:
    """Compare hits of shapes (n_draws, n_people); noises are independent, people the same."""
    difference = ours.mean(axis=0) - others.mean(axis=0)
    return Paired(
        gain=float(difference.mean()),
        error=_standard_error(difference),
        noise_error=float(
            np.hypot(_standard_error(ours.mean(axis=1)), _standard_error(others.mean(axis=1)))
        ),
        p=p_value(difference),
    )


def p_value(differences: Floats) -> float:
    """Return how likely so large a mean is if each difference could as well have the other sign.

    By random sign flips (Fisher's paired randomisation test, two-sided); of many people, by a
    z test.
    """
    if not differences.any():
        return 1.0
    if len(differences) > MOST_FLIPPED:
        return float(2 * norm.sf(abs(differences.mean()) / _standard_error(differences)))
    found = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=SIGN_FLIPS,
        batch=500,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _standard_error(values: Floats) -> float:
    """Return the standard error of a mean; 0 of a single value, about which nothing is known."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
