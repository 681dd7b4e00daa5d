"""Regions' ledgers compared with what servers charged themselves, and with what they published.

servers' ledgers  +  report.json  ->  what does not fit the regions' ledgers
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from privacy.accountant import epsilon_of
from privacy.audit.comparison import Comparison
from privacy.audit.evidence import LEDGERS, Evidence
from privacy.audit.ledger_audit import LedgerAudit
from privacy.audit.server_claim import ServerClaim

ROUNDING = 1e-6
"""By so much a report's epsilon may be rounded."""
DIGITS = 1e-5
"""By so much an epsilon in a sentence may be."""


def compare_noise(found: Comparison, servers: Sequence[LedgerAudit]) -> None:
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
    _identities(found, servers, resting)
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


def _identities(
    found: Comparison, servers: Sequence[LedgerAudit], resting: Sequence[LedgerAudit]
) -> None:
    """Tell of servers that count in another way than the regions that rest on them."""
    for name in ("adjacency", "delta"):
        ours = {str(one.identity[name]) for one in resting if name in one.identity}
        theirs = {str(one.identity[name]) for one in servers if name in one.identity}
        if theirs - ours:
            found.unchecked.append(
                f"The server's ledger counts with {name} {', '.join(sorted(theirs - ours))}, the "
                f"regions' with {', '.join(sorted(ours))}: its budget says nothing about theirs."
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


def compare_claims(found: Comparison, servers: Sequence[LedgerAudit], evidence: Evidence) -> None:
    """Look whether ledgers charge more for a run than its server's report says that it cost."""
    for claim in evidence.claims:
        audits = [one for one in found.counting if claim.run in one.runs]
        if not audits:
            found.unchecked.append(f"{claim.path} is about run {claim.run}, which no ledger names.")
            continue
        if claim.epsilon is None:
            found.unchecked.append(f"{claim.path} promises nothing: its epsilon is infinite.")
        elif not claim.has_sentence:
            found.unchecked.append(f"The sentence of {claim.path}: it tells no epsilon.")
        for one in audits:
            _claim_of(found, claim, one)
        charges = sum(one.runs[claim.run] for one in audits)
        home = claim.path.parent
        _servers_entry(found, claim, audits, servers)
        whole = not evidence.folders.isdisjoint({home, home / LEDGERS})
        if claim.releases > charges and whole:
            found.faults.append(
                f"{claim.path} counts {claim.releases} releases in run {claim.run}, the ledgers "
                f"{charges}: something was released without an entry."
            )


def _claim_of(found: Comparison, claim: ServerClaim, one: LedgerAudit) -> None:
    """Compare a published claim with what one ledger charges."""
    problems = _epsilons_below(claim, epsilon_of(one.run_mu[claim.run], claim.delta))
    if claim.delta > one.identity["delta"]:
        problems.append(f"delta {claim.delta:g}, its ledger's is {one.identity['delta']:g}")
    for name in ("adjacency", "unit"):
        claimed, kept = getattr(claim, name), one.identity[name]
        if claimed and claimed != kept:
            problems.append(f"{name} {claimed}, its ledger's is {kept}")
    for problem in problems:
        found.disagreeing.append(one.region)
        found.faults.append(f"{claim.path} claims for run {claim.run} of {one.region} {problem}.")


def _epsilons_below(claim: ServerClaim, charged: float) -> list[str]:
    """Say which of a claim's epsilons are less than what was charged.

    An accountant's figure is an upper bound of the exact one, which the ledger charges: none
    can truly be below it.
    """
    told = {"": (claim.epsilon, ROUNDING)} | {
        f" {where}": (epsilon, DIGITS) for where, epsilon in claim.told.items()
    }
    return [
        f"epsilon {epsilon:.6g}{where}, its ledger charges {charged:.6g}"
        for where, (epsilon, slack) in told.items()
        if epsilon is not None and charged > epsilon * (1 + slack)
    ]


def _servers_entry(
    found: Comparison,
    claim: ServerClaim,
    audits: Sequence[LedgerAudit],
    servers: Sequence[LedgerAudit],
) -> None:
    """Look whether the server's ledger beside a report has anything of the report's run."""
    home = claim.path.parent.resolve()
    beside = [one for one in servers if home in Path(one.path).resolve().parents[:2]]
    resting = any(run == claim.run for one in audits for run, _ in one.requests)
    if resting and beside and not any(claim.run in one.run_mu for one in beside):
        found.faults.append(
            f"{claim.path} and {beside[0].path} lie together, and that ledger charges for nothing "
            f"of run {claim.run}: the server released without an entry."
        )
