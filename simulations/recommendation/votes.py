"""What it brings that users vote on weights, and how true what they say about lists is.

``python -m simulations.recommendation.votes --movielens FOLDER [--only NAME] [--epsilon 1 4 inf]``

sets  ->  runs with and without votes  ->  lists of devices, which tune nothing at home
                                       ->  paired hit rates; the private figure beside the oracle's
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from client.recommender import Recommender
from client.tuning import usual_fusion
from privacy.query import IntArray
from simulations.recommendation.judging import Floats, Judge, Judged, Rank, over_noises
from simulations.recommendation.learning import learn, learn_and_tell
from simulations.recommendation.rows import behaviours
from simulations.recommendation.splits import Split, leave_last_out
from strategies.cluster_map import ClusterMap
from strategies.fusion import Fusion
from strategies.plan import recommendation_alone
from strategies.private_evaluation import PrivateEvaluation

SETS = ("movielens", "factors-20k")
EPSILONS = (1.0, 4.0, math.inf)

console = Console(highlight=False, width=200)


def of_devices(split: Split, pushed: ClusterMap, fusion: Fusion) -> Rank:
    """Return the ranking of clients that use these weights as they are."""
    recommender = Recommender(
        split.profiles, split.behaviour.catalogue.vectors, pushed, pd.DataFrame(), fusion=fusion
    )
    return lambda users: recommender.best_new(users)[0]


def asked(split: Split, epsilon: float, seed: int) -> tuple[ClusterMap, PrivateEvaluation | None]:
    """Run once with votes; return the map, and what users said."""
    plan = partial(recommendation_alone, votes=True)
    pushed, strategy = learn_and_tell(split, plan, epsilon, seed=seed)
    return pushed, strategy.known.evaluation


def lines(judge: Judge, epsilon: float, seeds: int) -> Iterator[str]:
    """Compare runs with votes to runs without, each with noise of its own."""
    name = f"{judge.split.behaviour.name}, epsilon {epsilon:g}"
    judged: list[dict[str, Judged]] = []
    told: list[PrivateEvaluation] = []
    for seed in range(1, seeds + 1):
        ranks, evaluation = rankings(judge, epsilon, seed)
        judged.append({what: judge.judge([rank]) for what, rank in ranks.items()})
        told += [evaluation] if evaluation is not None else []
        chosen = evaluation.chosen if evaluation is not None else None
        voted = f"half-life {chosen.half_life:g}, text {chosen.text:g}" if chosen else "nothing"
        rates = ", ".join(f"{what} {one.hit_rate:.4f}" for what, one in judged[-1].items())
        yield f"{name}, noise {seed}: {rates}; voted for: {voted}"
    all_of = {what: over_noises([one[what] for one in judged]) for what in judged[0]}
    gain, error = all_of["voted"].gain(all_of["without"])
    choice, choice_error = all_of["voted"].gain(all_of["usual"])
    yield (
        f"{name}, {seeds} noises, devices: without votes {all_of['without'].hit_rate:.4f}, with "
        f"{all_of['voted'].hit_rate:.4f}: {gain:+.4f} +- {error:.4f}; of that the choice "
        f"{choice:+.4f} +- {choice_error:.4f}"
    )
    for field, what in {"ours": "usual", "popularity": "popularity"}.items() if told else ():
        private, noise = (
            np.mean([getattr(one, key) for one in told]) for key in (field, f"{field}_noise")
        )
        yield (
            f"  {what}: private {private:.4f} (noise {noise:.4f}), next item "
            f"{all_of[what].hit_rate:.4f} +- {all_of[what].hit_rate_error:.4f}"
        )


def rankings(
    judge: Judge, epsilon: float, seed: int
) -> tuple[dict[str, Rank], PrivateEvaluation | None]:
    """Run once without votes and once with; return the rankings, and what users said."""
    split = judge.split
    before = learn(split, recommendation_alone, epsilon, seed=seed)
    pushed, evaluation = asked(split, epsilon, seed)
    ranks = {
        "without": of_devices(split, before, usual_fusion(before)),
        "voted": of_devices(split, pushed, usual_fusion(pushed)),
        "usual": of_devices(split, pushed, Fusion()),
        "popularity": judge.by_scores(partial(popularity, pushed)),
    }
    return ranks, evaluation


def popularity(pushed: ClusterMap, users: IntArray) -> Floats:
    """Return what is popular as scores: shape (n_users, n_items)."""
    return np.tile(pushed.popularity.astype(np.float64), (len(users), 1))


def main(arguments: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movielens", type=Path, required=True, help="folder of ml-100k.inter")
    parser.add_argument("--seeds", type=int, default=5, help="of the noise")
    parser.add_argument("--only", default="", help="one set")
    parser.add_argument("--epsilon", type=float, nargs="+", default=EPSILONS)
    told = parser.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    sets = behaviours(told.movielens)
    for name in SETS:
        if told.only in ("", name):
            judge = Judge(leave_last_out(sets[name]()))
            for epsilon in told.epsilon:
                for text in lines(judge, epsilon, told.seeds if math.isfinite(epsilon) else 1):
                    console.print(text)


if __name__ == "__main__":
    main()
