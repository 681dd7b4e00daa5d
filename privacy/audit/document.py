"""The audit as a JSON document: everything that the page shows, and every release.

Audit  ->  canonical JSON, in pieces

``docs/audit.schema.json`` describes it. Releases of many ledgers can be larger
than is good for memory, so the text is made piece by piece.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from privacy.audit.auditing import Audit
from privacy.audit.claims import assumptions, claim, published
from privacy.audit.ledger_audit import LedgerAudit, Span, canonical
from privacy.audit.side_by_side import NEAR, by_attention, near_limit, typical_epsilon
from privacy.code_identity import code_hash

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """When and with what an audit was made.

    Attributes
    ----------
    time : datetime
    program, code : str
        Version and hash of the program that audits.
    pipeline : dict, optional
        What the attack on a whole run showed; information, never proof.
    """

    time: datetime
    program: str
    code: str
    pipeline: Mapping[str, Any] | None = None


def present_setting(pipeline: Mapping[str, Any] | None = None) -> Setting:
    """Return the setting of an audit that is made now, by this program."""
    try:
        program = version("fedinterest")
    except PackageNotFoundError:
        program = "unknown"
    return Setting(time=datetime.now(UTC), program=program, code=code_hash(), pipeline=pipeline)


def pieces(audit: Audit, setting: Setting) -> Iterator[str]:
    """Go through the document's text; put together, it is canonical JSON."""
    whole = summary(audit, setting)
    streamed = {"ledgers": audit.ledgers, "servers": audit.servers}
    opening = "{"
    for name in sorted([*whole, *streamed]):
        yield f"{opening}{canonical(name)}:"
        opening = ","
        if name in streamed:
            yield from _in_a_list(streamed[name])
        else:
            yield canonical(whole[name])
    yield "}"


def summary(audit: Audit, setting: Setting) -> dict[str, Any]:
    """Return the document without its ledgers."""
    evidence = audit.evidence
    return {
        "schema_version": SCHEMA_VERSION,
        "made": {
            "time": setting.time.isoformat(timespec="seconds"),
            "program": setting.program,
            "code": setting.code,
        },
        "verdict": audit.verdict.value,
        "simulated": audit.is_simulated,
        "claim": claim(audit),
        "summary": _figures(audit),
        "contradictions": audit.comparison.faults,
        "unchecked": audit.comparison.unchecked,
        "server_records": [
            {
                "file": str(kept.path),
                "run": kept.record.run,
                "regions": len(kept.record.heads),
                "rounds": [
                    asdict(count) | {"dropped_out": count.dropped_out}
                    for count in kept.record.rounds
                ],
            }
            for kept in (evidence.records if evidence else ())
        ],
        "evidence": [
            {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in (evidence.files if evidence else ())
        ],
        "published": [{"what": what, "why_free": why} for what, why in published(audit)],
        "assumptions": assumptions(audit),
        "examination": [_check(check) for check in audit.checks],
        "pipeline": setting.pipeline,
    }


def for_page(audit: Audit, setting: Setting, *, most_releases: int) -> dict[str, Any]:
    """Return the document for a page: ledgers that deserve most attention first.

    Parameters
    ----------
    audit : Audit
        With details.
    setting : Setting
    most_releases : int
        The first ledgers whose releases come to no more have their details.
    """
    ledgers, listed = [], 0
    for one in by_attention(audit.ledgers):
        listed += one.releases
        names = one.details if listed <= most_releases else {}
        told = {name: json.loads(one.detail(name)) for name in names}
        ledgers.append(_of_ledger(one) | told)
    servers = [_of_ledger(one) for one in audit.servers]
    return summary(audit, setting) | {"ledgers": ledgers, "servers": servers}


def _check(check: Any) -> dict[str, Any]:
    told = {part.name: getattr(check, part.name) for part in fields(check)}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in told.items()
    }


def _figures(audit: Audit) -> dict[str, Any]:
    """Return what an officer with hundreds of ledgers looks at first."""
    verdicts = Counter(one.verdict.value for one in audit.ledgers)
    worst = audit.worst
    return {
        "ledgers": len(audit.ledgers),
        "regions": len(audit.counting),
        "by_verdict": dict(verdicts),
        "releases": sum(one.releases for one in audit.counting),
        "refusals": dict(sum((Counter(one.refusals) for one in audit.counting), Counter())),
        "worst": None
        if worst is None or worst.lifetime is None
        else {"region": worst.region, "epsilon": worst.lifetime.cost.epsilon},
        "median_epsilon": typical_epsilon(audit.counting),
        "near_limit": [
            {"region": one.region, "span": span, "part": part}
            for one, span, part in near_limit(audit.counting)
        ],
        "near_means": NEAR,
        "disagreeing_with_server": sorted(set(audit.comparison.disagreeing)),
        "programs": dict(sum((Counter(one.codes) for one in audit.counting), Counter())),
    }


def _in_a_list(ledgers: Sequence[LedgerAudit]) -> Iterator[str]:
    opening = "["
    for one in ledgers:
        yield f"{opening}{_ledger(one)}"
        opening = ","
    yield "[]" if opening == "[" else "]"


def _ledger(one: LedgerAudit) -> str:
    """Write one ledger; its details are JSON already."""
    text = {name: canonical(value) for name, value in _of_ledger(one).items()}
    text |= {name: one.detail(name) for name in one.details}
    return "{" + ",".join(f"{canonical(name)}:{text[name]}" for name in sorted(text)) + "}"


def _of_ledger(one: LedgerAudit) -> dict[str, Any]:
    return {
        "path": one.path,
        "region": one.region,
        "public_key": one.public_key,
        "head": one.head,
        "records": one.sequence,
        "simulated": one.simulated,
        "verdict": one.verdict.value,
        "faults": one.faults,
        "incidents": one.incidents,
        "unchecked": one.unchecked,
        "promise": one.identity,
        "spans": [_span(span) for span in one.spans],
        "releases": one.releases,
        "refusals": one.refusals,
        "rests_on_server": one.rests_on_server,
        "noises": one.noises,
        "programs": one.codes,
        "encoders": one.encoders,
        "runs": one.runs,
        "acts": one.acts,
    }


def _span(span: Span) -> dict[str, Any]:
    cost = span.cost
    return {
        "name": span.name,
        "opened": span.opened,
        "by": span.by,
        "releases": span.combination.releases,
        "delta": span.combination.delta,
        "adjacency": span.combination.adjacency.value,
        "mu": cost.mu,
        "epsilon": cost.epsilon,
        "pld": cost.pld,
        "pld_by_release": cost.pld_by_release,
        "rdp": cost.rdp,
        "zcdp": cost.zcdp,
        "accountants_agree": cost.agrees,
        "limit": span.limit,
        "left": span.left,
    }
