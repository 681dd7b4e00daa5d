"""Regions' ledgers compared with what servers published.

regions' ledgers  +  report.json  ->  promises that ledgers do not bear out
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from privacy.accountant import Adjacency, epsilon_of
from privacy.audit.comparison import Comparison
from privacy.audit.evidence import LEDGERS, Evidence
from privacy.audit.ledger_audit import LedgerAudit
from privacy.audit.server_claim import ServerClaim
from privacy.query import NoiseKind, TrustModel
from privacy.records import SERVER

ROUNDING = 1e-6
"""By so much a report's epsilon may be rounded."""
DIGITS = 1e-5
"""By so much an epsilon in a sentence may be."""
_WEAKEST_FIRST = (NoiseKind.SEEDED, NoiseKind.FLOAT, NoiseKind.DISCRETE)


def compare_claims(found: Comparison, servers: Sequence[LedgerAudit], evidence: Evidence) -> None:
    """Look whether ledgers bear out what a server's report says of its run.

    Parameters
    ----------
    found : Comparison
    servers : sequence of LedgerAudit
        Of servers' own ledgers.
    evidence : Evidence
    """
    for claim in evidence.claims:
        audits = [one for one in found.counting if claim.run in one.runs]
        if not audits:
            found.unchecked.append(f"{claim.path} is about run {claim.run}, which no ledger names.")
            continue
        if claim.epsilon is None:
            found.unchecked.append(f"{claim.path} promises nothing: its epsilon is infinite.")
        for name in ("adjacency", "unit", "trust_model", "noise"):
            if not getattr(claim, name):
                found.unchecked.append(f"The {name} of {claim.path}: it tells none that is known.")
        if not claim.sentence_fits:
            found.unchecked.append(
                f"The sentence of {claim.path}: it is not the one that its figures make."
            )
        for one in audits:
            _claim_of(found, claim, one)
        beside = _beside(claim, servers)
        _servers_entry(found, claim, audits, beside)
        _noise_of(found, claim, [*audits, *beside])
        _releases(found, claim, audits, evidence)


def _claim_of(found: Comparison, claim: ServerClaim, one: LedgerAudit) -> None:
    """Compare a published claim with what one ledger charges."""
    problems = _epsilons_below(claim, one)
    if claim.unit and claim.unit != one.identity["unit"]:
        problems.append(f"unit {claim.unit}, its ledger's is {one.identity['unit']}")
    central = any(run == claim.run for run, _ in one.requests)
    if central and claim.trust_model not in ("", TrustModel.CENTRAL):
        problems.append(
            f"trust model {claim.trust_model}, its ledger answered under {TrustModel.CENTRAL}"
        )
    for problem in problems:
        found.disagreeing.append(one.region)
        found.faults.append(f"{claim.path} claims for run {claim.run} of {one.region} {problem}.")


def _epsilons_below(claim: ServerClaim, one: LedgerAudit) -> list[str]:
    """Say which of a claim's epsilons are less than what was charged, at its delta and adjacency.

    An accountant's figure is an upper bound of the exact one, which the ledger charges: none
    can truly be below it.
    """
    adjacency = Adjacency(claim.adjacency or one.identity["adjacency"])
    mu = adjacency.changes * one.run_mu[claim.run]
    told = [("", claim.epsilon, claim.delta, ROUNDING)]
    told += [(f" {told.where}", told.epsilon, told.delta, DIGITS) for told in claim.told]
    return [
        f"epsilon {epsilon:.6g}{where}, its ledger charges {charged:.6g}"
        for where, epsilon, delta, slack in told
        if epsilon is not None and (charged := epsilon_of(mu, delta)) > epsilon * (1 + slack)
    ]


def _noise_of(found: Comparison, claim: ServerClaim, audits: Sequence[LedgerAudit]) -> None:
    """Look for weaker noise than a report tells of."""
    if not claim.noise:
        return
    weaker = _WEAKEST_FIRST[: _WEAKEST_FIRST.index(NoiseKind(claim.noise))]
    for one in audits:
        kinds = one.run_noises.get(claim.run, frozenset()) - {SERVER}
        for kind in sorted(kinds & set(weaker)):
            found.disagreeing += [one.region] * (one.region != "server")
            found.faults.append(
                f"{claim.path} claims {claim.noise} noise for run {claim.run}; {one.region} made "
                f"releases with {kind} noise."
            )


def _releases(
    found: Comparison, claim: ServerClaim, audits: Sequence[LedgerAudit], evidence: Evidence
) -> None:
    """Look for more releases than ledgers charge for, where all of them could be read."""
    charges = sum(one.runs[claim.run] for one in audits)
    home = claim.path.parent
    whole = not evidence.folders.isdisjoint({home, home / LEDGERS})
    if not whole or claim.releases <= charges:
        return
    told = (
        f"{claim.path} counts {claim.releases} releases in run {claim.run}, the ledgers {charges}"
    )
    most_of_one = max(one.runs[claim.run] for one in audits)
    if claim.releases <= charges + found.unread_in(home) * most_of_one:
        found.unchecked.append(f"{told}, of those that could be read.")
    else:
        found.faults.append(f"{told}: something was released without an entry.")


def _beside(claim: ServerClaim, servers: Sequence[LedgerAudit]) -> list[LedgerAudit]:
    """Return the servers' ledgers that lie with a report, and could be read."""
    home = claim.path.parent.resolve()
    folders = {home, home / LEDGERS}
    return [
        one
        for one in servers
        if one.usable and one.region and Path(one.path).parent.resolve() in folders
    ]


def _servers_entry(
    found: Comparison,
    claim: ServerClaim,
    audits: Sequence[LedgerAudit],
    beside: Sequence[LedgerAudit],
) -> None:
    """Look whether the server's ledger beside a report has anything of the report's run."""
    resting = any(run == claim.run for one in audits for run, _ in one.requests)
    if resting and beside and not any(claim.run in one.run_mu for one in beside):
        found.faults.append(
            f"{claim.path} and {beside[0].path} lie together, and that ledger charges for nothing "
            f"of run {claim.run}: the server released without an entry."
        )
