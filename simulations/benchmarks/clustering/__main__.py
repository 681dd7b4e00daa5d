"""Compare, and write ``docs/benchmarks.md``: ``python -m simulations.benchmarks.clustering``.

``--quick`` runs the settings of the headline table only; ``--render`` draws the
page anew from the figures that are there.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from simulations.benchmarks.clustering.comparison import (
    OURS,
    Figure,
    Setting,
    load,
    run_setting,
    save,
)
from simulations.benchmarks.clustering.page import EPSILONS, write_page
from simulations.benchmarks.clustering.peers import PEERS

console = Console(highlight=False)

FIGURES = Path("docs") / "benchmarks" / "clustering.json"
SILOS = (4, 16, 64)


def headline() -> Iterator[tuple[Setting, tuple[str, ...]]]:
    """Return the settings that the project promises something about, with their methods."""
    everybody = (OURS, *PEERS)
    yield Setting(population="embeddings", n=20_000, epsilon=1.0), everybody
    yield Setting(population="embeddings, nothing public", n=20_000, epsilon=1.0), everybody
    yield Setting(population="embeddings", n=20_000, epsilon=0.5), everybody
    yield Setting(population="embeddings", n=2_000, epsilon=1.0), everybody
    yield Setting(population="embeddings", n=100_000, epsilon=1.0), everybody
    yield Setting(population="mixture", n=20_000, epsilon=1.0), everybody
    yield Setting(population="embeddings", n=20_000, epsilon=1.0, silos=16), (OURS,)
    yield Setting(population="embeddings, shifted public", n=20_000, epsilon=1.0), everybody
    exact = Setting(population="embeddings", n=20_000, epsilon=1.0, silos=16, noise="discrete")
    yield exact, (OURS,)
    for silos in SILOS:
        for concentration in (0.0, 1.0, 0.1):
            if (silos, concentration) != (16, 0.0):
                yield (
                    Setting(
                        population="embeddings",
                        n=20_000,
                        epsilon=1.0,
                        silos=silos,
                        concentration=concentration,
                    ),
                    (OURS,),
                )


def grid() -> Iterator[tuple[Setting, tuple[str, ...]]]:
    """Return all populations, sizes and epsilons."""
    everybody = (OURS, *PEERS)
    for population in ("embeddings", "mixture"):
        for n in (2_000, 20_000, 100_000):
            for epsilon in EPSILONS:
                yield Setting(population=population, n=n, epsilon=epsilon), everybody
    for population in ("embeddings, 20 interests", "S1-like", "G2-like"):
        for epsilon in EPSILONS:
            yield Setting(population=population, n=20_000, epsilon=epsilon), everybody


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="the headline settings only")
    parser.add_argument("--render", action="store_true", help="run nothing")
    parser.add_argument("--anew", action="store_true", help="forget the figures that are there")
    chosen = parser.parse_args()
    logging.getLogger("flwr").setLevel(logging.ERROR)
    figures = load(FIGURES) if FIGURES.exists() and not chosen.anew else []
    there = {(figure.setting, figure.method) for figure in figures}
    planned = [] if chosen.render else [*headline(), *(() if chosen.quick else grid())]
    for setting, methods in planned:
        missing = [method for method in methods if (setting, method) not in there]
        new = list(run_setting(setting, missing)) if missing else []
        there |= {(setting, method) for method in methods}
        figures += new
        save(figures, FIGURES)
        if new:
            ran = dict.fromkeys(figure.method for figure in new)
            console.print(setting, {method: _mean(new, method) for method in ran})
    write_page(figures)


def _mean(figures: list[Figure], method: str) -> float:
    costs = [figure.cost for figure in figures if figure.method == method]
    return round(sum(costs) / len(costs), 4)


if __name__ == "__main__":
    main()
