"""What was spent, released and refused, and what audits say of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from server.run_store import reading_answers, reading_regions
from server.run_store.opening import Store
from server.run_store.reading_answers import RunMark
from server.run_store.reading_budgets import budget_states, count_budgets
from server.run_store.region_records import (
    AuditedLine,
    AuditLine,
    BudgetState,
    RefusalLine,
    ReleaseLine,
)

MOST_LISTED = 5_000
"""So many releases or refusals can be paged through; databases skip more only slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetsPage:
    """What ledgers have spent in their windows.

    Attributes
    ----------
    region : str, optional
        What was asked for.
    n_budgets : int
        How many windows of ledgers there are of what was asked for.
    budgets : list of BudgetState
    latest_audit : AuditLine, optional
    """

    region: str | None
    n_budgets: int
    budgets: list[BudgetState]
    latest_audit: AuditLine | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasesPage:
    """Received answers, the latest first; for auditors.

    Attributes
    ----------
    region, run : str, optional
        What was asked for.
    n_releases : int
        How many rows are kept of what was asked for.
    releases : list of ReleaseLine
    runs : dict of str to RunMark
        The runs that they belong to, by id.
    """

    region: str | None
    run: str | None
    n_releases: int
    releases: list[ReleaseLine]
    runs: dict[str, RunMark]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalsPage:
    """Requests that regions did not answer, the latest first.

    Attributes
    ----------
    region, run : str, optional
        What was asked for.
    n_refusals : int
        How many rows are kept of what was asked for.
    refusals : list of RefusalLine
    runs : dict of str to RunMark
        The runs that they belong to, by id.
    """

    region: str | None
    run: str | None
    n_refusals: int
    refusals: list[RefusalLine]
    runs: dict[str, RunMark]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditsPage:
    """Audits, the latest first."""

    n_audits: int
    audits: list[AuditLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerVerdict:
    """What an audit says of a ledger; its sentences are for auditors.

    Attributes
    ----------
    verdict : str
        ``PASS``, ``FAIL`` or ``UNUSABLE``.
    spent, limit, delta : float, optional
        Over the ledger's whole life.
    n_faults, n_incidents : int
        How many sentences there are of each.
    """

    audit_id: str
    made: datetime
    region: str
    public_key: str
    verdict: str
    releases: int
    spent: float | None
    limit: float | None
    delta: float | None
    n_faults: int
    n_incidents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """One audit.

    Attributes
    ----------
    audit : AuditLine
        Its id is the SHA-256 of the audit as it is kept.
    has_signature : bool
        Whether its document can be downloaded as it was signed.
    ledgers : list of LedgerVerdict
        A part of them; what does not hold comes first.
    """

    audit: AuditLine
    has_signature: bool
    ledgers: list[LedgerVerdict]


def budgets_page(
    store: Store, region: str | None, order: str, descending: bool, limit: int, offset: int
) -> BudgetsPage:
    """Return a part of the budgets."""
    latest = reading_regions.audits(store, limit=1)
    return BudgetsPage(
        region=region,
        n_budgets=count_budgets(store, region=region),
        budgets=budget_states(
            store, region=region, order=order, descending=descending, limit=limit, offset=offset
        ),
        latest_audit=latest[0] if latest else None,
    )


def releases_page(
    store: Store, region: str | None, run: str | None, limit: int, offset: int
) -> ReleasesPage:
    """Return a part of the received answers."""
    found = reading_answers.releases(store, region=region, run_id=run, limit=limit, offset=offset)
    return ReleasesPage(
        region=region,
        run=run,
        n_releases=reading_answers.count_releases(store, region=region, run_id=run),
        releases=found,
        runs=reading_answers.run_marks(store, [line.run_id for line in found]),
    )


def refusals_page(
    store: Store, region: str | None, run: str | None, limit: int, offset: int
) -> RefusalsPage:
    """Return a part of the refusals."""
    found = reading_answers.refusals(store, region=region, run_id=run, limit=limit, offset=offset)
    return RefusalsPage(
        region=region,
        run=run,
        n_refusals=reading_answers.count_refusals(store, region=region, run_id=run),
        refusals=found,
        runs=reading_answers.run_marks(store, [line.run_id for line in found]),
    )


def audits_page(store: Store, limit: int, offset: int) -> AuditsPage:
    """Return a part of the audits."""
    return AuditsPage(
        n_audits=reading_regions.count_audits(store),
        audits=reading_regions.audits(store, limit=limit, offset=offset),
    )


def audit_page(store: Store, audit_id: str, limit: int, offset: int) -> AuditPage | None:
    """Return one audit with a part of its ledgers, or None."""
    found = reading_regions.audits(store, audit_id=audit_id)
    if not found:
        return None
    return AuditPage(
        audit=found[0],
        has_signature=reading_regions.has_signature(store, audit_id),
        ledgers=verdicts_of(store, audit_id=audit_id, limit=limit, offset=offset),
    )


def findings(store: Store, audit_id: str, limit: int, offset: int) -> list[AuditedLine]:
    """Return a part of what an audit found, in its sentences; for auditors."""
    return reading_regions.audited(store, audit_id=audit_id, limit=limit, offset=offset)


def verdicts_of(
    store: Store,
    *,
    audit_id: str | None = None,
    region: str | None = None,
    limit: int,
    offset: int = 0,
) -> list[LedgerVerdict]:
    """Return what an audit, or all of them, say of ledgers, of one region or of all."""
    found = reading_regions.audited(
        store, audit_id=audit_id, region=region, limit=limit, offset=offset
    )
    return [
        LedgerVerdict(
            audit_id=line.audit_id,
            made=line.made,
            region=line.region,
            public_key=line.public_key,
            verdict=line.verdict,
            releases=line.releases,
            spent=line.spent,
            limit=line.limit,
            delta=line.delta,
            n_faults=len(line.faults),
            n_incidents=len(line.incidents),
        )
        for line in found
    ]
