"""What pages read of regions: who they are, how their agents fare, what audits found of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.region_records import AuditedLine, AuditLine, HeartbeatRecord, RegionRecord
from server.run_store.schema import (
    Audit,
    AuditedLedger,
    Heartbeat,
    Refusal,
    Region,
    Spending,
)

PASSED = "PASS"
"""Verdict of an audit that found nothing wrong."""
SIGNED = '{"audit":'
"""How a document begins that is kept with its signature; an audit by itself begins otherwise."""


def regions(store: Store) -> list[RegionRecord]:
    """Return all regions that have answered or refused with a signature, by name."""
    return _regions(store, select(Region))


def region(store: Store, name: str) -> RegionRecord | None:
    """Return one region, or None."""
    found = _regions(store, select(Region).where(Region.name == name_of(name)))
    return found[0] if found else None


def _regions(store: Store, chosen: Select[Any]) -> list[RegionRecord]:
    names = chosen.with_only_columns(Region.name)
    spent = _counted(Spending.region, func.sum(Spending.releases), names)
    refused = _counted(Refusal.region, func.count(), names)
    columns = [n for n in RegionRecord.__dataclass_fields__ if n not in ("releases", "refusals")]
    query = chosen.with_only_columns(*(getattr(Region, column) for column in columns))
    with store.read() as connection:
        rows = connection.execute(query.order_by(Region.name)).mappings().all()
        releases = {name: count for name, count in connection.execute(spent)}  # noqa: C416
        refusals = {name: count for name, count in connection.execute(refused)}  # noqa: C416
    return [
        RegionRecord(
            **row,
            releases=int(releases.get(row["name"], 0)),
            refusals=refusals.get(row["name"], 0),
        )
        for row in rows
    ]


def _counted(column: Any, count: Any, names: Select[Any]) -> Select[Any]:
    return select(column, count).where(column.in_(names)).group_by(column)


def heartbeats(store: Store, region: str | None = None) -> list[HeartbeatRecord]:
    """Return how regions' agents fared when the server last looked, by region; of one, or of all.

    Nothing where no deployed server records here: simulated regions have no agents.
    """
    names = HeartbeatRecord.__dataclass_fields__
    query = select(*(getattr(Heartbeat, name) for name in names)).order_by(Heartbeat.region)
    if region is not None:
        query = query.where(Heartbeat.region == name_of(region))
    with store.read() as connection:
        return [HeartbeatRecord(**row) for row in connection.execute(query).mappings()]


def audits(
    store: Store, *, audit_id: str | None = None, limit: int = 50, offset: int = 0
) -> list[AuditLine]:
    """Return audits, the latest first; or only the one with that id."""
    names = [n for n in AuditLine.__dataclass_fields__ if n not in ("ledgers", "failed")]
    query = (
        select(*(getattr(Audit, name) for name in names))
        .order_by(Audit.made.desc(), Audit.id)
        .limit(limit)
        .offset(offset)
    )
    if audit_id is not None:
        query = query.where(Audit.id == audit_id)
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
        counted = (
            select(AuditedLedger.audit_id, AuditedLedger.verdict, func.count())
            .where(AuditedLedger.audit_id.in_([row["id"] for row in rows]))
            .group_by(AuditedLedger.audit_id, AuditedLedger.verdict)
        )
        counts = connection.execute(counted).all()
    return [
        AuditLine(
            **row,
            ledgers=sum(count for one, _, count in counts if one == row["id"]),
            failed=sum(
                count for one, verdict, count in counts if one == row["id"] and verdict != PASSED
            ),
        )
        for row in rows
    ]


def count_audits(store: Store) -> int:
    """Return how many audits there are."""
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(Audit)).scalar_one())


def audits_that_stand_failed(store: Store) -> list[str]:
    """Return the audits of ledgers that did not hold when they were audited last, latest first.

    One id for each such ledger. An audit of other ledgers says nothing of these; what could not be
    read has no region, and is left out.
    """
    ledger = (AuditedLedger.region, AuditedLedger.public_key)
    # Of a ledger that one audit found twice, the worse counts.
    latest_first = (Audit.made.desc(), Audit.id, AuditedLedger.verdict == PASSED)
    ranked = (
        select(
            AuditedLedger.audit_id,
            AuditedLedger.verdict,
            Audit.made,
            func.row_number().over(partition_by=ledger, order_by=latest_first).label("place"),
        )
        .join(Audit, Audit.id == AuditedLedger.audit_id)
        .where(AuditedLedger.region != "")
        .subquery()
    )
    failed = select(ranked.c.audit_id).where(ranked.c.place == 1, ranked.c.verdict != PASSED)
    with store.read() as connection:
        return list(connection.execute(failed.order_by(ranked.c.made.desc())).scalars())


def has_signature(store: Store, audit_id: str) -> bool:
    """Tell whether an audit's document is kept with its signature."""
    with store.read() as connection:
        start = select(func.substr(Audit.document, 1, len(SIGNED))).where(Audit.id == audit_id)
        return connection.execute(start).scalar() == SIGNED


def audit_document(store: Store, audit_id: str) -> str | None:
    """Return an audit's document (JSON), or None."""
    with store.read() as connection:
        return connection.execute(select(Audit.document).where(Audit.id == audit_id)).scalar()


def audited(
    store: Store,
    *,
    audit_id: str | None = None,
    region: str | None = None,
    limit: int = 500,
    offset: int = 0,
) -> list[AuditedLine]:
    """Return what audits found of ledgers, the latest audit first; of one audit, or one region.

    Within an audit, what does not hold comes first.
    """
    names = [name for name in AuditedLine.__dataclass_fields__ if name != "made"]
    query = select(*(getattr(AuditedLedger, name) for name in names), Audit.made).join(
        Audit, Audit.id == AuditedLedger.audit_id
    )
    if audit_id is not None:
        query = query.where(AuditedLedger.audit_id == audit_id)
    if region is not None:
        query = query.where(AuditedLedger.region == name_of(region))
    query = query.order_by(
        Audit.made.desc(),
        AuditedLedger.audit_id,
        AuditedLedger.verdict == PASSED,
        AuditedLedger.number,
    )
    with store.read() as connection:
        rows = connection.execute(query.limit(limit).offset(offset)).mappings()
        return [AuditedLine(**row) for row in rows]
