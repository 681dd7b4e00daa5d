"""Ledgers compared with each other, and with what their servers kept.

audits of single ledgers  +  what servers kept  ->  what does not fit together
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from privacy.accountant import epsilon_of
from privacy.audit.evidence import LEDGERS, Evidence, KeptRecord
from privacy.audit.ledger_audit import LedgerAudit
from privacy.audit.server_claim import ServerClaim
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
    counting : list of LedgerAudit
        One of each region: a copy charges for nothing.
    """

    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)
    counting: list[LedgerAudit] = field(default_factory=list)


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
    found = Comparison(unchecked=list(evidence.unused))
    _one_ledger_a_region(found, audits)
    for kept in evidence.records:
        inside = _in_its_folder(kept, found.counting, audits)
        _missing_regions(found, kept, inside, damaged=[one for one in audits if not one.region])
        _rounds(found, kept, inside)
    _servers_noise(found, servers)
    _published_claims(found, evidence)
    _unmatched(found, audits, evidence)
    return found


def _in_its_folder(
    kept: KeptRecord, counting: Sequence[LedgerAudit], audits: Sequence[LedgerAudit]
) -> Sequence[LedgerAudit]:
    """Return the ledgers of the regions that have one, be it an earlier copy, in the folder."""
    if kept.folder is None:
        return counting
    home = kept.folder.resolve()
    regions = {one.region for one in audits if Path(one.path).parent.resolve() == home}
    return [one for one in counting if one.region in regions]


def _one_ledger_a_region(found: Comparison, audits: Sequence[LedgerAudit]) -> None:
    """Look for two ledgers of one region: what is charged to one, the other does not count."""
    of_region: defaultdict[str, list[LedgerAudit]] = defaultdict(list)
    for audit in audits:
        if audit.region:
            of_region[audit.region].append(audit)
    for region, several in of_region.items():
        longest, *others = sorted(several, key=lambda one: -one.sequence)
        found.counting.append(longest)
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


def _missing_regions(
    found: Comparison,
    kept: KeptRecord,
    audits: Sequence[LedgerAudit],
    *,
    damaged: Sequence[LedgerAudit],
) -> None:
    """Look for regions whose heads a server has, and whose ledgers are not in the folder."""
    missing = sorted({head.region for head in kept.record.heads} - {one.region for one in audits})
    if not missing:
        return
    told = f"{kept.path} has heads of {', '.join(missing)}, of which there is no readable ledger."
    if kept.folder is not None and len(missing) > len(damaged):
        found.faults.append(told)
        found.disagreeing += missing
    else:
        found.unchecked.append(told)


def _rounds(found: Comparison, kept: KeptRecord, audits: Sequence[LedgerAudit]) -> None:
    """Look for rounds in which a server had more answers than ledgers have charges."""
    record = kept.record
    if record.rounds and kept.folder is None:
        found.unchecked.append(
            f"{kept.path}: its counts of answers, since ledgers were named one by one."
        )
        return
    for count in record.rounds:
        charges = sum(
            count.round_number in one.rounds.get(record.run, frozenset()) for one in audits
        )
        if count.answered > charges:
            found.faults.append(
                f"{kept.path}: {count.answered} answers came in round {count.round_number} "
                f"({count.purpose}), but {charges} ledgers charge for one: something was "
                "released without an entry."
            )


