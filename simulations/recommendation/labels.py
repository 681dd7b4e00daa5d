"""A run's clusters for somebody to read and accept: label, noisy size, words, typical items.

``python -m simulations.recommendation.labels runs/demo``

report.json  ->  a table, and what is wrong with any label
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from server.report import Report
from server.results import OutputError, read_report

SHOWN = 5
"""Words, and items, of a cluster."""

_NUMBER = re.compile(r"(cluster\s*)?[\d.,\s]*", re.IGNORECASE)

console = Console(highlight=False, width=160)


def faults(labels: Sequence[str]) -> list[str]:
    """Return what is wrong with labels: empty, a mere number, or of two clusters."""
    found = [
        f"cluster {number} is only numbered: {label!r}"
        for number, label in enumerate(labels)
        if _NUMBER.fullmatch(label.strip())
    ]
    times = Counter(label.strip().lower() for label in labels if label.strip())
    return found + [
        f"{label!r} labels {count} clusters" for label, count in times.items() if count > 1
    ]


def show(report: Report) -> None:
    """Print the clusters, the largest first."""
    clustering = report.clustering
    table = Table(title=f"Clusters of run {report.run.name}", title_justify="left")
    for column in ("label", "users (noisy)", "in words", "typical items"):
        table.add_column(column, overflow="fold")
    for cluster in sorted(clustering.clusters, key=lambda one: -one.noisy_size):
        table.add_row(
            escape(cluster.label),
            f"{cluster.noisy_size:.0f} ± {clustering.size_noise:.0f}",
            escape(", ".join(cluster.terms[:SHOWN])),
            escape("; ".join(cluster.items[:SHOWN])),
        )
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show a run's clusters; return 1 if a label cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="folder with report.json, such as runs/demo")
    told = parser.parse_args(arguments)
    try:
        report = read_report(told.run)
    except OutputError as error:
        parser.error(f"{error} Nothing was shown. `make demo` makes runs/demo.")
    show(report)
    found = faults([cluster.label for cluster in report.clustering.clusters])
    for fault in found:
        console.print(fault, markup=False)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
