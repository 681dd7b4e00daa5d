"""A client whose disk fails under it: a program for the tests of sick disks.

folder  ->  what the door said while the disk was sick, and when it was well again, as JSON

A program of its own, because the limit on the size of files, the user that it
runs as and the disks that it mounts are those of a whole process.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from privacy.door import Door
from privacy.errors import LedgerError
from privacy.ledger_check import verify_ledger
from privacy.query import Contributions, NoiseKind
from privacy.release import Refusal
from privacy.window import Window
from tests.privacy.examples import SEED, a_door, a_query, users

PEOPLE: Mapping[str, Contributions] = {"sums": users([[1, 0], [0, 1]])}
NOBODY = 65534
"""A user that owns nothing."""
TRIES = 12
"""Of each case, with another number of bytes that still fit in."""
PAGE = 4096
WITNESS = "witness.jsonl"
LONG_AGO = b"\n" * 500_000
"""Begins a witness that is larger than any other file here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one question brought.

    Attributes
    ----------
    answer : str
        Its type.
    reason : str
        Of a refusal.
    recorded : bool
        Whether the answer has a signed head.
    touched : bool
        Whether anything was computed from users.
    charged : int
        Entries of the ledger afterwards; -1 where it cannot be read.
    """

    answer: str
    reason: str
    recorded: bool
    touched: bool
    charged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sickness: round 2 while it lasts; afterwards round 2 again, and round 3.

    Attributes
    ----------
    name : str
    sick, again, further : Look
    faults : list of str
        Of the ledger, in the end.
    """

    name: str
    sick: Look
    again: Look
    further: Look
    faults: list[str]


def a_client(folder: Path, witness: str = WITNESS) -> Door:
    return a_door(folder, noise=NoiseKind.DISCRETE, witness=folder / witness, epsilon=1e3)


def ask(door: Door, round_number: int, meanwhile: Callable[[], None] = lambda: None) -> Look:
    """Ask for one round; ``meanwhile`` happens while the users' sum is computed."""
    touched = []

    def contribute(window: Window) -> Mapping[str, Contributions]:
        touched.append(window)
        meanwhile()
        return PEOPLE

    answer = door.answer(a_query(round_number=round_number), contribute)
    return Look(
        answer=type(answer).__name__,
        reason=answer.reason if isinstance(answer, Refusal) else "",
        recorded=answer.is_genuine,
        touched=bool(touched),
        charged=charges(door.ledger.path),
    )


def charges(path: Path) -> int:
    try:
        account = verify_ledger(path).account
    except LedgerError:
        return -1
    return len(account.entries) if account else -1


def recovered(name: str, door: Door, sick: Look, witness: str = WITNESS) -> Case:
    """Ask again, and further, now that the disk is well."""
    again, further = ask(door, 2), ask(door, 3)
    home = door.ledger.path.parent
    try:
        faults = verify_ledger(door.ledger.path, witness=home / witness).faults
    except LedgerError as error:
        faults = [str(error)]
    return Case(name=name, sick=sick, again=again, further=further, faults=faults)


# A disk that is full: no file grows beyond some size.


def fill_up(size: int = resource.RLIM_INFINITY) -> None:
    """Let no file grow beyond ``size`` bytes; by default, let them all."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def growing(folder: Path) -> tuple[Door, sqlite3.Connection, Path]:
    """Answer round 1; let SQLite's log only grow, and be larger than its own index."""
    door, log = a_client(folder), folder / "ledger.sqlite-wal"
    ask(door, 1)
    idle = sqlite3.connect(door.ledger.path)
    idle.execute("SELECT count(*) FROM records").fetchall()
    while not log.exists() or log.stat().st_size < 10 * PAGE:
        door.refuse(a_query(), "another-reason", "Fills the log up.")
    return door, idle, log


def growth(folder: Path) -> tuple[int, int]:
    """Measure how many bytes a reservation and a commit add to SQLite's log."""
    door, idle, log = growing(folder)
    sizes = [log.stat().st_size]
    ask(door, 2, lambda: sizes.append(log.stat().st_size))
    sizes.append(log.stat().st_size)
    idle.close()
    return sizes[1] - sizes[0], sizes[2] - sizes[1]


def full_while_reserving(folder: Path, room: int) -> Case:
    door, idle, log = growing(folder)
    fill_up(log.stat().st_size + room)
    sick = ask(door, 2)
    fill_up()
    case = recovered(f"{room} bytes of room", door, sick)
    idle.close()
    return case


def full_while_committing(folder: Path, room: int) -> Case:
    door, idle, log = growing(folder)
    sick = ask(door, 2, lambda: fill_up(log.stat().st_size + room))
    fill_up()
    case = recovered(f"{room} bytes of room", door, sick)
    idle.close()
    return case


def full_while_witnessing(folder: Path, room: int) -> Case:
    door, witness = a_client(folder), folder / WITNESS
    ask(door, 1)
    witness.write_bytes(LONG_AGO + witness.read_bytes())
    fill_up(witness.stat().st_size + room)
    sick = ask(door, 2)
    fill_up()
    return recovered(f"{room} bytes of room", door, sick)


