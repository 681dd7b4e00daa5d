"""How much the sample's figures depend on the seeds: several noise and server seeds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

from server.report import Report
from simulations.run import simulate
from simulations.scenario import SAMPLE, read_scenario

SEEDS = range(1, 6)


def figures_of(report: Report) -> dict[str, float]:
    """Return the figures whose spread is of interest."""
    new, repeat = report.recommendation, report.repeat
    if new is None or repeat is None or report.clustering.normalized_cost is None:
        raise ValueError(f"Run {report.run.id} has not been judged.")
    popular = new.baselines["popularity"].hit_rate
    return {
        "cost over non-private": report.clustering.normalized_cost,
        "hit rate of new items over popularity's": new.hit_rate / popular,
        "the same in standard errors": (new.hit_rate - popular) / new.hit_rate_standard_error,
        "recall of usuals over popularity's": repeat.recall / repeat.baselines["popularity"].recall,
    }


def main() -> None:
    """Print mean, standard deviation and worst of each figure."""
    rows = []
    for seed in SEEDS:
        scenario = read_scenario(
            SAMPLE, [f"run.seed={seed}", f"simulation.noise-seed={100 + seed}"]
        )
        with tempfile.TemporaryDirectory() as folder:
            rows.append(figures_of(simulate(scenario, Path(folder))))
    console = Console(highlight=False)
    console.print(f"the sample over {len(rows)} seeds:")
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        console.print(
            f"  {name}: {values.mean():.3f} +- {values.std(ddof=1):.3f} "
            f"({values.min():.3f} to {values.max():.3f})"
        )


if __name__ == "__main__":
    main()
