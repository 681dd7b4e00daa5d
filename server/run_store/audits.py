"""Keep what an audit found, beside the runs that it looked at.

Audit  ->  its document  +  one row for each ledger  +  budgets

A signed audit's document is the very text of ``audit.json``, with the officer's signature, so that
``fedinterest audit --check`` says of a copy whether it is genuine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from privacy.audit.auditing import Audit
from privacy.audit.document import Setting, for_page, pieces
from privacy.audit.ledger_audit import LedgerAudit, Span, canonical
from privacy.audit.sealing import sealed
from privacy.signing import SigningKey
from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.putting import Row, put
from server.run_store.schema import LIFETIME, AuditedLedger, Budget
from server.run_store.schema import Audit as AuditRow
from server.run_store.spending import Account, recompute

AUDIT = "audit"
"""Source of budgets that an audit has computed."""
LONGEST_DOCUMENT = 8_000_000
"""Characters; a signed report that is longer is signed and kept without every release."""


def record_audit(
    store: Store,
    audit: Audit,
    setting: Setting,
    *,
    paths: Sequence[Path],
    key: SigningKey | None = None,
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
    key : SigningKey, optional
        The officer's. With it the report is kept as it was signed, every release included, up to
        :data:`LONGEST_DOCUMENT`; without, releases are left out.

    Returns
    -------
    str
        The audit's id: the SHA-256 of the audit as it is kept, in canonical JSON. Of a signed one
        that is what the signature is over, and what its page and ``--check`` tell.

    Raises
    ------
    StoreAwayError
        If the store cannot be written; nothing of it was changed then.
    """
    document, number = _document(audit, setting, key)
    told: Row = {
        "id": number,
        "made": setting.time,
        "signed_by": key.public if key else "",
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
            [_ledger(number, place, one) for place, one in enumerate(audit.ledgers)],
        )
        # Of a ledger that does not hold, nothing is believed.
        sound = [one for one in audit.counting if one.usable and not one.faults]
        put(
            connection,
            Budget,
            [_budget(one, span, setting.time) for one in sound for span in one.spans],
            # A ledger only grows: one with fewer releases is an older copy of it.
            unless_before="releases",
        )
        recompute(connection, {_account(one) for one in sound}, datetime.now(UTC))
    return number


def _document(audit: Audit, setting: Setting, key: SigningKey | None) -> tuple[str, str]:
    """Return what is kept, and the SHA-256 of the audit in it."""
    short = canonical(for_page(audit, setting, most_releases=0))
    if key is None:
        return short, hashlib.sha256(short.encode()).hexdigest()
    digest = hashlib.sha256()
    text = _up_to(LONGEST_DOCUMENT, sealed(pieces(audit, setting), key, digest))
    if text is None:
        digest = hashlib.sha256()
        text = "".join(sealed([short], key, digest))
    return text, digest.hexdigest()


def _up_to(longest: int, parts: Iterable[str]) -> str | None:
    """Return a text, or None as soon as it becomes longer than that."""
    kept, length = [], 0
    for part in parts:
        kept.append(part)
        length += len(part)
        if length > longest:
            return None
    return "".join(kept)


def _account(one: LedgerAudit) -> Account:
    return name_of(one.region), name_of(one.public_key)


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
