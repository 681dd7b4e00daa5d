"""Regions, and one region: when it was seen, what it has spent and refused, which code it runs.

regions that answered, agents that are enrolled, budgets  ->  AllRegions  ->  RegionsPage
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from server.dashboard.views.privacy import LedgerVerdict, verdicts_of
from server.run_store import reading, reading_answers, reading_regions
from server.run_store.heartbeats import (
    NEVER_SEEN,
    NOT_REGISTERED,
    OFFLINE,
    ONLINE,
    REVOKED,
    UNKNOWN,
)
from server.run_store.opening import Store
from server.run_store.reading_answers import RunMark
from server.run_store.reading_budgets import budget_states, count_budgets
from server.run_store.region_records import BudgetState, HeartbeatRecord, RefusalLine, RegionRecord

MOST_REGIONS = 10_000
MOST_BUDGETS, MOST_REFUSALS, MOST_VERDICTS = 50, 25, 25
Code = Literal["same", "differs", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionLine:
    """One region of the list.

    Attributes
    ----------
    name : str
    region : RegionRecord, optional
        None: it is enrolled, and has not answered any run yet.
    agent : HeartbeatRecord, optional
        How its agent fares; None where no server looks after one.
    budget : BudgetState, optional
        Of the latest window of the ledger that it answered from last.
    code : str
        How the program that made its latest signed answer, by its own word, compares with that of
        the latest run: ``same``, ``differs`` or ``unknown``.
    """

    name: str
    region: RegionRecord | None
    agent: HeartbeatRecord | None
    budget: BudgetState | None
    code: Code

    @property
    def is_silent(self) -> bool:
        """Whether it could have answered, and never did."""
        return self.region is None and self.agent is not None and self.agent.state != REVOKED

    @property
    def share(self) -> float | None:
        """Return which share is spent at least of the limit that stops it first."""
        return self.budget.nearest_limit.share if self.budget else None


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
    n_agents, n_silent : int
        How many of them have an agent; and how many are enrolled, and have not answered any run
        yet. Who was revoked before is listed, and not counted as silent.
    latest_code : str, optional
        Program of the latest run; None where there is no run.
    regions : list of RegionLine
    """

    n_regions: int
    n_agents: int
    n_silent: int
    latest_code: str | None
    regions: list[RegionLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPage:
    """One region.

    Attributes
    ----------
    name : str
    region : RegionRecord, optional
    agent : HeartbeatRecord, optional
    code : str
        All three as in :class:`RegionLine`.
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

    name: str
    region: RegionRecord | None
    agent: HeartbeatRecord | None
    code: Code
    latest_code: str | None
    runs: dict[str, RunMark]
    n_budgets: int
    budgets: list[BudgetState]
    n_releases: int
    n_refusals: int
    refusals: list[RefusalLine]
    verdicts: list[LedgerVerdict]


_URGENCY = {
    state: number
    for number, state in enumerate(
        (NOT_REGISTERED, OFFLINE, NEVER_SEEN, UNKNOWN, REVOKED, ONLINE), start=1
    )
}
"""States of agents, those that somebody should see to first; before them a later version's."""
SORTS: dict[str, Callable[[RegionLine], Any]] = {
    "name": lambda line: line.name,
    "agent": lambda line: _URGENCY.get(line.agent.state, 0) if line.agent else None,
    "seen": lambda line: line.region.last_seen if line.region else None,
    "releases": lambda line: line.region.releases if line.region else None,
    "refusals": lambda line: line.region.refusals if line.region else None,
    "code": lambda line: line.code,
    "budget": lambda line: line.share,
}
"""What regions may be sorted by."""


def all_regions(store: Store) -> AllRegions:
    """Return every region by name: those that answered, and those that are enrolled."""
    latest = _latest_code(store)
    states = budget_states(store, latest=True, limit=MOST_REGIONS)
    budgets = {state.region: state for state in states}
    answered = {one.name: one for one in reading_regions.regions(store)}
    agents = {one.region: one for one in agents_now(store, None)}
    return AllRegions(
        latest_code=latest,
        regions=[
            RegionLine(
                name=name,
                region=answered.get(name),
                agent=agents.get(name),
                budget=budgets.get(name),
                code=compared(answered[name].code if name in answered else None, latest),
            )
            for name in sorted(answered.keys() | agents.keys())
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
        n_agents=sum(line.agent is not None for line in ordered),
        n_silent=sum(line.is_silent for line in ordered),
        latest_code=every.latest_code,
        regions=ordered[offset : offset + limit],
    )


def region_page(store: Store, name: str) -> RegionPage | None:
    """Return one region, or None."""
    found = reading_regions.region(store, name)
    agent = next(iter(agents_now(store, name)), None)
    if found is None and agent is None:
        return None
    latest = _latest_code(store)
    refusals = reading_answers.refusals(store, region=name, limit=MOST_REFUSALS)
    last_run = [found.last_run] if found else []
    return RegionPage(
        name=found.name if found else agent.region if agent else name,
        region=found,
        agent=agent,
        code=compared(found.code if found else None, latest),
        latest_code=latest,
        runs=reading_answers.run_marks(store, [*last_run, *(line.run_id for line in refusals)]),
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
