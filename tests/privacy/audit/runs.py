"""Runs of a few regions, and what their servers keep and publish, for tests of the audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from privacy.door import Door
from privacy.ledger import Ledger
from privacy.query import NoiseKind, SumQuery, TrustModel
from privacy.release import Release
from privacy.server_record import HEADS, RoundCount, write_server_record
from privacy.signed_head import SignedHead
from tests.privacy.examples import SetClock, a_noise, a_policy, a_query, giving, users

PEOPLE = {"sums": users([[1, 2], [3, 4]])}


def a_run(folder: Path, names: tuple[str, ...] = ("east", "west")) -> list[SignedHead]:
    """Let regions release once each; return the heads that their server received."""
    heads = []
    (folder / "ledgers").mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / "ledgers" / f"{name}.sqlite"
        ledger = Ledger(path, a_policy(region=name), clock=SetClock(), simulated=True)
        answer = Door(ledger, a_noise(NoiseKind.DISCRETE)).answer(a_query(), giving(PEOPLE))
        assert isinstance(answer, Release)
        assert answer.head
        heads.append(answer.head)
    return heads


def a_record(folder: Path, heads: list[SignedHead], *, answered: int = 2) -> None:
    count = RoundCount(
        round_number=1, purpose="lloyd-1", asked=2, answered=answered, refused=0, unusable=0
    )
    write_server_record(folder / "ledgers" / HEADS, heads, run="run-1", rounds=[count])


def a_report(folder: Path, *, trust: str = "", **privacy: Any) -> None:
    """Write what the audit reads of a run's report."""
    told = {"epsilon": 2.5, "delta": 1e-6, "releases": 2} | privacy
    run = {"id": "run-1"} | ({"trust_model": trust} if trust else {})
    (folder / "report.json").write_text(json.dumps({"run": run, "privacy": told}))


def central_run(folder: Path) -> SumQuery:
    """Let a region answer a server that keeps no ledger; return what was asked."""
    query = a_query(trust_model=TrustModel.CENTRAL)
    rules = {"trust_models": {TrustModel.CENTRAL}}
    ledger = Ledger(folder / "north.sqlite", a_policy(**rules), clock=SetClock(), simulated=True)
    Door(ledger, a_noise(NoiseKind.DISCRETE)).answer(query, giving(PEOPLE))
    return query


def a_server(folder: Path) -> Ledger:
    folder.mkdir(exist_ok=True)
    return Ledger(folder / "server-ledger.sqlite", a_policy(region="server"), clock=SetClock())
