"""Ledgers compared with each other, and with what their servers kept.

audits of single ledgers  +  what servers kept  ->  what does not fit together
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from privacy.accountant import epsilon_of
from privacy.audit.evidence import Evidence
from privacy.audit.ledger_audit import LedgerAudit
from privacy.errors import LedgerError
from privacy.ledger_file import LedgerFile

ROUNDING = 1e-6
"""By so much a report's epsilon may be rounded."""
NEAR = 0.9
"""A span is near its limit from this part of it on."""


@dataclass(slots=True)
class Comparison:
    """What ledgers say together.

    Attributes
    ----------
    faults, unchecked : list of str
        Of no ledger alone.
    disagreeing : list of str
        Regions whose ledger and whose server tell different things.
    """

    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)


def compare(
    audits: Sequence[LedgerAudit], servers: Sequence[LedgerAudit], evidence: Evidence
) -> Comparison:
    """Compare all ledgers with each other and with what servers kept.

    Parameters
    ----------
    audits, servers : sequence of LedgerAudit
        Of clients' ledgers, and of servers' own.
    evidence : Evidence
    """
    found = Comparison(unchecked=list(evidence.unusable))
    _one_ledger_a_region(found, audits)
    _missing_regions(found, audits, evidence)
    _servers_noise(found, audits, servers)
    _rounds(found, audits, evidence)
    _published_claims(found, audits, evidence)
    return found


def _one_ledger_a_region(found: Comparison, audits: Sequence[LedgerAudit]) -> None:
    """Look for two ledgers of one region: what is charged to one, the other does not count."""
    of_region: defaultdict[str, list[LedgerAudit]] = defaultdict(list)
    for audit in audits:
        if audit.region:
            of_region[audit.region].append(audit)
    for region, several in of_region.items():
        if len(several) < 2:
            continue
        longest, *others = sorted(several, key=lambda one: -one.sequence)
        for other in others:
            parting = _parting(longest, other)
            if parting is None:
                found.unchecked.append(
                    f"{other.path} is an earlier copy of {longest.path}; the later one counts."
                )
                continue
            found.disagreeing.append(region)
            found.faults.append(
                f"{longest.path} and {other.path} are both of {region}, and differ from record "
                f"{parting} on: what is charged to one is not counted in the other."
            )


def _parting(longer: LedgerAudit, shorter: LedgerAudit) -> int | None:
    """Return the first record in which two ledgers differ; None if one continues the other."""
    if longer.public_key != shorter.public_key:
        return 1
    chains = [_hashes(audit.path) for audit in (longer, shorter)]
    for number, (one, other) in enumerate(zip(*chains, strict=False), start=1):
        if one != other:
            return number
    return None


def _hashes(path: str) -> list[str]:
    try:
        with LedgerFile(Path(path)).reading() as rows:
            return [record.hash for record in rows.records()]
    except LedgerError:
        return [path]


def _missing_regions(found: Comparison, audits: Sequence[LedgerAudit], evidence: Evidence) -> None:
    """Look for regions whose heads a server has, and whose ledgers are not in the folder."""
    here = {audit.region for audit in audits}
    unread = sum(not audit.region for audit in audits)
    for path, record in evidence.records:
        missing = sorted({head.region for head in record.heads} - here)
        if not missing:
            continue
        told = (
            f"{path} has heads of {', '.join(missing)}, of which there is no readable ledger here."
        )
        if evidence.whole_folders and len(missing) > unread:
            found.faults.append(told)
            found.disagreeing += missing
        else:
            found.unchecked.append(told)


def _servers_noise(
    found: Comparison, audits: Sequence[LedgerAudit], servers: Sequence[LedgerAudit]
) -> None:
    """Under ``central`` the server's own ledger must tell of the noise that it promised."""
    resting = [audit for audit in audits if audit.rests_on_server]
    if not resting:
        return
    total = sum(audit.rests_on_server for audit in resting)
    if not servers:
        found.unchecked.append(
            f"{total} releases are under trust model central: that the server added the noise is "
            "its word. Its own ledger was not given."
        )
        return
    released = {request: noise for server in servers for request, noise in server.requests.items()}
    for audit in resting:
        for request, promised in audit.requests.items():
            if request not in released:
                found.unchecked.append(
                    f"{audit.region} answered request {request[:16]}, of which the server's ledger "
                    "has no release."
                )
            elif released[request] != promised:
                found.disagreeing.append(audit.region)
                found.faults.append(
                    f"{audit.region} was promised noise {promised[1]:g} for request "
                    f"{request[:16]}; the server's ledger has {released[request][1]:g}."
                )


def _rounds(found: Comparison, audits: Sequence[LedgerAudit], evidence: Evidence) -> None:
    """Look for rounds in which a server had more answers than ledgers have charges."""
    if not evidence.whole_folders:
        return
    for path, record in evidence.records:
        ours = [audit for audit in audits if audit.region]
        for count in record.rounds:
            charged = [
                audit
                for audit in ours
                if count.round_number in audit.rounds.get(record.run, frozenset())
            ]
            if count.answered > len(charged) and len(ours) == len(audits):
                found.faults.append(
                    f"{path}: {count.answered} answers came in round {count.round_number} "
                    f"({count.purpose}), but {len(charged)} ledgers charge for one: something "
                    "was released without an entry."
                )


def _published_claims(found: Comparison, audits: Sequence[LedgerAudit], evidence: Evidence) -> None:
    """Look whether ledgers charge more for a run than its server's report says that it cost."""
    for claim in evidence.claims:
        for audit in audits:
            mu = audit.run_mu.get(claim.run)
            if mu is None or claim.epsilon is None:
                continue
            charged = epsilon_of(mu, claim.delta)
            if charged > claim.epsilon * (1 + ROUNDING):
                found.disagreeing.append(audit.region)
                found.faults.append(
                    f"{claim.path} claims epsilon {claim.epsilon:.6g} for run {claim.run}; the "
                    f"ledger of {audit.region} charges {charged:.6g} for it."
                )
        charges = sum(audit.runs.get(claim.run, 0) for audit in audits)
        if evidence.whole_folders and claim.releases > charges:
            found.faults.append(
                f"{claim.path} counts {claim.releases} releases in run {claim.run}, the ledgers "
                f"{charges}: something was released without an entry."
            )


def near_limit(audits: Sequence[LedgerAudit]) -> list[tuple[LedgerAudit, str, float]]:
    """Return whose window or lifetime is nearly used up, which, and to what part."""
    found = []
    for audit in audits:
        for span in audit.spans:
            if span.limit and span.cost.epsilon >= NEAR * span.limit:
                found.append((audit, span.name, span.cost.epsilon / span.limit))
    return sorted(found, key=lambda one: -one[2])


def by_attention(audits: Sequence[LedgerAudit]) -> list[LedgerAudit]:
    """Put first what does not hold, then what is nearest to a limit."""

    def used(one: LedgerAudit) -> float:
        parts = [span.cost.epsilon / span.limit for span in one.spans if span.limit]
        return max(parts, default=0.0)

    return sorted(audits, key=lambda one: (not one.faults, one.usable, -used(one)))


def typical_epsilon(audits: Sequence[LedgerAudit]) -> float:
    """Return the median over ledgers of what was spent ever; 0 of none."""
    spent = [one.lifetime.cost.epsilon for one in audits if one.lifetime]
    return median(spent) if spent else 0.0
