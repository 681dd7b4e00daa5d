"""Regions' ledgers compared with what servers charged themselves, under ``central``.

regions' requests  +  servers' ledgers  ->  noise that was not what was promised
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from privacy.audit.comparison import Comparison
from privacy.audit.evidence import KeptRecord
from privacy.audit.ledger_audit import LedgerAudit

SLACK = 1e-3
"""By so much a run's mu may be more than that of its requests: discrete noise counts a little
more. A request that is charged twice counts far more."""

Requests = Mapping[tuple[str, str], tuple[float, float]]


def compare_noise(
    found: Comparison, servers: Sequence[LedgerAudit], records: Sequence[KeptRecord]
) -> None:
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
    _identities(found, servers, resting)
    released = _released(found, servers)
    runs = {run for one in servers for run in one.run_mu}
    known = {run for one in found.counting for run in one.runs}
    if others := sorted(runs - known):
        found.unchecked.append(
            f"The server's ledger charges for {len(others)} runs, the first of them {others[0]}, "
            "of which no ledger here has a release."
        )
    for run in sorted(runs & known):
        asked = [one for one in resting if run in one.runs]
        _charges(
            found, run, asked, servers, is_whole=_has_all_regions(run, records, found.counting)
        )
    ended = {
        (run, number) for one in servers for run, rounds in one.rounds.items() for number in rounds
    }
    for one in resting:
        for run in sorted({run for run, _ in one.requests}):
            _servers_run(found, one, run, released)
            rounds = {(run, number) for number in one.rounds.get(run, ())}
            if run in runs and (unended := len(rounds - ended)):
                found.unchecked.append(
                    f"{one.region} answered in {unended} rounds of run {run}, of which the "
                    "server's ledger does not say that it released anything."
                )


def _released(found: Comparison, servers: Sequence[LedgerAudit]) -> Requests:
    """Return the noise that servers charged for, by request."""
    released: dict[tuple[str, str], tuple[float, float]] = {}
    for server in servers:
        for request, noise in server.requests.items():
            if released.setdefault(request, noise) != noise:
                found.faults.append(
                    f"Two servers' ledgers have different noise for request {request[1][:16]} of "
                    f"run {request[0]}."
                )
    return released


def _has_all_regions(
    run: str, records: Sequence[KeptRecord], audits: Sequence[LedgerAudit]
) -> bool:
    """Tell whether every region that a server heard of in a run has its ledger here."""
    of_run = [kept.record for kept in records if kept.record.run == run and kept.folder]
    here = {one.region for one in audits}
    heard_of = [{head.region for head in record.heads} for record in of_run]
    return any(regions and regions <= here for regions in heard_of)


def _charges(
    found: Comparison,
    run: str,
    asked: Sequence[LedgerAudit],
    servers: Sequence[LedgerAudit],
    *,
    is_whole: bool,
) -> None:
    """Look for releases of a server that no region was asked for, or that it made twice.

    Each region has the requests that it answered; the server has what any of them answered.
    """
    answered = {request for one in asked for request in one.requests}
    for server in servers:
        own = {request: noise for request, noise in server.requests.items() if request[0] == run}
        if unasked := sorted(request[1] for request in own if request not in answered):
            told = (
                f"The server's ledger charges for {len(unasked)} requests of run {run}, the first "
                f"of them {unasked[0][:16]}, that no ledger here has"
            )
            if is_whole:
                found.faults.append(f"{told}: the server released more than it asked for.")
            else:
                found.unchecked.append(f"{told}.")
        if server.run_mu.get(run, 0.0) > _mu(own.values()) * (1 + SLACK):
            found.faults.append(
                f"The server's ledger charges mu {server.run_mu[run]:.6g} for run {run}, its "
                f"requests are worth {_mu(own.values()):.6g}: it released more than once for one."
            )


def _mu(noises: Iterable[tuple[float, float]]) -> float:
    """Return the Gaussian-DP parameter of releases with a sensitivity and a sigma each."""
    return math.sqrt(math.fsum((sensitivity / sigma) ** 2 for sensitivity, sigma in noises))


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
    released: Requests,
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
