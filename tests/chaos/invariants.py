"""What must hold after every run, whatever has struck it.

ledgers, witnesses, heads.json  ->  each audits clean; one charge for a question; none missing
ledgers' kept answers           ->  an undisturbed server  ->  the same results, bit for bit
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
from flwr.app import Context, Error, Message, RecordDict
from flwr.common.constant import ErrorCode

import server.app
from privacy.audit.ledger_audit import audit_ledger
from privacy.ledger import witness_beside
from privacy.ledger_check import read_account
from privacy.ledger_file import LedgerFile
from privacy.records import LedgerEntry, RecordKind
from privacy.release import Release
from privacy.server_record import ServerRecord, read_server_record
from server.results import HEADS
from server.run_config import RunConfig
from simulations.in_process_grid import InProcessGrid
from strategies.heads import HeadBook
from strategies.messages import answer_to_records, records_to_request
from strategies.questions import Request
from tests.chaos.deployment import Deployment, Region
from tests.chaos.running import Run

RESULTS = ("cluster-map.npz", "centroids.npz")
COMMITTED = RecordKind.COMMITTED.value


@dataclass
class Checked:
    """What was looked at, and what does not hold.

    Attributes
    ----------
    checks : Counter
        How often each invariant was looked at.
    faults : list of str
    unused : int
        Charged, and not used by the server: its answer was lost, or came too late.
    repeated : bool
        Whether an undisturbed server could be given the same answers.
    """

    checks: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    unused: int = 0
    repeated: bool = False

    def note(self, name: str, holds: bool, fault: str) -> None:
        """Note that an invariant was looked at."""
        self.checks[name] += 1
        if not holds:
            self.faults.append(f"{name}: {fault}")


def check_run(deployment: Deployment, run: Run, *, is_done: bool) -> Checked:
    """Look at everything that a run has left."""
    found = Checked()
    record = _record(run, found)
    if record is None:
        found.note("the server's record", not is_done, "there is none of a run that is done")
        return found
    entries: dict[str, list[LedgerEntry]] = {}
    for name, region in deployment.regions.items():
        _check_ledger(name, region, record, found)
        entries[name] = _entries(region, record.run)
    charged = Counter(entry.round_number for part in entries.values() for entry in part)
    kept = Counter(
        entry.round_number
        for part in entries.values()
        for entry in part
        if entry.state == COMMITTED
    )
    for name, part in entries.items():
        twice = [number for number, n in Counter(e.round_number for e in part).items() if n > 1]
        found.note("charged once", not twice, f"{name} has charged rounds {twice} twice")
    for one in record.rounds:
        found.note(
            "no charge lost",
            one.answered <= kept[one.round_number],
            f"round {one.round_number}: the server has {one.answered} answers, the ledgers "
            f"{kept[one.round_number]}",
        )
    used = {one.round_number: one.answered for one in record.rounds}
    found.unused = sum(charged.values()) - sum(used.values())
    if is_done:
        with np.load(run.out / "centroids.npz") as results:
            finite = bool(np.isfinite(results["centroids"]).all())
        found.note("finite centroids", finite, "the centroids are not finite")
        if all(used.get(number, 0) == count for number, count in kept.items()):
            found.repeated = True
            _check_repetition(deployment, run, record, found)
    return found


def _record(run: Run, found: Checked) -> ServerRecord | None:
    path = run.out / HEADS
    if not path.exists():  # nothing was asked
        return None
    try:
        return read_server_record(path)
    except ValueError as error:
        found.note("the server's record", False, str(error))
        return None


def _check_ledger(name: str, region: Region, record: ServerRecord, found: Checked) -> None:
    audit = audit_ledger(region.ledger, witness=witness_beside(region.ledger), heads=record.heads)
    found.note("ledgers audit clean", audit.usable and not audit.faults, f"{name}: {audit.faults}")
    rolled_back = [one for one in audit.unchecked if "Rollback" in one]
    found.note("witnesses are up to date", not rolled_back, f"{name}: {rolled_back}")


def _entries(region: Region, run: str) -> list[LedgerEntry]:
    account = read_account(region.ledger)
    return [entry for entry in account.entries.values() if entry.run == run]


def _check_repetition(
    deployment: Deployment, run: Run, record: ServerRecord, found: Checked
) -> None:
    """Give an undisturbed server the answers that the ledgers kept, and compare its results."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        # What ledgers keep is not signed again.
        told = {"out": folder, "wait_seconds": 1.0, "known_regions": ""}
        section = run.config.run.model_copy(update=told)
        config = run.config.model_copy(update={"run": section})
        grid = _Ledgers(deployment.regions.values(), record)
        with (
            patch.object(HeadBook, "objection", lambda book, answer: None),
            patch.object(server.app, "write_heads", lambda out, strategy: None),
        ):
            _run_server(grid, config, record.run)
        found.note("asked the same", not grid.strangers, f"rounds {grid.strangers} differ")
        for file in RESULTS:
            same = _arrays(out / file) == _arrays(run.out / file)
            found.note("results bit for bit", same, f"{file} differs")


def _run_server(grid: InProcessGrid, config: RunConfig, name: str) -> None:
    config.out.mkdir(exist_ok=True)
    server.app._run(grid, config, name)


def _arrays(path: Path) -> dict[str, bytes]:
    with np.load(path) as archive:
        return {key: archive[key].tobytes() for key in archive.files}


class _Ledgers(InProcessGrid):
    """Answers a server's questions with what the regions' ledgers kept for them."""

    def __init__(self, regions: Iterable[Region], record: ServerRecord) -> None:
        self._kept = [_replies(region, record.run) for region in regions]
        self._asked = {one.round_number: one.asked for one in record.rounds}
        self._round = 0
        self.strangers: list[int] = []
        super().__init__(lambda message, context: message, [{} for _ in self._kept])  # type: ignore[arg-type]
        self.client_app = self._answer  # type: ignore[assignment]

    def get_node_ids(self) -> list[int]:
        """Return as many as were asked, which requests tell: first those who answered."""
        following = self._round + 1
        nodes = sorted(self.contexts, key=lambda node: following not in self._kept_of(node))
        return sorted(nodes[: self._asked.get(following, len(nodes))])

    def _kept_of(self, node: int) -> dict[int, tuple[LedgerEntry, bytes]]:
        return self._kept[node - min(self.contexts)]

    def _answer(self, message: Message, context: Context) -> Message:
        request: Request = records_to_request(message.content)
        self._round = request.round_number
        kept = self._kept_of(message.metadata.dst_node_id).get(request.round_number)
        if kept is None:
            return Message(Error(ErrorCode.NODE_UNAVAILABLE, "no answer"), reply_to=message)
        entry, reply = kept
        if entry.fingerprint != request.query().fingerprint():
            self.strangers.append(request.round_number)
        content: RecordDict = answer_to_records(Release.from_bytes(reply))
        return Message(content, reply_to=message)


def _replies(region: Region, run: str) -> dict[int, tuple[LedgerEntry, bytes]]:
    with LedgerFile(region.ledger).reading() as rows:
        kept = dict(rows.replies())
    return {
        entry.round_number: (entry, kept[entry.entry])
        for entry in _entries(region, run)
        if entry.state == COMMITTED
    }
