"""What a limit on uploads costs: taste in one large answer against several small ones.

``python -m simulations.recommendation.small_messages --movielens FOLDER [--only NAME]``

sets x epsilon x limit  ->  private runs  ->  hit rates, paired with those without a limit
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from simulations.recommendation.behaviour import Behaviour
from simulations.recommendation.judging import Judge, Judged
from simulations.recommendation.learning import learn_and_tell
from simulations.recommendation.measuring import tuned_ranking
from simulations.recommendation.rows import behaviours
from simulations.recommendation.splits import leave_last_out
from simulations.recommendation.tables import table
from strategies.plan import recommendation_alone
from strategies.taste_plan import LARGEST_UPLOAD_MB, UploadLimit

LIMITS = (LARGEST_UPLOAD_MB, 0.256, 0.064)
"""Megabytes; the first is what the others are compared with."""
SETS: dict[str, tuple[float, ...]] = {
    "movielens": (1, 4, 8),
    "factors-20k": (1, 4),
    "sessions-20k": (4,),
}

console = Console(highlight=False, width=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What the runs under one limit gave.

    Attributes
    ----------
    judged : Judged
    rounds : int
        Answers about taste of one run.
    largest : int
        Bytes of the largest of them, with all that goes along.
    """

    judged: Judged
    rounds: int
    largest: int


def learned(
    judge: Judge, epsilon: float, limit: UploadLimit, seeds: int, *, lately: bool
) -> Learned:
    """Run and judge once for each seed."""
    rankings, taken = [], []
    for seed in range(1, seeds + 1):
        plan = partial(recommendation_alone, limit=limit, lately=lately)
        pushed, strategy = learn_and_tell(judge.split, plan, epsilon, seed=seed)
        taken = [
            record.bytes_up for record in strategy.history if record.purpose.startswith("taste")
        ]
        rankings.append(tuned_ranking(judge.split, pushed))
    return Learned(judged=judge.judge(rankings), rounds=len(taken), largest=max(taken, default=0))


def lines(
    behaviour: Behaviour, epsilons: Sequence[float], seeds: int, *, lately: bool
) -> Iterator[dict[str, str]]:
    """Go through one set's lines of the table."""
    judge = Judge(leave_last_out(behaviour))
    n_items = len(behaviour.catalogue.item_ids)
    for epsilon in epsilons:
        whole: Learned | None = None
        for megabytes in LIMITS:
            limit = UploadLimit(largest_mb=megabytes, n_items=n_items)
            found = learned(judge, epsilon, limit, seeds, lately=lately)
            whole = whole or found
            gain, error = found.judged.gain(whole.judged)
            yield {
                "set": behaviour.name,
                "eps": f"{epsilon:g}",
                "limit, MB": f"{megabytes:g}",
                "answers about taste": str(found.rounds),
                "largest, kB": f"{found.largest / 1000:.0f}",
                "hit rate": f"{found.judged.hit_rate:.4f} (sd {found.judged.spread:.4f})",
                "over no limit, paired": "-" if found is whole else f"{gain:+.4f} +- {error:.4f}",
            }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movielens", type=Path, required=True, help="folder of ml-100k.inter")
    parser.add_argument("--seeds", type=int, default=5, help="of the noise")
    parser.add_argument("--only", default="", help="one set")
    parser.add_argument("--lately", action="store_true", help="learn what is popular lately, too")
    told = parser.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    sets = behaviours(told.movielens)
    found = []
    for name, epsilons in SETS.items():
        if told.only in ("", name):
            for line in lines(sets[name](), epsilons, told.seeds, lately=told.lately):
                found.append(line)
                console.print(" | ".join(line.values()))
    console.print(table(found))


if __name__ == "__main__":
    main()