def full_while_beginning(folder: Path, room: int) -> Case:
    """Begin on a full disk; where a key is left over, remove it as the door's error says."""
    door = a_client(folder)
    fill_up(room)
    sick = ask(door, 2)
    fill_up()
    if ask(door, 2).charged < 1:
        (folder / "ledger.key").unlink()
    return recovered(f"{room} bytes of room", door, sick)


def never_witnessed(folder: Path) -> Case:
    """Have no place for the witness when its very first line is due."""
    folder.mkdir()
    elsewhere = folder / "elsewhere"
    elsewhere.write_text("not a folder")
    door = a_client(folder, f"{elsewhere.name}/{WITNESS}")
    sick = ask(door, 2)
    elsewhere.unlink()
    return recovered("no place", door, sick, f"{elsewhere.name}/{WITNESS}")


def full_disks(folder: Path) -> dict[str, list[Case]]:
    rng = np.random.default_rng(SEED)
    reserving, committing = growth(folder / "measured")
    line = len((folder / "measured" / WITNESS).read_bytes().splitlines()[1]) + 2
    rooms: dict[str, tuple[Callable[[Path, int], Case], int]] = {
        "reserve": (full_while_reserving, reserving),
        "commit": (full_while_committing, committing),
        "witness": (full_while_witnessing, line),
        "begin": (full_while_beginning, 9 * PAGE),
    }
    return {
        name: [
            run(folder / f"{name}-{room}", room)
            for room in sorted({0, 1, *rng.integers(most, size=TRIES).tolist()})
        ]
        for name, (run, most) in rooms.items()
    }


# A real disk, as small as a few pages; none where none can be mounted.


def mounted_disks(folder: Path) -> dict[str, list[Case]]:
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() or not mount or not umount:
        return {"small": [], "read-only": []}
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return {"small": [], "read-only": []}
    try:
        small = [full_but_for(folder / f"{pages}", pages) for pages in range(16)]
        return {"small": small, "read-only": [read_only(folder / "read-only", mount)]}
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True)


def full_but_for(folder: Path, pages: int) -> Case:
    door, filler = a_client(folder), folder / "filler"
    ask(door, 1)
    door.ledger.account()  # the last to close the file removes SQLite's log
    free = os.statvfs(folder)
    filler.write_bytes(bytes((free.f_bfree - pages) * free.f_bsize))
    sick = ask(door, 2)
    filler.unlink()
    case = recovered(f"{pages} pages of room", door, sick)
    shutil.rmtree(folder)
    return case


def read_only(folder: Path, mount: str) -> Case:
    door = a_client(folder)
    ask(door, 1)
    door.ledger.account()
    subprocess.run([mount, "-o", "remount,ro", str(folder.parent)], check=True)
    sick = ask(door, 2)
    subprocess.run([mount, "-o", "remount,rw", str(folder.parent)], check=True)
    return recovered("read-only", door, sick)


# A disk that may not be written.


@contextmanager
def as_nobody() -> Iterator[None]:
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def give_to(owner: int, path: Path, *, writable: bool) -> None:
    os.chown(path, owner, owner)
    path.chmod((0o700 if writable else 0o555) if path.is_dir() else 0o600 if writable else 0o444)


def unwritable(folder: Path, name: str) -> Case:
    """Take the right to write one thing away from a client that runs as nobody."""
    door = a_client(folder)
    ask(door, 1)
    door.ledger.account()  # the last to close the file removes SQLite's log
    for path in (folder, *folder.iterdir()):
        give_to(NOBODY, path, writable=True)
    give_to(0, folder / name, writable=False)
    with as_nobody():
        sick = ask(door, 2)
    for path in (folder, *folder.iterdir()):
        give_to(NOBODY, path, writable=True)
    with as_nobody():
        return recovered(name, door, sick)


def nowhere_to_begin(folder: Path) -> Case:
    folder.mkdir()
    door = a_client(folder)
    with as_nobody():
        sick = ask(door, 2)
    give_to(NOBODY, folder, writable=True)
    with as_nobody():
        return recovered("nowhere", door, sick)


def unwritable_disks(folder: Path) -> dict[str, list[Case]]:
    if os.geteuid():
        return {f"unwritable {name}": [] for name in ("folder", "ledger", "witness", "begin")}
    return {
        "unwritable folder": [unwritable(folder / "folder", ".")],
        "unwritable ledger": [unwritable(folder / "ledger", "ledger.sqlite")],
        "unwritable witness": [unwritable(folder / "witness", WITNESS)],
        "unwritable begin": [nowhere_to_begin(folder / "begin")],
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    ask(a_client(folder / "warm"), 1)  # loads what nobody else may be allowed to read
    found = full_disks(folder) | unwritable_disks(folder) | mounted_disks(folder / "disk")
    found["first witness"] = [never_witnessed(folder / "never")]
    print(json.dumps({name: [asdict(case) for case in cases] for name, cases in found.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
