"""An audit from the files to its verdict, on one page.

paths  ->  evidence  ->  each ledger by itself  ->  costs  ->  side by side  ->  Audit
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

from privacy.audit.accounts import Combination, Cost, count_by_release
from privacy.audit.check import Check
from privacy.audit.comparison import Comparison
from privacy.audit.evidence import Evidence, EvidenceError, find_evidence
from privacy.audit.ledger_audit import LedgerAudit, Span, Verdict, audit_ledger
from privacy.audit.side_by_side import compare
from privacy.ledger import witness_beside

IN_ONE_PROCESS = 16
"""So few ledgers are looked at faster without other processes."""


@dataclass(slots=True, kw_only=True)
class Audit:
    """What an audit found.

    Attributes
    ----------
    evidence : Evidence, optional
        None where only the mechanism was examined.
    ledgers, servers : list of LedgerAudit
        Of clients, and of servers that added noise.
    comparison : Comparison
    checks : list of Check
        Of the mechanism itself, by trying; empty unless wanted.
    """

    evidence: Evidence | None = None
    ledgers: list[LedgerAudit] = field(default_factory=list)
    servers: list[LedgerAudit] = field(default_factory=list)
    comparison: Comparison = field(default_factory=Comparison)
    checks: list[Check] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """FAIL if anything does not hold; UNUSABLE if something could not be looked at."""
        looked_at = [*self.ledgers, *self.servers]
        failed = [check for check in self.checks if not check.passed]
        if failed or self.comparison.faults or any(one.faults for one in looked_at):
            return Verdict.FAIL
        if any(not one.usable for one in looked_at):
            return Verdict.UNUSABLE
        return Verdict.PASS

    @property
    def is_simulated(self) -> bool:
        """Whether any of it is about clients that do not exist."""
        return any(one.simulated for one in self.ledgers)

    @property
    def counting(self) -> list[LedgerAudit]:
        """One ledger of each region: an earlier copy says nothing more."""
        return self.comparison.counting or self.ledgers

    @property
    def worst(self) -> LedgerAudit | None:
        """The ledger that has spent most in its life."""
        return max((one for one in self.counting if one.lifetime), key=_spent, default=None)


def audit(
    paths: Sequence[Path],
    *,
    heads: Sequence[Path] = (),
    witnesses: Sequence[Path] = (),
    policies: Sequence[Path] = (),
    with_details: bool = True,
) -> Audit:
    """Audit ledgers; no record of theirs is changed.

    Where a program was killed, SQLite may write its log into the file.

    Parameters
    ----------
    paths : sequence of Path
        Ledgers, folders of ledgers, or runs' folders.
    heads, witnesses, policies : sequence of Path
        As of :func:`~privacy.audit.evidence.find_evidence`.
    with_details : bool
        Whether to list every release.

    Raises
    ------
    EvidenceError, PolicyError
        If there is nothing to audit, or what came with the ledgers cannot be used.
    """
    evidence = find_evidence(paths, heads=heads, witnesses=witnesses, policies=policies)
    look = _Look(evidence, with_details)
    audits = _look_at_all(look, [*evidence.ledgers, *evidence.server_ledgers])
    _count(audits)
    ledgers, servers = audits[: len(evidence.ledgers)], audits[len(evidence.ledgers) :]
    return Audit(
        evidence=evidence,
        ledgers=ledgers,
        servers=servers,
        comparison=compare(ledgers, servers, evidence),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """How ledgers are looked at; goes to other processes as it is."""

    evidence: Evidence
    with_details: bool

    def __call__(self, path: Path) -> LedgerAudit:
        evidence = self.evidence
        return audit_ledger(
            path,
            witness=beside if (beside := witness_beside(path)).exists() else None,
            heads=evidence.heads or None,
            last_witnessed=evidence.last_witnessed,
            approved=list(evidence.policies.values()),
            of_server=path in evidence.server_ledgers,
            with_details=self.with_details,
        )


def _look_at_all(look: _Look, paths: Sequence[Path]) -> list[LedgerAudit]:
    if len(paths) <= IN_ONE_PROCESS:
        return [look(path) for path in paths]
    workers = min(os.cpu_count() or 1, 8)
    try:
        with ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_remember, initargs=(look,)
        ) as pool:
            return list(pool.map(_take, paths, chunksize=4))
    except BrokenProcessPool as error:
        raise EvidenceError(
            "A process that looked at ledgers was killed, perhaps for want of memory. Nothing was "
            f"audited. Name fewer ledgers at once; up to {IN_ONE_PROCESS} need no other process."
        ) from error


_remembered: list[_Look] = []


def _remember(look: _Look) -> None:
    """Keep, in another process, what is the same for all ledgers."""
    _remembered.append(look)


def _take(path: Path) -> LedgerAudit:
    return _remembered[0](path)


def _count(audits: Sequence[LedgerAudit]) -> None:
    """Count the costliest spans release by release, and see whether the accountants agree."""
    costs = count_by_release(span.combination for one in audits for span in one.spans)
    for one in audits:
        one.windows = [_counted(span, costs) for span in one.windows]
        one.lifetime = _counted(one.lifetime, costs) if one.lifetime else None
        one.faults += [
            f"Accountants disagree on {span.name}: the claim is epsilon {span.cost.epsilon:.6g}, "
            f"privacy loss distributions give {span.cost.pld}, upper bounds are {span.cost.rdp} "
            f"and {span.cost.zcdp}."
            for span in one.spans
            if not span.cost.agrees
        ]


def _counted(span: Span, costs: Mapping[Combination, Cost]) -> Span:
    return replace(span, cost=costs.get(span.combination, span.cost))


def _spent(one: LedgerAudit) -> float:
    return one.lifetime.cost.epsilon if one.lifetime else 0.0
