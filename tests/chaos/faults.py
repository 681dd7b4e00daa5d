"""What goes wrong, and what an operator then does.

strike(...)  ->  what mends it, to be called once the fault has lasted long enough

Processes are killed with SIGKILL, by their number. A disk is filled up by one large file.
A clock is wrong for one agent's processes (``wrong_clock.c``). A database is locked by another
program's open transaction.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

import psutil

from deployment.agent import host as agent_host
from deployment.agent.host import EXECUTOR, NODE
from deployment.hosting.leftovers import processes_of
from deployment.server import host as server_host
from deployment.server.programs import NGINX, SUPERLINK
from tests.chaos.deployment import Deployment, Region
from tests.chaos.network import CUT, SLOW, WHOLE
from tests.chaos.plan import Kind, Trial
from tests.chaos.running import Run

Mend = Callable[[], None]
LASTS = {
    Kind.NETWORK_CUT_5: 5.0,
    Kind.NETWORK_CUT_30: 30.0,
    Kind.NETWORK_SLOW: 600.0,
    Kind.REGION_DISK_FULL: 15.0,
    Kind.SERVER_DISK_FULL: 15.0,
    Kind.LEDGER_LOCKED: 15.0,
    Kind.SUPERLINK_DATABASE_LOCKED: 15.0,
    Kind.CLOCK_AHEAD: 600.0,
    Kind.CLOCK_BEHIND: 600.0,
    Kind.AGENT_GONE: 600.0,
}
"""Seconds until it is mended, where the run does not end before; others at once."""
_CLOCK = Path(__file__).with_name("wrong_clock.c")
_FILLER = "filler"
_PIECE = 1 << 20


def cannot(kind: Kind, *, own_disks: bool) -> str | None:
    """Return why a kind of fault cannot be had on this machine; None if it can."""
    if kind in (Kind.REGION_DISK_FULL, Kind.SERVER_DISK_FULL) and not own_disks:
        return "a small disk can be mounted by root in a namespace of its own only"
    if kind in (Kind.CLOCK_AHEAD, Kind.CLOCK_BEHIND) and shutil.which("cc") is None:
        return "there is no C compiler for wrong_clock.c"
    return None


def strike(trial: Trial, deployment: Deployment, run: Run) -> Mend:
    """Let a trial's fault happen; return what mends it."""
    region = deployment.regions[trial.region]
    server = deployment.server.supervision
    kind = trial.kind
    if kind is Kind.NODE_KILLED:
        return _killed(_named(region, NODE))
    if kind is Kind.EXECUTOR_KILLED:
        return _killed(_named(region, EXECUTOR))
    if kind is Kind.AGENT_SUPERVISOR_KILLED:
        return _killed(_supervisor(region.agent.deployment.supervision), lambda: _up(region))
    if kind in (Kind.AGENT_KILLED, Kind.AGENT_GONE):
        return _killed(processes_of(region.agent.deployment.supervision), lambda: _up(region))
    if kind is Kind.SERVER_APP_KILLED:
        return _killed(run.processes())
    if kind is Kind.SUPERLINK_KILLED:
        return _killed(_main_of(server, SUPERLINK))
    if kind is Kind.NGINX_KILLED:
        return _killed(_main_of(server, NGINX))
    if kind is Kind.SERVER_KILLED:
        folder = deployment.server.folder
        return _killed(processes_of(server), lambda: _none(server_host.up(folder)))
    if kind in (Kind.NETWORK_CUT_5, Kind.NETWORK_CUT_30, Kind.NETWORK_SLOW):
        region.link.link = SLOW if kind is Kind.NETWORK_SLOW else CUT
        return lambda: setattr(region.link, "link", WHOLE)
    if kind is Kind.REGION_DISK_FULL:
        return _full(region.folder)
    if kind is Kind.SERVER_DISK_FULL:
        return _full(deployment.server.folder)
    if kind is Kind.LEDGER_LOCKED:
        return _locked(region.ledger)
    if kind is Kind.SUPERLINK_DATABASE_LOCKED:
        return _locked(deployment.server.database)
    if kind in (Kind.CLOCK_AHEAD, Kind.CLOCK_BEHIND):
        return _clock(region, 3600 if kind is Kind.CLOCK_AHEAD else -3600)
    return _nothing


def _nothing() -> None:
    return


def _none(found: object) -> None:
    del found


def _up(region: Region) -> None:
    agent_host.up(region.agent)


def _killed(processes: Iterable[psutil.Process], mend: Mend = _nothing) -> Mend:
    struck = list(processes)
    if not struck:
        raise RuntimeError("there was nothing to kill")
    for process in struck:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return mend


def _named(region: Region, name: str) -> list[psutil.Process]:
    return _main_of(region.agent.deployment.supervision, name)


def _main_of(folder: Path, name: str) -> list[psutil.Process]:
    """Return the one process of a program that its supervisor has started."""
    (supervisor,) = _supervisor(folder)
    return [one for one in processes_of(folder, name) if one.ppid() == supervisor.pid]


def _supervisor(folder: Path) -> list[psutil.Process]:
    return [one for one in processes_of(folder) if "supervisor.supervisord" in one.cmdline()]


def _full(folder: Path) -> Mend:
    filler = folder / _FILLER
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * _PIECE)
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(b"\0" * 512):
            continue
    if shutil.disk_usage(folder).free > _PIECE:
        raise RuntimeError(f"{folder} could not be filled up")
    return filler.unlink


def _locked(path: Path) -> Mend:
    database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    database.execute("BEGIN IMMEDIATE")

    def unlock() -> None:
        with closing(database):
            database.execute("ROLLBACK")

    return unlock


def _clock(region: Region, seconds: int) -> Mend:
    """Restart a region under another clock."""
    library = region.folder / "wrong-clock.so"
    compiler = shutil.which("cc") or "cc"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(_CLOCK)], check=True)
    agent_host.down(region.agent)
    told = {"LD_PRELOAD": str(library), "WRONG_CLOCK_SECONDS": str(seconds)}
    before = {name: os.environ.get(name) for name in told}
    os.environ |= told
    try:
        agent_host.up(region.agent)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value

    def right() -> None:
        agent_host.down(region.agent)
        agent_host.up(region.agent)

    return right


def later(mend: Mend, kind: Kind, over: Callable[[], bool]) -> None:
    """Mend a fault once it has lasted long enough, or as soon as ``over`` holds."""
    deadline = time.monotonic() + LASTS.get(kind, 1.0)
    while time.monotonic() < deadline and not over():
        time.sleep(0.2)
    mend()