def _servers_noise(found: Comparison, servers: Sequence[LedgerAudit]) -> None:
    """Under ``central`` the server's own ledger must tell of the noise that it promised."""
    resting = [one for one in found.counting if one.rests_on_server]
    if not resting:
        return
    total = sum(one.rests_on_server for one in resting)
    if not servers:
        found.unchecked.append(
            f"{total} releases are under trust model central: that the server added the noise is "
            "its word. Its own ledger was not given."
        )
        return
    released: dict[tuple[str, str], tuple[float, float]] = {}
    spent: dict[str, float] = {}
    for server in servers:
        for request, noise in server.requests.items():
            if released.setdefault(request, noise) != noise:
                found.faults.append(
                    f"Two servers' ledgers have different noise for request {request[1][:16]} of "
                    f"run {request[0]}."
                )
        for run, mu in server.run_mu.items():
            spent[run] = max(mu, spent.get(run, 0.0))
    ended = {
        (run, number) for one in servers for run, rounds in one.rounds.items() for number in rounds
    }
    known = {run for one in found.counting for run in one.runs}
    if others := sorted(set(spent) - known):
        found.unchecked.append(
            f"The server's ledger charges for {len(others)} runs, the first of them {others[0]}, "
            "of which no ledger here has a release."
        )
    for one in resting:
        for run in sorted({run for run, _ in one.requests}):
            _servers_run(found, one, run, released)
            rounds = {(run, number) for number in one.rounds.get(run, ())}
            if run in spent and (unended := len(rounds - ended)):
                found.unchecked.append(
                    f"{one.region} answered in {unended} rounds of run {run}, of which the "
                    "server's ledger does not say that it released anything."
                )
            promised = one.run_mu[run]
            if spent.get(run, 0.0) > promised * (1 + ROUNDING):
                found.disagreeing.append(one.region)
                found.faults.append(
                    f"The server's ledger charges mu {spent[run]:.6g} for run {run}, that of "
                    f"{one.region} {promised:.6g}: the server released more than it asked for."
                )


def _servers_run(
    found: Comparison,
    one: LedgerAudit,
    run: str,
    released: Mapping[tuple[str, str], tuple[float, float]],
) -> None:
    """Compare one region's requests of one run with what the server released."""
    asked = {request: noise for request, noise in one.requests.items() if request[0] == run}
    missing = [request for request in asked if request not in released]
    if missing:
        found.unchecked.append(
            f"{one.region} answered {len(missing)} requests of run {run}, of which the server's "
            "ledger has no release."
        )
    for request, promised in asked.items():
        if released.get(request, promised) != promised:
            found.disagreeing.append(one.region)
            found.faults.append(
                f"{one.region} was promised noise {promised[1]:g} for request "
                f"{request[1][:16]}; the server's ledger has {released[request][1]:g}."
            )


def _published_claims(found: Comparison, evidence: Evidence) -> None:
    """Look whether ledgers charge more for a run than its server's report says that it cost."""
    for claim in evidence.claims:
        audits = [one for one in found.counting if claim.run in one.runs]
        if not audits:
            found.unchecked.append(f"{claim.path} is about run {claim.run}, which no ledger names.")
            continue
        if claim.epsilon is None:
            found.unchecked.append(f"{claim.path} promises nothing: its epsilon is infinite.")
        for one in audits:
            _claim_of(found, claim, one)
        charges = sum(one.runs[claim.run] for one in audits)
        home = claim.path.parent
        whole = not evidence.folders.isdisjoint({home, home / LEDGERS})
        if claim.releases > charges and whole:
            found.faults.append(
                f"{claim.path} counts {claim.releases} releases in run {claim.run}, the ledgers "
                f"{charges}: something was released without an entry."
            )


def _claim_of(found: Comparison, claim: ServerClaim, one: LedgerAudit) -> None:
    """Compare a published claim with what one ledger charges."""
    problems = []
    if claim.epsilon is not None:
        charged = epsilon_of(one.run_mu[claim.run], claim.delta)
        if charged > claim.epsilon * (1 + ROUNDING):
            problems.append(f"epsilon {claim.epsilon:.6g}, its ledger charges {charged:.6g}")
    if claim.delta > one.identity["delta"]:
        problems.append(f"delta {claim.delta:g}, its ledger's is {one.identity['delta']:g}")
    for name in ("adjacency", "unit"):
        claimed, kept = getattr(claim, name), one.identity[name]
        if claimed and claimed != kept:
            problems.append(f"{name} {claimed}, its ledger's is {kept}")
    for problem in problems:
        found.disagreeing.append(one.region)
        found.faults.append(f"{claim.path} claims for run {claim.run} of {one.region} {problem}.")


def _unmatched(found: Comparison, audits: Sequence[LedgerAudit], evidence: Evidence) -> None:
    """Tell of evidence that was given and is about no ledger here."""
    regions = {one.region for one in audits}
    for path, policy in evidence.policies.items():
        if policy.region not in regions:
            found.unchecked.append(
                f"{path} is the policy of {policy.region}, of which there is no ledger here."
            )
    for path, heads in evidence.witnesses.items():
        if not regions & {head.region for head in heads}:
            found.unchecked.append(f"Witness {path} holds no head of any ledger here.")


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
