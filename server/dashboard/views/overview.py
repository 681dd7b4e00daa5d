"""The first page: what is under way, the latest map, how much budget is left, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from server.dashboard.views.alarms import NEARLY_SPENT, Alarm, alarms
from server.dashboard.views.runs import as_it_is
from server.run_store import reading, reading_budgets
from server.run_store.counts import overview
from server.run_store.opening import Store
from server.run_store.records import FigureLine, MapRecord, Overview, RunRecord
from server.run_store.region_records import BudgetState
from server.run_store.states import RUNNING

MOST_BUDGETS = 8
MOST_RUNS = 5
MOST_UNDER_WAY = 50
KEY_FIGURES = ("clustering.k", "clustering.noisy_users", "clustering.silhouette")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewPage:
    """What an operator looks at first.

    Attributes
    ----------
    counts : Overview
        What is in the store.
    under_way : list of RunRecord
        Runs that give signs of life.
    latest : list of RunRecord
        The latest runs, of any status.
    alarms : list of Alarm
        What somebody should look at, the gravest first.
    mapped : RunRecord, optional
        The latest run with a map; the run that ``map`` and ``figures`` are from.
    map : MapRecord, optional
    figures : list of FigureLine
        Its key figures.
    budgets : list of BudgetState
        The fullest, of each region's latest window: at most :data:`MOST_BUDGETS`.
    n_budgets : int
        How many regions have spent something.
    """

    counts: Overview
    under_way: list[RunRecord]
    latest: list[RunRecord]
    alarms: list[Alarm]
    mapped: RunRecord | None
    map: MapRecord | None
    figures: list[FigureLine]
    budgets: list[BudgetState]
    n_budgets: int


def overview_page(store: Store) -> OverviewPage:
    """Return the first page."""
    latest = [as_it_is(run) for run in reading.runs(store, limit=50)]
    mapped = next(iter(reading.runs(store, with_map=True, limit=1)), None)
    found = reading.cluster_map(store, mapped.id) if mapped else None
    figures = reading.figures(store, mapped.id) if mapped else []
    budgets = reading_budgets.budget_states(store, latest=True, limit=MOST_BUDGETS)
    n_budgets, n_full = reading_budgets.count_latest(store, share=NEARLY_SPENT)
    return OverviewPage(
        counts=overview(store),
        under_way=reading.runs(store, status=RUNNING, limit=MOST_UNDER_WAY),
        latest=latest[:MOST_RUNS],
        alarms=alarms(store, latest, mapped, found, n_budgets, n_full),
        mapped=as_it_is(mapped) if mapped else None,
        map=found,
        figures=[line for line in figures if line.name in KEY_FIGURES],
        budgets=budgets,
        n_budgets=n_budgets,
    )
