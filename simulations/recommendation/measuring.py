"""One line of the benchmark: ours and its rivals at one budget, on one split.

split  ->  private runs, and rankings with the same budget  ->  Line
       ->  rankings that no budget bounds                   ->  References
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from rich.console import Console

from client.recommender import Recommender
from client.tuning import tuned, usual_fusion
from privacy.accountant import mu_of
from simulations.recommendation.baselines import (
    EASE_RIDGES,
    Score,
    content,
    ease,
    factorised,
    item_neighbours,
    noisy_popularity,
    random_clusters,
)
from simulations.recommendation.figures import Figure, Line, References
from simulations.recommendation.groups import groupings
from simulations.recommendation.judging import Judge, Judged, Rank
from simulations.recommendation.learning import delta_for, learn
from simulations.recommendation.rows import Plan, Row, clusters_alone, following_lately
from simulations.recommendation.splits import Split
from strategies.cluster_map import ClusterMap
from strategies.plan import recommendation_alone

K_OF_RIVALS = 16
"""Clusters of texts, and random ones."""
DRAWS_OF_TEXT_CLUSTERS = 3
"""At most: a whole clustering each; one where people are many, whose draws hardly differ."""
MANY = 10_000

console = Console(highlight=False, width=200)


def tuned_ranking(split: Split, pushed: ClusterMap) -> Rank:
    """Return the ranking by a map of a client that has tuned on its users' histories."""
    vectors = split.behaviour.catalogue.vectors
    usual = usual_fusion(pushed, split.behaviour.lift)
    fusion = tuned(split.profiles, pushed, vectors, usual=usual)
    recommender = Recommender(split.profiles, vectors, pushed, pd.DataFrame(), fusion=fusion)
    return lambda users: recommender.best_new(users)[0]


class Measuring:
    """Measures on one split; what several lines need is found once.

    Parameters
    ----------
    split : Split
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        self.judge = Judge(split)
        self.groupings = groupings(self.judge)
        self._equals = cache(self._measure_equals)

    def line(self, row: Row, epsilon: float, draws: int) -> Line:
        """Return a line: runs with seeds 1 to ``draws``."""
        started = time.monotonic()
        rivals = self._equals(epsilon, draws)
        popularity = rivals["popularity"]
        ours = self.ours(row.plan, epsilon, row.k, draws)
        return Line(
            set=self.split.behaviour.name,
            split=self.split.name,
            released=row.released,
            epsilon=epsilon,
            draws=draws,
            people=len(self.judge.users),
            ours=ours.figures(),
            popularity=popularity.figures(),
            rivals={
                name: judged.figures()["hit_rate"]
                for name, judged in rivals.items()
                if judged is not popularity
            },
            paired={name: ours.compared(judged) for name, judged in rivals.items()},
            groups={one.name: one.compared(ours, popularity) for one in self.groupings},
            seconds=round(time.monotonic() - started, 1),
        )

    def ours(self, plan: Plan, epsilon: float, k: int, draws: int) -> Judged:
        """Run with each seed; judge what a client shows that has tuned at home."""
        return self.judge.judge(
            [self._ranking(plan, epsilon, k, seed) for seed in range(1, draws + 1)]
        )

    def references(self) -> References:
        """Return what no budget bounds."""
        plan = following_lately if self.split.behaviour.lift else recommendation_alone
        no_noise = self.ours(plan, math.inf, 1, 1)
        return References(
            set=self.split.behaviour.name,
            split=self.split.name,
            people=len(self.judge.users),
            nothing_released=self._hit_rate(content(self.split)),
            no_noise=no_noise.figures()["hit_rate"],
            non_private=self._non_private(),
        )

    def _measure_equals(self, epsilon: float, draws: int) -> dict[str, Judged]:
        """Judge the rankings that have the same budget as ours."""
        split, by_scores = self.split, self.judge.by_scores
        mu = mu_of(epsilon, delta_for(len(split.profiles)))
        seeds = range(draws)
        few = min(draws, 1 if len(split.profiles) >= MANY else DRAWS_OF_TEXT_CLUSTERS)
        return {
            "popularity": self.judge.judge(
                [by_scores(noisy_popularity(split, mu, seed)) for seed in seeds]
            ),
            "recent popularity": self.judge.judge(
                [by_scores(noisy_popularity(split, mu, seed, latest=10)) for seed in seeds]
            ),
            "random clusters": self.judge.judge(
                [by_scores(random_clusters(split, mu, seed, K_OF_RIVALS)) for seed in seeds]
            ),
            "text clusters": self.ours(clusters_alone, epsilon, K_OF_RIVALS, few),
        }

    def _ranking(self, plan: Plan, epsilon: float, k: int, seed: int) -> Rank:
        return tuned_ranking(self.split, learn(self.split, plan, epsilon, k=k, seed=seed))

    def _non_private(self) -> dict[str, Figure]:
        """Judge the rankings that know everything about everybody."""
        split = self.split
        make: dict[str, Callable[[], Score]] = {
            f"EASE {ridge:g}": lambda ridge=ridge: ease(split, ridge)  # type: ignore[misc]
            for ridge in EASE_RIDGES
        }
        make["ItemKNN"] = lambda: item_neighbours(split)
        make["ALS"] = lambda: factorised(split, "als")
        make["BPR"] = lambda: factorised(split, "bpr")
        found = {}
        for name, score in make.items():
            try:
                found[name] = self._hit_rate(score())
            except ImportError:
                console.print(f"{name} is left out: `implicit` is not installed")
        return found

    def _hit_rate(self, score: Score) -> Figure:
        judged = self.judge.judge([self.judge.by_scores(score)])
        return judged.of(np.arange(len(self.judge.users)))
