"""Runs, and one run: how far it is, who took part, what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from server.run_store import reading, reading_answers
from server.run_store.opening import Store
from server.run_store.records import FigureLine, RoundLine, RunRecord
from server.run_store.region_records import RefusalLine

MOST_REFUSALS = 200
STATUSES = ("running", "completed", "failed", "interrupted")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """A part of the list of runs, the latest first.

    Attributes
    ----------
    name, status : str, optional
        What was asked for.
    names : list of str
        All names that runs have.
    n_runs : int
        How many there are of what was asked for.
    runs : list of RunRecord
        With the status as it is now.
    """

    name: str | None
    status: str | None
    names: list[str]
    n_runs: int
    runs: list[RunRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One run.

    Attributes
    ----------
    run : RunRecord
        With the status as it is now.
    rounds : list of RoundLine
        In their order, those to come too; ``sigma`` is that of the noise in one answer.
    asked, answered, late, malformed : int
        Messages over all rounds.
    bytes_up, bytes_down : int
        Over all rounds and regions.
    refusals : list of RefusalLine
        The latest :data:`MOST_REFUSALS`.
    figures : list of FigureLine
        Of its report; empty before there is one.
    has_map, has_report : bool
    config : dict
    plan : list
        The phases with their shares of the budget and their noise multipliers.
    """

    run: RunRecord
    rounds: list[RoundLine]
    asked: int
    answered: int
    late: int
    malformed: int
    bytes_up: int
    bytes_down: int
    refusals: list[RefusalLine]
    figures: list[FigureLine]
    has_map: bool
    has_report: bool
    config: dict[str, Any]
    plan: list[Any]


def runs_page(
    store: Store, name: str | None, status: str | None, limit: int, offset: int
) -> RunsPage:
    """Return a part of the list of runs."""
    found = reading.runs(store, name=name, status=status, limit=limit, offset=offset)
    return RunsPage(
        name=name,
        status=status,
        names=reading.run_names(store),
        n_runs=reading.count_runs(store, name=name, status=status),
        runs=[as_it_is(run) for run in found],
    )


def run_page(store: Store, run_id: str) -> RunPage | None:
    """Return one run, or None."""
    found = reading.run(store, run_id)
    if found is None:
        return None
    rounds = reading.rounds(store, run_id)
    return RunPage(
        run=as_it_is(found.run),
        rounds=rounds,
        asked=sum(line.asked for line in rounds),
        answered=sum(line.answered for line in rounds),
        late=sum(line.late for line in rounds),
        malformed=sum(line.malformed for line in rounds),
        bytes_up=sum(line.bytes_up for line in rounds),
        bytes_down=sum(line.bytes_down for line in rounds),
        refusals=reading_answers.refusals(store, run_id=run_id, limit=MOST_REFUSALS),
        figures=reading.figures(store, run_id),
        has_map=reading.has_map(store, run_id),
        has_report=reading.has_report(store, run_id),
        config=found.config,
        plan=found.plan,
    )


def as_it_is(run: RunRecord) -> RunRecord:
    """Return a run with the status that it has now: one that fell silent is interrupted."""
    return replace(run, status=run.status_at(datetime.now(UTC)))
