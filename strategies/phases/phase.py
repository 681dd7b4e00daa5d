"""What a phase is: one question of a run, and what is learned from its answer.

A phase asks a question that depends on public and released values only, and
absorbs the noisy sum that comes back. Everything in ``absorb`` is
post-processing: it costs nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray
from strategies.aggregation import NoisySum, histogram_quantile
from strategies.clustering import Clustering, Floats, single_precision
from strategies.question_kinds.vectors import bin_ends
from strategies.questions import DistanceHistogram, Question

Array = NDArray[np.float64]

BINS = 48
"""Of the histograms of distances: six octaves."""


def everywhere(dim: int) -> FloatArray:
    """Return the basis that leaves all dimensions as they are: float32, shape (dim, 0)."""
    return np.zeros((dim, 0), np.float32)


def distances(
    known: Clustering, *, origin: Floats, basis: Floats, centres: Array, largest: float
) -> DistanceHistogram:
    """Return the question how far users are from their nearest centre."""
    return DistanceHistogram(
        origin=single_precision(origin),
        basis=single_precision(basis),
        centres=single_precision(centres),
        largest=largest,
        bins=BINS,
        space=known.space,
    )


class Memory(Protocol):
    """What several phases of a run know in common, beside what the server knows."""

    def kept(self) -> dict[str, Any]:
        """Return what an interrupted run needs to go on."""
        ...

    def restore(self, kept: dict[str, Any]) -> None:
        """Know again what :meth:`kept` returned."""
        ...


class Phase(ABC):
    """One question of a run.

    Parameters
    ----------
    name : str
        As it stands in plans, ledgers and reports.
    share : float
        Part of the run's mu^2.

    Attributes
    ----------
    asks : type of Question
        The kind of its question.
    is_needed : bool
        Whether the run can go no further if no region answers.
    """

    asks: ClassVar[type[Question]]
    is_needed: ClassVar[bool] = True

    def __init__(self, name: str, share: float) -> None:
        self.name = name
        self.share = share

    @abstractmethod
    def ask(self, known: Clustering) -> Question:
        """Return the question, from what is known so far."""

    @abstractmethod
    def absorb(self, known: Clustering, answer: NoisySum) -> None:
        """Learn from the noisy sum over all users that took part."""

    @property
    def memory(self) -> Memory | None:
        """What it shares with other phases of its run, where anything is."""
        return None

    @staticmethod
    def quantile(known: Clustering, answer: NoisySum, largest: float, quantile: float) -> float:
        """Return a quantile of distances; the largest where there is no noise to save."""
        histogram = answer.sums["histogram"][:, 0]
        return histogram_quantile(
            histogram, bin_ends(largest, BINS), quantile if known.is_private else 1.0
        )
