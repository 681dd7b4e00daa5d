"""Keep what an audit found, beside the runs that it looked at.

Audit  ->  its document (without every release)  +  one row for each ledger  +  budgets
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, update

from privacy.audit.auditing import Audit
from privacy.audit.document import Setting, for_page
from privacy.audit.ledger_audit import LedgerAudit, Span, canonical
from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.putting import Row, put
from server.run_store.schema import LIFETIME, AuditedLedger, Budget, Region
from server.run_store.schema import Audit as AuditRow

AUDIT = "audit"
"""Source of budgets that an audit has computed."""


def record_audit(
    store: Store, audit: Audit, setting: Setting, *, paths: Sequence[Path], signed_by: str = ""
) -> str:
    """Add an audit to a store; the same one again changes nothing.

    Parameters
    ----------
    store : Store
    audit : Audit
    setting : Setting
        When and with what it was made.
    paths : sequence of Path
        What was audited.
    signed_by : str
        Public key of the officer who signed it, if one did.

    Returns
    -------
    str
        The audit's id: the SHA-256 of its document.

    Raises
    ------
    StoreAwayError
        If the store cannot be written; nothing of it was changed then.
    """
    document = canonical(for_page(audit, setting, most_releases=0))
    key = hashlib.sha256(document.encode()).hexdigest()
    told: Row = {
        "id": key,
        "made": setting.time,
        "signed_by": signed_by,
        "paths": [str(path) for path in paths],
        "verdict": audit.verdict.value,
        "simulated": audit.is_simulated,
        "document": document,
    }
    with store.write() as connection:
        put(connection, AuditRow, [told])
        put(
            connection,
            AuditedLedger,
            [_ledger(key, number, one) for number, one in enumerate(audit.ledgers)],
        )
        # Of a ledger that does not hold, nothing is believed.
        sound = [one for one in audit.counting if one.usable and not one.faults]
        put(
            connection,
            Budget,
            [_budget(one, span, setting.time) for one in sound for span in one.spans],
            unless_before="computed",
        )
        _note_programs(connection, sound)
    return key


def _ledger(audit: str, number: int, one: LedgerAudit) -> Row:
    lifetime = one.lifetime
    return {
        "audit_id": audit,
        "number": number,
        "region": name_of(one.region),
        "public_key": name_of(one.public_key),
        "verdict": one.verdict.value,
        "releases": one.releases,
        "spent": lifetime.cost.epsilon if lifetime else None,
        "limit": lifetime.limit if lifetime else None,
        "delta": lifetime.combination.delta if lifetime else None,
        "faults": one.faults,
        "incidents": one.incidents,
    }


def _budget(one: LedgerAudit, span: Span, now: datetime) -> Row:
    return {
        "region": name_of(one.region),
        "public_key": name_of(one.public_key),
        "window": LIFETIME if span is one.lifetime else name_of(span.name),
        "source": AUDIT,
        "spent": span.cost.epsilon,
        "limit": span.limit,
        "delta": span.combination.delta,
        "releases": span.combination.releases,
        "computed": now.astimezone(UTC),
    }


def _note_programs(connection: Connection, audits: Sequence[LedgerAudit]) -> None:
    """Note which program a region's releases were made by, where it was only one."""
    for one in audits:
        if len(one.codes) == 1:
            (code,) = one.codes
            connection.execute(
                update(Region)
                .where(Region.name == name_of(one.region), Region.public_key == one.public_key)
                .values(code=code)
            )
