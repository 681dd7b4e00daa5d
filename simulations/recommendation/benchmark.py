"""How much better recommendations are than popularity, with every noise paid for.

``python -m simulations.recommendation.benchmark --movielens FOLDER [--seeds 5] [--only NAME]``

sets x epsilon  ->  private runs  ->  hit rates, paired with popularity's  ->  the page's table
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
from rich.console import Console

from client.recommender import Recommender
from client.tuning import tuned, usual_fusion
from privacy.accountant import mu_of
from simulations.recommendation.baselines import (
    EASE_RIDGES,
    Score,
    ease,
    factorised,
    item_neighbours,
    noisy_popularity,
)
from simulations.recommendation.behaviour import Behaviour, complete_journey, movielens
from simulations.recommendation.judging import Judge, Judged, Rank
from simulations.recommendation.learning import delta_for, learn
from simulations.recommendation.populations import (
    factor_population,
    fit_factors,
    session_population,
)
from simulations.recommendation.splits import Split, global_time, leave_last_out
from strategies.cluster_map import ClusterMap
from strategies.phases.phase import Phase
from strategies.plan import plan, recommendation_alone

PAGE = Path("docs") / "recommendation.md"
BEGIN = "<!-- recommendation: made by python -m simulations.recommendation.benchmark -->"
END = "<!-- recommendation: end -->"
CACHE = Path("runs") / "cache"
K_OF_JOINT = 8

console = Console(highlight=False, width=200)

Plan = Callable[[float], Sequence[Phase]]


def joint(signal: float) -> list[Phase]:
    """Return the plan of a run that learns clusters, labels and taste."""
    return plan(taste=True, signal=signal)


def following_lately(signal: float) -> list[Phase]:
    """Return the plan of a run for clients that follow what is popular lately."""
    return recommendation_alone(signal, lately=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    behaviour : str
        Key of a set.
    split : callable
    epsilons : tuple of float
    plan : callable
    k : int
    must : tuple of float
        Gains over popularity that were asked for; nan where none was.
    """

    behaviour: str
    split: Callable[[Behaviour], Split] = leave_last_out
    epsilons: tuple[float, ...]
    plan: Plan = recommendation_alone
    k: int = 1
    must: tuple[float, ...]


