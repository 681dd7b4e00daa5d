"""Clusters of texts, of taste, and of both: how well each kind recommends, and what it is called.

``python -m simulations.recommendation.spaces --movielens FOLDER [--seeds 5] [--only NAME]``

sets x epsilon x space  ->  private runs  ->  hit rates of clusters alone and of the whole map
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from client.recommender import Recommender
from simulations.recommendation.behaviour import Behaviour
from simulations.recommendation.judging import Judge, Rank
from simulations.recommendation.learning import learn
from simulations.recommendation.measuring import tuned_ranking
from simulations.recommendation.rows import behaviours
from simulations.recommendation.splits import Split, leave_last_out
from strategies.cluster_map import ClusterMap
from strategies.item_space import SHARES, Space, located
from strategies.phases.phase import Phase
from strategies.plan import plan

RUNS = (
    ("movielens", 4.0, 8),
    ("movielens", 8.0, 8),
    ("factors-20k", 4.0, 8),
    ("sessions-20k", 4.0, 16),
)
"""Sets, epsilons and numbers of clusters."""

console = Console(highlight=False, width=200)


def without_last(behaviour: Behaviour) -> Behaviour:
    """Drop everybody's last event: what constants are chosen on, and no figure uses."""
    kept = np.append(behaviour.users[1:] == behaviour.users[:-1], False)
    return replace(
        behaviour,
        users=behaviour.users[kept],
        items=behaviour.items[kept],
        days=behaviour.days[kept],
    )


def by_clusters_alone(split: Split, pushed: ClusterMap) -> Rank:
    """Return the ranking by a map whose taste was taken out, users' clusters being the same."""
    profiles = split.profiles
    placed = located(pushed.space, profiles.vectors, profiles.last_days)
    nothing = np.zeros(0, np.float32)
    bare = replace(
        pushed,
        taste_share=0.0,
        taste_weights=nothing,
        taste_directions=nothing.reshape(0, 0),
        taste_strengths=nothing,
    )
    vectors = split.behaviour.catalogue.vectors
    recommender = Recommender(replace(profiles, vectors=placed), vectors, bare, pd.DataFrame())
    return lambda users: recommender.best_new(users)[0]


def compare(
    judge: Judge, name: str, epsilon: float, k: int, space: Space, seeds: int, *, lately: bool
) -> None:
    """Run with some noises; print hit rates at 10, and the labels of the first run."""

    def phases(signal: float) -> list[Phase]:
        return plan(taste=True, lately=lately, signal=signal, space=space)

    split = judge.split
    maps = [learn(split, phases, epsilon, k=k, seed=seed) for seed in range(1, seeds + 1)]
    alone = judge.judge([by_clusters_alone(split, pushed) for pushed in maps])
    whole = judge.judge([tuned_ranking(split, pushed) for pushed in maps])
    names = {0.0: Space.TEXT} | {share: name for name, share in SHARES.items()}
    taken = Counter(names[pushed.taste_share].value for pushed in maps)
    console.print(
        f"{name}, epsilon {epsilon:g}, K={k}, {seeds} noises | {space} | "
        f"clusters alone {alone.hit_rate:.4f} (sd {alone.spread:.4f}, se "
        f"{alone.hit_rate_error:.4f}) | whole map {whole.hit_rate:.4f} (sd {whole.spread:.4f}, "
        f"se {whole.hit_rate_error:.4f}) | taken {dict(taken)}"
    )
    for label, size in zip(maps[0].labels, maps[0].noisy_sizes, strict=True):
        console.print(f"    {label} ({size:.0f})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare the spaces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movielens", type=Path, required=True, help="folder of ml-100k.inter")
    parser.add_argument("--seeds", type=int, default=5, help="of the noise")
    parser.add_argument("--only", default="", help="one set")
    parser.add_argument("--spaces", default=",".join(Space), help="which spaces")
    parser.add_argument("--choosing", action="store_true", help="without everybody's last event")
    parser.add_argument("--lately", action="store_true", help="ask what is popular lately, too")
    told = parser.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    sets = behaviours(told.movielens)
    for name in dict.fromkeys(name for name, _, _ in RUNS if told.only in ("", name)):
        behaviour = sets[name]()
        judge = Judge(leave_last_out(without_last(behaviour) if told.choosing else behaviour))
        for epsilon, k in ((epsilon, k) for other, epsilon, k in RUNS if other == name):
            for space in told.spaces.split(","):
                compare(judge, name, epsilon, k, Space(space), told.seeds, lately=told.lately)


if __name__ == "__main__":
    main()
