"""The ledger, its witness and the keys: read as bytes and copied, so that nothing is changed.

SQLite leaves traces beside a database even where it is only read. So a copy is looked at, taken
while nobody writes; whether somebody does, the lock on its shared memory tells.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from deployment.agent.doctor.finding import Finding, not_checked, warning, well, wrong
from deployment.agent.doctor.patient import Patient
from deployment.agent.enrolment_note import EnrolmentNote, read_note
from deployment.errors import DeploymentError
from deployment.hosting.node_key import NodeKey
from privacy.errors import LedgerError, PrivacyError
from privacy.ledger_check import is_elsewhere, verify_ledger
from privacy.records import Account
from privacy.signing import SigningKey

TRIES, PAUSE = 20, 0.25
"""A transaction takes far less than five seconds."""
WRITE_LOCK = 120
"""Byte of a write-ahead log's shared memory that is locked by who writes (SQLite, wal.c)."""
_FLOCK = "hhqqi0q"
"""C's struct flock on Linux, 64 bits: type, whence, start, length, process."""


class BusyLedgerError(Exception):
    """A ledger that somebody has been writing to all the time."""


def look_at_ledger(patient: Patient) -> tuple[list[Finding], Account | None]:
    """Audit the ledger; return what its records add up to, too, if they can be read."""
    path = patient.settings.ledger
    if not path.is_file():
        remedy = (
            "If it is lost, restore it: a key without its ledger begins no new one. "
            "If this agent is new, `agent init` or `agent enroll` makes it."
        )
        return [wrong("ledger", f"There is no ledger in {path}.", remedy)], None
    findings = [_lock(path)]
    try:
        with TemporaryDirectory(prefix="fedinterest-doctor-") as folder:
            # The witness first: what is added meanwhile is in the ledger, and not missed there.
            witness = _copy_witness(patient.witness, Path(folder))
            found = verify_ledger(copy_whole(path, Path(folder)), witness=witness)
        elsewhere = found.account is not None and is_elsewhere(path, found.account)
    except BusyLedgerError:
        return [*findings, not_checked("ledger", "Somebody writes to it all the time.")], None
    except (LedgerError, OSError) as error:
        return [*findings, wrong("ledger", str(error), _RESTORE)], None
    findings.append(_verdict(path, found.faults, found.account, elsewhere))
    findings.append(_witnessed(patient, found.account))
    return findings, found.account


_RESTORE = (
    "Stop the agent. Restore the newest backup that is not behind its witness, or ask the privacy "
    "officer: docs/deployment.md, backup and restore."
)


def _verdict(path: Path, faults: list[str], account: Account | None, elsewhere: bool) -> Finding:
    if faults:
        return wrong("ledger", " ".join(faults), _RESTORE)
    if elsewhere:
        return wrong(
            "ledger",
            f"{path} is whole, but was copied or moved: its agent does not use it.",
            "If no other copy is in use: fedinterest ledger adopt LEDGER --reason WHY.",
        )
    records = account.sequence if account else 0
    return well("ledger", f"{path}: {records} records; chain, signatures and replies hold.")


def _witnessed(patient: Patient, account: Account | None) -> Finding:
    """Look whether there is a witness, where its ledger has released something."""
    name, witness = "witness", patient.witness
    if not witness.exists():
        if account is None or not account.answers:
            return well(name, "Nothing was released yet; the witness begins with the first time.")
        return wrong(
            name,
            f"Witness {witness} is missing: without it nothing is answered.",
            "Restore it; or, if it is lost for good: fedinterest ledger adopt LEDGER --reason WHY.",
        )
    if witness.parent.stat().st_dev == patient.settings.ledger.parent.stat().st_dev:
        return warning(
            name,
            f"Witness {witness} is on the ledger's own disk: both can be rolled back together.",
            "Set `witness` in agent.toml to another disk, and copy the file there.",
        )
    return well(name, f"Witness {witness} is on another disk.")


def copy_whole(path: Path, folder: Path) -> Path:
    """Copy a ledger and its log, as they are between two transactions.

    Raises
    ------
    BusyLedgerError
        If they kept changing.
    """
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    for _ in range(TRIES):
        before = _marks(real, log)
        if lock_holder(real) is None:
            copied = folder / "ledger.sqlite"
            beside = folder / "ledger.sqlite-wal"
            beside.unlink(missing_ok=True)
            shutil.copyfile(real, copied)
            with suppress(FileNotFoundError):  # the last who wrote has put it away
                shutil.copyfile(log, beside)
            if _marks(real, log) == before:
                return copied
        time.sleep(PAUSE)
    raise BusyLedgerError