NONE = math.nan
ROWS = (
    Row(
        behaviour="movielens",
        epsilons=(0.1, 1, 4, 8, math.inf),
        must=(0.0, 0.20, 0.35, 0.50, NONE),
    ),
    Row(behaviour="movielens", epsilons=(4,), must=(0.22,), plan=joint, k=K_OF_JOINT),
    Row(behaviour="movielens", epsilons=(1, 4, 8), must=(NONE,) * 3, split=global_time),
    Row(behaviour="factors-20k", epsilons=(0.1, 1, 4, math.inf), must=(0.0, 0.35, 0.48, NONE)),
    Row(behaviour="factors-20k", epsilons=(4,), must=(NONE,), plan=joint, k=K_OF_JOINT),
    Row(behaviour="factors-100k", epsilons=(1,), must=(0.60,)),
    Row(behaviour="sessions-20k", epsilons=(0.1, 4, math.inf), must=(0.0, 0.20, NONE)),
    Row(behaviour="sessions-20k", epsilons=(4,), must=(NONE,), plan=joint, k=16),
    Row(behaviour="sessions-20k", epsilons=(4,), must=(NONE,), split=global_time),
    Row(behaviour="journey", epsilons=(0.1, 1, 4, math.inf), must=(0.0, 0.0, 0.0, NONE)),
    Row(behaviour="journey", epsilons=(4,), must=(NONE,), split=global_time),
    Row(
        behaviour="quarters",
        epsilons=(0.1, 4, math.inf),
        must=(0.0, 0.0, NONE),
        plan=following_lately,
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


def lines(rows: Sequence[Row], folder: Path, seeds: int) -> Iterator[dict[str, object]]:
    """Go through the table's lines."""
    sets = behaviours(folder)
    get = cache(lambda name: sets[name]())

    @cache
    def judged(name: str, split: Callable[[Behaviour], Split]) -> tuple[Judge, tuple[str, Judged]]:
        judge = Judge(split(get(name)))
        return judge, _best_reference(judge)

    for row in rows:
        judge, best = judged(row.behaviour, row.split)
        for epsilon, must in zip(row.epsilons, row.must, strict=True):
            yield _line(row, judge, epsilon, must, best, 1 if epsilon == math.inf else seeds)


def _line(
    row: Row, judge: Judge, epsilon: float, must: float, best: tuple[str, Judged], seeds: int
) -> dict[str, object]:
    split, started = judge.split, time.monotonic()
    n = len(split.profiles)
    mu = mu_of(epsilon, delta_for(n)) if math.isfinite(epsilon) else 1e9
    popular = judge.judge([judge.by_scores(noisy_popularity(split, mu, s)) for s in range(seeds)])
    recent = judge.judge(
        [judge.by_scores(noisy_popularity(split, mu, s, latest=10)) for s in range(seeds)]
    )
    ours = judge.judge([_ours(row, split, epsilon, seed) for seed in range(1, seeds + 1)])
    gain, error = ours.gain(popular)
    to_recent, recent_error = ours.gain(recent)
    gap = best[1].hit_rate - popular.hit_rate
    return {
        "set": split.behaviour.name,
        "split": split.name,
        "released": "clusters, labels, taste" if row.k > 1 else "taste",
        "eps": f"{epsilon:g}",
        "popularity": f"{popular.hit_rate:.4f}",
        "recent popularity": f"{recent.hit_rate:.4f}",
        "ours": f"{ours.hit_rate:.4f} (sd {ours.spread:.4f})",
        "over popularity": f"{ours.hit_rate / popular.hit_rate - 1:+.1%}",
        "paired": f"{gain:+.4f} +- {error:.4f}",
        "asked": "-" if math.isnan(must) else f"{must:+.0%}" if must else "not worse",
        "over recent": f"{to_recent:+.4f} +- {recent_error:.4f}",
        "best reference": f"{best[0]} {best[1].hit_rate:.4f}",
        "of the gap": f"{gain / gap:.0%}" if gap > 0 else "-",
        "coverage": f"{ours.mean('coverage') / popular.mean('coverage'):.1f}x",
        "diversity": f"{ours.mean('diversity') / popular.mean('diversity') - 1:+.1%}",
        "NDCG": f"{ours.mean('ndcg'):.4f} ({popular.mean('ndcg'):.4f})",
        "seconds": f"{time.monotonic() - started:.0f}",
    }


def _ours(row: Row, split: Split, epsilon: float, seed: int) -> Rank:
    """Run once; return the ranking of a client that has tuned at home."""
    return tuned_ranking(split, learn(split, row.plan, epsilon, k=row.k, seed=seed))


def tuned_ranking(split: Split, pushed: ClusterMap) -> Rank:
    """Return the ranking by a map that was pushed back, tuned on the split's history."""
    vectors = split.behaviour.catalogue.vectors
    usual = usual_fusion(pushed, split.behaviour.lift)
    fusion = tuned(split.profiles, pushed, vectors, usual=usual)
    recommender = Recommender(split.profiles, vectors, pushed, pd.DataFrame(), fusion=fusion)
    return lambda users: recommender.best_new(users)[0]


def _best_reference(judge: Judge) -> tuple[str, Judged]:
    """Return the best ranking that knows everything about everybody, on what judges."""
    split = judge.split
    found: dict[str, Callable[[], Score]] = {
        f"EASE {ridge:g}": lambda ridge=ridge: ease(split, ridge)  # type: ignore[misc]
        for ridge in EASE_RIDGES
    }
    found["ItemKNN"] = lambda: item_neighbours(split)
    found["ALS"] = lambda: factorised(split, "als")
    found["BPR"] = lambda: factorised(split, "bpr")
    judged = {}
    for name, make in found.items():
        try:
            judged[name] = judge.judge([judge.by_scores(make())])
        except ImportError:
            console.print(f"{name} is left out: `implicit` is not installed")
        else:
            console.print(
                f"{split.behaviour.name}, {split.name}: {name} {judged[name].hit_rate:.4f}"
            )
    return max(judged.items(), key=lambda one: one[1].hit_rate)


def table(found: Sequence[dict[str, object]]) -> str:
    """Return a Markdown table."""
    names = list(found[0])
    rows = [names, *([str(line[name]) for name in names] for line in found)]
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, f"|{'---|' * len(names)}", *body])


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movielens", type=Path, required=True, help="folder of ml-100k.inter")
    parser.add_argument("--seeds", type=int, default=5, help="of the noise")
    parser.add_argument("--only", default="", help="one set; the page is not written")
    told = parser.parse_args(arguments)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    rows = [row for row in ROWS if told.only in ("", row.behaviour)]
    found = []
    for line in lines(rows, told.movielens, told.seeds):
        found.append(line)
        console.print(" | ".join(f"{name} {value}" for name, value in line.items()))
    if not told.only:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
