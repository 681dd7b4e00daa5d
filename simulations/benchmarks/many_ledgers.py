"""Time and memory of an audit of many ledgers: ``python -m simulations.benchmarks.many_ledgers``.

Each ledger has runs of 15 releases and windows of a quarter, as an agent would have
written them, and a key of its own; ``heads.json`` lies beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console

from privacy.ledger_file import LedgerFile, LedgerRows
from privacy.policy import Answers, Budget, Policy, Windows
from privacy.records import (
    FORMAT,
    Account,
    Identity,
    LedgerEntry,
    RecordKind,
    append,
    make_record,
)
from privacy.server_record import HEADS, write_server_record
from privacy.signed_head import SignedHead, sign_head
from privacy.signing import SigningKey

START = datetime(2026, 1, 1, tzinfo=UTC)
RELEASES_A_RUN = 15
RUNS_A_WINDOW = 10
HOURS_BETWEEN = 200

console = Console(highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How ledgers are made.

    Attributes
    ----------
    releases : int
        In each.
    alike : bool
        Whether all have the same mechanisms, as regions that answer the same runs.
    """

    releases: int
    alike: bool = True


def make_ledger(path: Path, manner: Manner, *, seed: int = 0) -> SignedHead:
    """Write a ledger that holds, in one go; return its head."""
    policy = _policy(path.stem)
    key = SigningKey.create(path.with_suffix(".key"))
    rng = np.random.default_rng(0 if manner.alike else seed)
    multipliers = rng.uniform(60, 90, size=RELEASES_A_RUN if manner.alike else manner.releases)
    with LedgerFile(path).writing() as rows:
        rows.create()
        ledger = _Writer(rows, key, policy)
        ledger.write(RecordKind.OPENED, START, _identity(policy, key) | {"file": "elsewhere"})
        ledger.sign()
        window, rules = None, {"policy": policy.digest(), "rules": policy.rules()}
        for number in range(manner.releases):
            run, place = divmod(number, RELEASES_A_RUN)
            moment = START + timedelta(hours=HOURS_BETWEEN * run, minutes=place)
            due = policy.window.at(moment)
            if due != window:
                span = {"start": due.start.isoformat(), "end": due.end.isoformat()}
                ledger.write(RecordKind.WINDOW, moment, span | {"by": "calendar"})
                window = due
            if number == 0:
                ledger.write(RecordKind.RULES, moment, rules)
            entry = _entry(number + 1, due.name, f"run-{run}", place + 1, policy)
            sigma = float(multipliers[number % len(multipliers)])
            ledger.write(RecordKind.RESERVED, moment, entry | {"sigma": sigma})
            ledger.sign()
            reply = f"{path.stem} {number}".encode()
            digest = _sha256(reply)
            ledger.write(RecordKind.COMMITTED, moment, {"entry": number + 1, "reply": digest})
            rows.keep_reply(number + 1, reply)
            ledger.sign()
        return ledger.head


class _Writer:
    """Appends records as a ledger does, without checking the whole chain each time."""

    def __init__(self, rows: LedgerRows, key: SigningKey, policy: Policy) -> None:
        self._rows, self._key, self._region = rows, key, policy.region
        self._account: Account | None = None

    def write(self, kind: RecordKind, moment: datetime, content: Mapping[str, object]) -> None:
        record = make_record(
            self._account, moment.isoformat(timespec="milliseconds"), kind, content
        )
        self._rows.append(record)
        self._account = append(self._account, record)

    def sign(self) -> None:
        """Sign the chain so far, and go on from the signature."""
        head, account = self.head, self._account
        if account is None:
            return
        self._rows.sign(head.sequence, head.signature)
        account.link = _sha256(f"{head.head}{head.signature}".encode())

    @property
    def head(self) -> SignedHead:
        account = self._account
        if account is None:
            raise ValueError("Nothing was written.")
        return sign_head(self._key, self._region, account.sequence, account.head)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _policy(region: str) -> Policy:
    return Policy(
        region=region,
        budget=Budget(epsilon=20.0, lifetime_epsilon=100.0),
        window=Windows(start=START, days=90),
        answers=Answers(questions=frozenset({"cell-sums"})),
    )


def _identity(policy: Policy, key: SigningKey) -> dict[str, object]:
    budget = policy.budget
    return asdict(
        Identity(
            format=FORMAT,
            region=policy.region,
            delta=budget.delta,
            lifetime_delta=budget.lifetime_delta,
            unit=budget.unit.value,
            adjacency=budget.adjacency.value,
            public_key=key.public,
            simulated=True,
        )
    )


def _entry(number: int, window: str, run: str, place: int, policy: Policy) -> dict[str, object]:
    entry = LedgerEntry(
        entry=number,
        time="",
        window=window,
        run=run,
        round_number=place,
        purpose=f"lloyd-{place}",
        kind="cell-sums",
        fingerprint=_sha256(f"{run} {place}".encode()),
        trust_model="local",
        noise="discrete",
        clipping_norm=1.0,
        sensitivity=1.0,
        sigma=1.0,
        step=2.0**-24,
        participants=8,
        encoder="e" * 64,
        server_key="",
        code="c" * 64,
        policy=policy.digest(),
    )
    return {name: value for name, value in asdict(entry).items() if name != "time"}


def measure(ledgers: int, manner: Manner) -> None:
    """Make ledgers, audit them in a process of its own, and tell its time and memory."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "ledgers"
        home.mkdir()
        heads = [
            make_ledger(home / f"region-{number:04d}.sqlite", manner, seed=number)
            for number in range(ledgers)
        ]
        write_server_record(home / HEADS, heads, run="run-0")
        for words in ([], ["--out", f"{folder}/audit"]):
            clock = time.monotonic()
            command = [sys.executable, "-m", "fedinterest", "audit", str(home), *words]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            seconds = time.monotonic() - clock
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
            told = "the same mechanisms" if manner.alike else "mechanisms of their own"
            console.print(
                f"{ledgers} ledgers with {manner.releases} releases each, {told}"
                f"{', with report' if words else ''}: exit status {done.returncode}, "
                f"{seconds:.1f} s, largest process {peak:.2f} GB"
            )


def main() -> None:
    """Measure both kinds of ledgers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ledgers", type=int, default=500)
    parser.add_argument("--releases", type=int, default=1000)
    chosen = parser.parse_args()
    for alike in (True, False):
        measure(chosen.ledgers, Manner(releases=chosen.releases, alike=alike))


if __name__ == "__main__":
    main()