def _copy_witness(path: Path, folder: Path) -> Path | None:
    return shutil.copyfile(path, folder / "witness") if path.exists() else None


def _marks(*paths: Path) -> list[tuple[int, int, int] | None]:
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            found.append(None)
    return found


def lock_holder(path: Path) -> int | None:
    """Return the process that writes to a ledger now; None if nobody does."""
    shared = path.with_name(f"{path.name}-shm")
    try:
        with shared.open("rb") as file:
            asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, WRITE_LOCK, 1, 0)
            kind, *_, holder = struct.unpack(
                _FLOCK, fcntl.fcntl(file.fileno(), fcntl.F_GETLK, asked)
            )
    except OSError:
        return None  # nobody has the ledger open
    return None if kind == fcntl.F_UNLCK else int(holder)


def _lock(path: Path) -> Finding:
    name = "ledger-lock"
    for _ in range(TRIES):
        holder = lock_holder(path.resolve())
        if holder is None:
            return well(name, "Nobody holds the ledger.")
        time.sleep(PAUSE)
    return wrong(
        name,
        f"Process {holder} has been holding the ledger for {TRIES * PAUSE:g} s: nobody else can "
        "charge to it.",
        f"Look what process {holder} is; end it if it is no agent's.",
    )


def look_at_keys(patient: Patient) -> Iterator[Finding]:
    """Look at the private keys and the shared secret: there, and this user's alone."""
    deployment = patient.agent.deployment
    yield _ledger_key(patient.ledger_key)
    if not deployment.insecure:
        yield private("node-key", deployment.node_key)
        yield enrolment(patient)
    yield private("runtime-secret", deployment.runtime_secret)


def _ledger_key(path: Path) -> Finding:
    looked = private("ledger-key", path)
    if looked.remedy:
        return looked
    try:
        public = SigningKey.load(path).public
    except PrivacyError as error:
        return wrong("ledger-key", str(error), "Restore it from the backup: it has no substitute.")
    return well("ledger-key", f"{path} signs as {public}.")


def private(name: str, path: Path) -> Finding:
    """Look whether a secret is there, and nobody else can read it."""
    try:
        status = path.stat()
    except OSError as error:
        return wrong(
            name,
            f"{path} cannot be read ({error.strerror}).",
            "Restore it from the backup, or set agent.toml right.",
        )
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid():
        return wrong(
            name,
            f"{path} belongs to user {status.st_uid}, this is {os.geteuid()}.",
            "Run this as the agent's user, or give the file to it.",
        )
    if mode & 0o077:
        return wrong(
            name,
            f"{path} is open to others (mode {mode:04o}).",
            f"chmod 600 {path} if nobody has read it; else replace it: docs/deployment.md.",
        )
    return well(name, f"{path} is this user's alone.")


def enrolment(patient: Patient) -> Finding:
    """Compare the node's key with the one that was enrolled, as `agent enroll` noted it."""
    name, deployment = "enrolment", patient.agent.deployment
    try:
        note = read_note(deployment.node_key)
        if note is None:
            return not_checked(
                name,
                "`agent enroll` has not been used here: whether the server knows this node is not "
                "known.",
                "fedinterest agent enroll --token-file FILE.",
            )
        return _compared(patient, note, NodeKey.load(deployment.node_key).public)
    except DeploymentError as error:
        return wrong(name, str(error), "Restore the node's key, or enrol anew with a new one.")


def _compared(patient: Patient, note: EnrolmentNote, point: str) -> Finding:
    name = "enrolment"
    if note.node_key != point:
        return wrong(
            name,
            f"The node's key is not the one that was enrolled on {note.time[:10]}.",
            "Bring the enrolled key back, or enrol anew with a new token.",
        )
    if note.server != patient.agent.deployment.server:
        return warning(
            name,
            f"The region was enrolled at {note.server}, agent.toml names "
            f"{patient.agent.deployment.server}.",
            "If it is the same server under another name, enrol again with the same token.",
        )
    told = f"The server told on {note.time[:10]} that this node's key is {note.state}."
    if note.state == "approved":
        return well(name, told)
    return warning(name, told, "`agent enroll` with the same token asks how it stands now.")
