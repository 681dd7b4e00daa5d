"""What readers of a run store get of runs: frozen values, in times of UTC.

``None`` is what the server does not know, or what is not promised. ``region_records`` has what is
about regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from server.run_store.states import INTERRUPTED, RUNNING

SILENT_AFTER = timedelta(seconds=60)
"""A run gives a sign of life every ten seconds; after so long without one, its process is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run.

    Attributes
    ----------
    status : str
        As the run has left it; :meth:`status_at` is what it means later.
    epsilon : float, optional
        None where nothing is promised.
    updated : datetime
        Its latest sign of life.
    rounds_done, rounds : int
        Of those planned.
    releases, refusals : int
        Answers that were received, and requests that were refused, over all rounds.
    """

    id: str
    name: str
    version: str
    code: str
    trust_model: str
    epsilon: float | None
    delta: float
    declared_users: int | None
    n_clients: int
    noise: str | None
    simulated: bool
    started: datetime
    updated: datetime
    seconds: float
    status: str
    failure_type: str | None
    failure: str | None
    resumed: int
    statement: str | None
    rounds_done: int
    rounds: int
    releases: int
    refusals: int

    def status_at(self, now: datetime) -> str:
        """Return the status; ``interrupted`` where a running one has been silent for too long."""
        silent = self.status == RUNNING and now - self.updated > SILENT_AFTER
        return INTERRUPTED if silent else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """One run with its configuration and plan: what a page of its own shows."""

    run: RunRecord
    config: dict[str, Any]
    plan: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundLine:
    """One question of a run; sensitivity and noise are None before it is asked."""

    number: int
    purpose: str
    state: str
    share: float
    sensitivity: float | None
    sigma: float | None
    step: float | None
    asked: int
    answered: int
    refused: int
    malformed: int
    late: int
    bytes_up: int
    bytes_down: int
    seconds: float
    started: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLine:
    """One cluster of a map."""

    number: int
    label: str
    terms: list[str]
    items: list[str]
    noisy_size: float
    size_noise: float | None
    parent: int | None
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRecord:
    """A finished map; groups are as in ``report.json``."""

    run_id: str
    version: int
    k: int
    size_noise: float | None
    warning: str | None
    groups: list[Any]
    clusters: list[ClusterLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureLine:
    """One figure of a report."""

    name: str
    value: float | None
    noise: float | None
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePoint:
    """One figure of one of many runs, for a curve over time."""

    run_id: str
    run_name: str
    started: datetime
    trust_model: str
    simulated: bool
    value: float | None
    noise: float | None
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What is in the store, in numbers.

    Attributes
    ----------
    by_status : dict of str to int
        Runs by the status that they have now: who fell silent is interrupted.
    releases : int
        Answers that were ever received, those whose rows were taken out as well.
    audits, audits_failed : int
        All, and those with any other verdict than PASS.
    latest, ended : datetime, optional
        The last sign of life of any run, and of one that is not running now.
    """

    runs: int
    by_status: dict[str, int]
    regions: int
    releases: int
    audits: int
    audits_failed: int
    latest: datetime | None
    ended: datetime | None
