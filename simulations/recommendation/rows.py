"""What the benchmark measures: sets, splits and budgets, and what was asked of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulations.recommendation.behaviour import Behaviour, complete_journey, movielens
from simulations.recommendation.populations import (
    factor_population,
    fit_factors,
    session_population,
)
from simulations.recommendation.splits import Split, global_time, leave_last_out
from strategies.phases.phase import Phase
from strategies.plan import plan, recommendation_alone

CACHE = Path("runs") / "cache"
K_OF_JOINT = 8
NOT_WORSE = 0.0
"""Asked where no gain was: at most two standard errors below popularity."""
NOT_WORSE_THAN_RECENT = float("-inf")
"""The same of recent popularity, for clients that follow what is popular lately."""

Plan = Callable[[float], Sequence[Phase]]


def joint(signal: float) -> list[Phase]:
    """Return the plan of a run that learns clusters, labels and taste."""
    return plan(taste=True, signal=signal)


def following_lately(signal: float) -> list[Phase]:
    """Return the plan of a run for clients that follow what is popular lately."""
    return recommendation_alone(signal, lately=True)


def clusters_alone(signal: float) -> list[Phase]:
    """Return the plan of a run that learns clusters of texts, what each goes for, no taste."""
    del signal  # the same at every budget
    return plan()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Lines of one set, split and plan.

    Attributes
    ----------
    behaviour : str
        Key of a set.
    split : callable
    asked : mapping of float to float
        By epsilon: the gain over popularity that was asked for, ``NOT_WORSE``,
        ``NOT_WORSE_THAN_RECENT``, or None.
    plan : callable
    k : int
    draws : int
        So many times as many draws of the noise as usual: where people are few, they are cheap
        and differ.
    """

    behaviour: str
    split: Callable[[Behaviour], Split] = leave_last_out
    asked: dict[float, float | None]
    plan: Plan = recommendation_alone
    k: int = 1
    draws: int = 1

    @property
    def released(self) -> str:
        """What the run releases, in words."""
        return "taste" if self.k == 1 else "clusters, labels, taste"


ROWS = (
    Row(behaviour="movielens", asked={0.1: NOT_WORSE, 1: 0.20}, draws=4),
    Row(behaviour="movielens", asked={4: 0.35, 8: 0.50}),
    Row(behaviour="movielens", asked={4: 0.22}, plan=joint, k=K_OF_JOINT),
    Row(
        behaviour="movielens",
        asked={0.1: NOT_WORSE, 1: NOT_WORSE, 4: NOT_WORSE, 8: NOT_WORSE},
        split=global_time,
        draws=4,
    ),
    Row(behaviour="factors-20k", asked={0.1: NOT_WORSE, 1: 0.35, 4: 0.48}),
    Row(behaviour="factors-20k", asked={4: None}, plan=joint, k=K_OF_JOINT),
    Row(behaviour="factors-20k", asked={1: NOT_WORSE, 4: NOT_WORSE}, split=global_time),
    Row(behaviour="factors-100k", asked={0.1: NOT_WORSE, 1: 0.60}),
    Row(behaviour="factors-100k", asked={1: NOT_WORSE}, split=global_time),
    Row(behaviour="sessions-20k", asked={0.1: NOT_WORSE, 4: 0.20}),
    Row(behaviour="sessions-20k", asked={4: None}, plan=joint, k=16),
    Row(behaviour="sessions-20k", asked={0.1: NOT_WORSE, 4: NOT_WORSE}, split=global_time),
    Row(behaviour="journey", asked={0.1: NOT_WORSE, 1: NOT_WORSE, 4: NOT_WORSE}),
    Row(
        behaviour="journey",
        asked={0.1: NOT_WORSE, 1: NOT_WORSE, 4: NOT_WORSE},
        split=global_time,
    ),
    Row(
        behaviour="quarters",
        asked={0.1: NOT_WORSE, 4: NOT_WORSE_THAN_RECENT},
        plan=following_lately,
    ),
    Row(
        behaviour="quarters",
        asked={4: NOT_WORSE_THAN_RECENT},
        plan=following_lately,
        split=global_time,
    ),
)


def behaviours(folder: Path) -> dict[str, Callable[[], Behaviour]]:
    """Return how to get each set; ``folder`` has MovieLens' files."""

    def factors(users: int) -> Behaviour:
        films = movielens(folder, CACHE)
        return factor_population(fit_factors(films), users, films.catalogue)

    return {
        "movielens": lambda: movielens(folder, CACHE),
        "factors-20k": lambda: factors(20_000),
        "factors-100k": lambda: factors(100_000),
        "sessions-20k": lambda: session_population(complete_journey(CACHE).catalogue, 20_000),
        "journey": lambda: complete_journey(CACHE),
        "quarters": lambda: complete_journey(CACHE, quarters=True),
    }
