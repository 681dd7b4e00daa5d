"""What somebody should look at: found by plain rules, each with a threshold that is told.

runs, map, budgets, audits, agents  ->  alarms, the gravest first
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from server.run_store import reading, reading_answers, reading_regions
from server.run_store.heartbeats import NOT_REGISTERED, OFFLINE, UNKNOWN
from server.run_store.opening import Store
from server.run_store.records import MapRecord, RunRecord
from server.run_store.region_records import AuditLine
from server.run_store.states import COMPLETED, FAILED, INTERRUPTED

NEARLY_SPENT = 0.9
"""Share of a limit from which on a budget is nearly used up."""
GRAVE, NOTABLE = "grave", "notable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One thing to look at.

    Attributes
    ----------
    kind : str
        Key of its text, ``alarm.KIND``.
    gravity : str
        ``grave`` or ``notable``.
    path : str
        Where to look.
    words : dict of str to str
        What the text names.
    """

    kind: str
    gravity: str
    path: str
    words: dict[str, str] = field(default_factory=dict)


def alarms(
    store: Store,
    latest: Sequence[RunRecord],
    mapped: RunRecord | None,
    found: MapRecord | None,
    n_budgets: int,
    n_full: int,
) -> list[Alarm]:
    """Return what somebody should look at.

    Parameters
    ----------
    store : Store
    latest : sequence of RunRecord
        The latest runs, with the status as it is now.
    mapped, found : RunRecord, MapRecord, optional
        The latest map and its run.
    n_budgets, n_full : int
        Of each region's latest window: how many there are, and how many are nearly used up.
    """
    audits = reading_regions.audits(store, limit=1)
    raised = [
        *_of_audits(audits, reading_regions.audits_that_stand_failed(store)),
        *_of_runs(store, latest),
        *_of_budgets(n_budgets, n_full),
        *_of_map(mapped, found),
        *_of_agents(store),
    ]
    return sorted(raised, key=lambda alarm: alarm.gravity != GRAVE)


def _of_audits(latest: Sequence[AuditLine], standing: Sequence[str]) -> Iterator[Alarm]:
    """Look at the latest audit, and at ledgers that failed earlier: it may be one of others."""
    told = {audit.id for audit in latest}
    for audit in latest:
        if audit.verdict != reading_regions.PASSED:
            words = {"failed": str(audit.failed), "n": str(audit.ledgers)}
            yield Alarm(kind="audit", gravity=GRAVE, path="/privacy/audits", words=words)
    if earlier := [audit_id for audit_id in standing if audit_id not in told]:
        path = f"/privacy/audits/{_in_address(earlier[0])}"
        yield Alarm(kind="ledgers", gravity=GRAVE, path=path, words={"n": str(len(earlier))})


def _of_runs(store: Store, latest: Sequence[RunRecord]) -> Iterator[Alarm]:
    """Look at the latest run of each name: what has been done anew since then is mended."""
    seen: set[str] = set()
    for run in latest:
        if run.name in seen:
            continue
        seen.add(run.name)
        path = f"/runs/{_in_address(run.id)}"
        if run.status in (FAILED, INTERRUPTED):
            words = {"name": run.name, "why": run.failure_type or ""}
            yield Alarm(kind=f"run-{run.status}", gravity=GRAVE, path=path, words=words)
        elif run.status == COMPLETED and run is latest[0]:
            yield from _of_answers(store, run, path)


def _of_answers(store: Store, run: RunRecord, path: str) -> Iterator[Alarm]:
    lines = reading.rounds(store, run.id)
    missing = sum(line.late + line.malformed for line in lines)
    if missing:
        words = {"name": run.name, "n": str(missing)}
        yield Alarm(kind="dropouts", gravity=NOTABLE, path=path, words=words)
    if run.refusals:
        refusals = reading_answers.refusals(store, run_id=run.id, limit=1000)
        for reason, count in Counter(line.reason for line in refusals).most_common():
            words = {"name": run.name, "n": str(count), "reason": reason}
            yield Alarm(kind="refusals", gravity=NOTABLE, path=path, words=words)


def _of_budgets(n_budgets: int, n_full: int) -> Iterator[Alarm]:
    if n_full:
        words = {"n": str(n_full), "of": str(n_budgets), "share": f"{NEARLY_SPENT:.0%}"}
        yield Alarm(kind="budgets", gravity=NOTABLE, path="/privacy", words=words)


def _of_map(mapped: RunRecord | None, found: MapRecord | None) -> Iterator[Alarm]:
    if mapped and found and found.warning:
        words = {"name": mapped.name, "warning": found.warning}
        path = f"/clusters?run={_in_address(mapped.id)}"
        yield Alarm(kind="map", gravity=NOTABLE, path=path, words=words)


def _of_agents(store: Store) -> Iterator[Alarm]:
    """Look at agents that a run would miss; nothing where no server of agents records here."""
    now = datetime.now(UTC)
    states = Counter(beat.state_at(now) for beat in reading_regions.heartbeats(store))
    for state in (OFFLINE, NOT_REGISTERED, UNKNOWN):
        if states[state]:
            words = {"n": str(states[state]), "of": str(states.total()), "state": state}
            kind = f"agents-{state.replace(' ', '-')}"
            yield Alarm(kind=kind, gravity=NOTABLE, path="/regions", words=words)


def _in_address(text: str) -> str:
    return quote(text, safe="")
