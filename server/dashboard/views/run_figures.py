"""What Prometheus is told of the runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from server.run_store import reading, reading_budgets
from server.run_store.counts import overview
from server.run_store.opening import Store
from server.run_store.records import FigureLine, RunRecord
from server.run_store.region_records import BudgetState
from server.run_store.states import RUNNING

MOST_REGIONS = 500
MOST_UNDER_WAY = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """Figures of all runs.

    Attributes
    ----------
    by_status : dict of str to int
        With the status as it is now.
    under_way : list of RunRecord
        Runs that give signs of life, the latest first; at most :data:`MOST_UNDER_WAY`.
    ended : datetime, optional
        When a run ended last.
    regions, releases, audits, audits_failed : int
    latest : RunRecord, optional
        The latest run that has figures.
    clustering : list of FigureLine
        All of its figures.
    budgets : list of BudgetState
        Of each region's latest window, the fullest first; at most :data:`MOST_REGIONS`.
    budgets_left_out : int
    """

    by_status: dict[str, int]
    under_way: list[RunRecord]
    ended: datetime | None
    regions: int
    releases: int
    audits: int
    audits_failed: int
    latest: RunRecord | None
    clustering: list[FigureLine]
    budgets: list[BudgetState]
    budgets_left_out: int


def run_figures(store: Store) -> RunFigures:
    """Return the figures of all runs."""
    counts = overview(store)
    running = reading.runs(store, status=RUNNING, limit=MOST_UNDER_WAY)
    latest = next(iter(reading.runs(store, with_figures=True, limit=1)), None)
    fullest = reading_budgets.budget_states(store, latest=True, limit=MOST_REGIONS)
    n_budgets, _ = reading_budgets.count_latest(store, share=1.0)
    return RunFigures(
        by_status=counts.by_status,
        under_way=running,
        ended=counts.ended,
        regions=counts.regions,
        releases=counts.releases,
        audits=counts.audits,
        audits_failed=counts.audits_failed,
        latest=latest,
        clustering=reading.figures(store, latest.id) if latest else [],
        budgets=fullest,
        budgets_left_out=n_budgets - len(fullest),
    )
