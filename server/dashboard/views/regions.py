"""Regions, and one region: when it was seen, what it has spent and refused, which code it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from server.dashboard.views.privacy import LedgerVerdict, verdicts_of
from server.run_store import reading, reading_answers, reading_regions
from server.run_store.opening import Store
from server.run_store.reading_answers import RunMark
from server.run_store.reading_budgets import budget_states, count_budgets
from server.run_store.records import BudgetState, HeartbeatRecord, RefusalLine, RegionRecord

MOST_REGIONS = 10_000
MOST_BUDGETS, MOST_REFUSALS, MOST_VERDICTS = 50, 25, 25
Code = Literal["same", "differs", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionLine:
    """One region of the list.

    Attributes
    ----------
    region : RegionRecord
    budget : BudgetState, optional
        Of the latest window of the ledger that it answered from last.
    code : str
        How the program that its releases were made by, as an audit found it, compares with that of
        the latest run: ``same``, ``differs`` or ``unknown``.
    """

    region: RegionRecord
    budget: BudgetState | None
    code: Code

    @property
    def share(self) -> float | None:
        """Return which share of its window's limit is spent at least."""
        known = self.budget
        if known is None or known.spent is None or not known.limit:
            return None
        return known.spent / known.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class AllRegions:
    """Every region by name, and the program of the latest run."""

    latest_code: str | None
    regions: list[RegionLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionsPage:
    """A part of the list of regions.

    Attributes
    ----------
    n_regions : int
        How many there are.
    latest_code : str, optional
        Program of the latest run; None where there is no run.
    regions : list of RegionLine
    """

    n_regions: int
    latest_code: str | None
    regions: list[RegionLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPage:
    """One region.

    Attributes
    ----------
    region : RegionRecord
    code : str
        As in :class:`RegionLine`.
    latest_code : str, optional
    runs : dict of str to RunMark
        Its last run, and those that it refused, by id; without those that were taken out.
    n_budgets : int
        How many windows of how many ledgers it has.
    budgets : list of BudgetState
        The latest windows.
    n_releases, n_refusals : int
        Rows that are kept; old ones are taken out, what they cost stays counted.
    refusals : list of RefusalLine
        The latest.
    verdicts : list of LedgerVerdict
        Of the latest audits.
    """

    region: RegionRecord
    code: Code
    latest_code: str | None
    runs: dict[str, RunMark]
    n_budgets: int
    budgets: list[BudgetState]
    n_releases: int
    n_refusals: int
    refusals: list[RefusalLine]
    verdicts: list[LedgerVerdict]


SORTS: dict[str, Callable[[RegionLine], Any]] = {
    "name": lambda line: line.region.name,
    "seen": lambda line: line.region.last_seen,
    "releases": lambda line: line.region.releases,
    "refusals": lambda line: line.region.refusals,
    "code": lambda line: line.code,
    "budget": lambda line: line.share,
}
"""What regions may be sorted by."""


def all_regions(store: Store) -> AllRegions:
    """Return every region by name."""
    latest = _latest_code(store)
    states = budget_states(store, latest=True, limit=MOST_REGIONS)
    budgets = {state.region: state for state in states}
    return AllRegions(
        latest_code=latest,
        regions=[
            RegionLine(region=one, budget=budgets.get(one.name), code=compared(one.code, latest))
            for one in reading_regions.regions(store)
        ],
    )


def regions_page(
    every: AllRegions, sort: str, descending: bool, limit: int, offset: int
) -> RegionsPage:
    """Return a part of the regions; what is unknown comes last in either order."""
    key = SORTS[sort]
    known = [line for line in every.regions if key(line) is not None]
    unknown = [line for line in every.regions if key(line) is None]
    ordered = sorted(known, key=key, reverse=descending) + unknown
    return RegionsPage(
        n_regions=len(ordered),
        latest_code=every.latest_code,
        regions=ordered[offset : offset + limit],
    )


def region_page(store: Store, name: str) -> RegionPage | None:
    """Return one region, or None."""
    found = reading_regions.region(store, name)
    if found is None:
        return None
    latest = _latest_code(store)
    refusals = reading.refusals(store, region=name, limit=MOST_REFUSALS)
    runs = [found.last_run, *(line.run_id for line in refusals)]
    return RegionPage(
        region=found,
        code=compared(found.code, latest),
        latest_code=latest,
        runs=reading_answers.run_marks(store, runs),
        n_budgets=count_budgets(store, region=name),
        budgets=budget_states(store, region=name, order="window", limit=MOST_BUDGETS),
        n_releases=reading_answers.count_releases(store, region=name),
        n_refusals=reading_answers.count_refusals(store, region=name),
        refusals=refusals,
        verdicts=verdicts_of(store, region=name, limit=MOST_VERDICTS),
    )


def compared(code: str | None, latest: str | None) -> Code:
    """Return how a region's program compares with that of the latest run."""
    if not code or not latest:
        return "unknown"
    return "same" if code == latest else "differs"


def _latest_code(store: Store) -> str | None:
    found = reading.runs(store, limit=1)
    return found[0].code if found else None


def agents_now(store: Store, region: str | None) -> list[HeartbeatRecord]:
    """Return how agents fare, as the server last looked: of one region, or of all."""
    now, found = datetime.now(UTC), reading_regions.heartbeats(store, region)
    return [replace(one, state=one.state_at(now)) for one in found]
