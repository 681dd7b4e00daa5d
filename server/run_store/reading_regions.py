"""What pages read of regions: who they are, how their agents fare, what they have spent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, func, select

from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.records import (
    AuditedLine,
    AuditLine,
    BudgetLine,
    HeartbeatRecord,
    RegionRecord,
)
from server.run_store.schema import (
    LIFETIME,
    Audit,
    AuditedLedger,
    Budget,
    Heartbeat,
    Refusal,
    Region,
    Spending,
)
from server.run_store.spending import RELEASES

_BEST_FIRST = ("audit", "receipt")
"""Whose word on a ledger counts before whose: an audit looks at it from outside."""
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


def budgets(store: Store, *, region: str | None = None) -> list[BudgetLine]:
    """Return what each ledger has spent in each window: by region, the latest window first.

    Of a region with several keys, each key is a ledger of its own: simulations begin one for
    each run, and the people behind a real one that was begun anew are the same.
    """
    query = select(Budget.__table__)
    if region is not None:
        query = query.where(Budget.region == name_of(region))
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    by_place = {
        (row["region"], row["public_key"], row["window"], row["source"]): row for row in rows
    }
    spans = {place[:3] for place in by_place if place[2] != LIFETIME}
    lines = [_budget(by_place, *span) for span in spans]
    lines.sort(key=lambda line: line.public_key)
    lines.sort(key=lambda line: line.window, reverse=True)
    return sorted(lines, key=lambda line: line.region)


def _budget(rows: Any, region: str, key: str, window: str) -> BudgetLine:
    counted = rows.get((region, key, window, RELEASES))
    counted_ever = rows.get((region, key, LIFETIME, RELEASES))
    by, told = _first((source, rows.get((region, key, window, source))) for source in _BEST_FIRST)
    told_ever = rows.get((region, key, LIFETIME, by)) if by else None
    known = counted or told
    return BudgetLine(
        region=region,
        public_key=key,
        window=window,
        spent=counted["spent"] if counted else None,
        releases=counted["releases"] if counted else 0,
        lifetime_spent=counted_ever["spent"] if counted_ever else None,
        delta=known["delta"],
        limit=told["limit"] if told else None,
        lifetime_limit=told_ever["limit"] if told_ever else None,
        told_spent=told["spent"] if told else None,
        told_lifetime=told_ever["spent"] if told_ever else None,
        told_by=by,
        computed=known["computed"],
    )


def _first(found: Iterable[tuple[str, Any]]) -> tuple[str | None, Any]:
    return next(((source, row) for source, row in found if row), (None, None))


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
                count for one, verdict, count in counts if one == row["id"] and verdict != "PASS"
            ),
        )
        for row in rows
    ]


def count_audits(store: Store) -> int:
    """Return how many audits there are."""
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(Audit)).scalar_one())


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
        AuditedLedger.verdict == "PASS",
        AuditedLedger.number,
    )
    with store.read() as connection:
        rows = connection.execute(query.limit(limit).offset(offset)).mappings()
        return [AuditedLine(**row) for row in rows]
