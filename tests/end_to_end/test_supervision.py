"""Processes are kept running, and nothing of them is left behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import psutil
import pytest

from deployment.errors import SupervisionError
from deployment.hosting.leftovers import end, is_alive, processes_of
from deployment.hosting.supervision import Program, Supervisor

T = TypeVar("T")
SLEEPER = "import time; time.sleep(600)"
# Leaves a child without an environment in its group and one in a session of its own, and does
# not end when it is asked to.
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = [sys.executable, "-c", "import time; time.sleep(600)"]
pids = [subprocess.Popen(child, env={}).pid, subprocess.Popen(child, start_new_session=True).pid]
pathlib.Path("children").write_text(" ".join(map(str, pids)))
time.sleep(600)
"""
TELLER = """
import json, os, pathlib, sys, time
pathlib.Path("told").write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
time.sleep(600)
"""


def python(name: str, code: str, *arguments: str, stop_seconds: float = 5.0) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-c", code, *arguments),
        environment={"SECRET": 'it\'s "quoted" %(x)s ; #'},
        stop_seconds=stop_seconds,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as near_the_root:  # a socket's path has to be short
        folder = Path(near_the_root) / "a folder's; #100%"
        yield folder
        assert end(processes_of(folder)) == []


def wait_for(get: Callable[[], T | None], seconds: float = 20.0) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = get()
        if value is not None:
            return value
        time.sleep(0.1)
    raise AssertionError(f"nothing within {seconds} seconds")


def new_pid(supervisor: Supervisor, old: int) -> Callable[[], int | None]:
    def get() -> int | None:
        pid = supervisor.states()[0].pid
        return pid if pid not in (None, old) else None

    return get


def test_a_program_runs_exactly_as_told_and_inherits_nothing_of_flowers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLWR_INTERNAL_GRPC_CONTROL_API", "1")
    supervisor = Supervisor(folder, [python("teller", TELLER, "a b", "'\" % ; #", "")])
    supervisor.start()
    try:
        arguments, environment = json.loads(wait_for(lambda: text(folder / "told")))
        assert arguments == ["a b", "'\" % ; #", ""]
        assert environment["SECRET"] == 'it\'s "quoted" %(x)s ; #'
        assert not [key for key in environment if key.startswith(("FLWR_", "SUPERVISOR_"))]
        assert [state.name for state in supervisor.states()] == ["teller"]
        exposed = [
            file.name
            for file in (folder, *folder.rglob("*"))
            if stat.S_IMODE(file.stat().st_mode) & 0o077
        ]
        assert exposed == []
        with pytest.raises(SupervisionError, match="run already"):
            supervisor.start()
    finally:
        supervisor.stop()
    assert supervisor.states() == []
    supervisor.stop()  # again: nothing to do


def text(path: Path) -> str | None:
    return path.read_text() if path.exists() and path.read_text() else None


def test_a_killed_program_comes_back_and_nothing_of_it_stays(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor(folder, [python("stubborn", STUBBORN, stop_seconds=1.0)])
    supervisor.start()
    try:
        orphans = [int(pid) for pid in wait_for(lambda: text(folder / "children")).split()]
        pid = supervisor.states()[0].pid
        assert pid is not None
        (folder / "children").unlink()
        os.kill(pid, signal.SIGKILL)
        wait_for(new_pid(supervisor, pid))
        wait_for(lambda: None if any(map(psutil.pid_exists, orphans)) else True)
        detached = int(wait_for(lambda: text(folder / "children")).split()[1])
    finally:
        supervisor.stop()
    assert processes_of(folder) == []
    assert f"Left behind and now ended: processes [{detached}]" in caplog.text


def test_a_supervisor_that_hangs_is_seen_and_the_next_start_keeps_nothing_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployment.hosting.supervisor_remote._SECONDS", 1.0)
    supervisor = Supervisor(folder, [python("sleeper", SLEEPER)])
    supervisor.start()
    family = processes_of(folder)
    assert len(family) == 2
    pid = supervisor.states()[0].pid
    assert pid is not None
    os.kill(psutil.Process(pid).ppid(), signal.SIGSTOP)
    assert supervisor.states() == []
    supervisor.start()
    try:
        assert not any(map(is_alive, family))
        assert supervisor.states()[0].pid not in (None, pid)
    finally:
        supervisor.stop()
    assert processes_of(folder) == []


def test_a_program_that_does_not_come_up_stops_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployment.hosting.supervision._START_SECONDS", 5.0)
    monkeypatch.setattr("deployment.hosting.supervision._SETTLE_SECONDS", 10)  # on a busy machine
    programs = [python("sleeper", SLEEPER), python("broken", "raise SystemExit(3)")]
    supervisor = Supervisor(folder, programs)
    with pytest.raises(SupervisionError, match="broken did not come up within"):
        supervisor.start()
    assert supervisor.states() == []
    assert processes_of(folder) == []


def test_a_missing_program_is_told_before_anything_starts(folder: Path) -> None:
    missing = Program(name="missing", command=("no-such-program",), environment={})
    with pytest.raises(SupervisionError, match="no-such-program, which is not there"):
        Supervisor(folder, [missing]).start()
    assert not folder.exists()


def test_a_folder_too_deep_for_a_socket_is_told(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    with pytest.raises(SupervisionError, match="too long"):
        Supervisor(deep, [python("sleeper", SLEEPER)]).start()
    assert not deep.exists()


SLOW = """
import pathlib, signal, sys, time
def end(*_):
    time.sleep(8)
    pathlib.Path("finished").write_text("whole")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path("ready").write_text("yes")
time.sleep(600)
"""


def test_a_program_gets_its_time_to_end(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor(folder, [python("slow", SLOW, stop_seconds=20.0)])
    supervisor.start()
    try:
        wait_for(lambda: text(folder / "ready"))
    finally:
        supervisor.stop()
    assert text(folder / "finished") == "whole"
    assert "Left behind" not in caplog.text


STANDS_STILL = """
import pathlib, time
from deployment.hosting.standing_still import stand_still
with pathlib.Path("starts").open("a") as file:
    file.write("x")
if pathlib.Path("wrong").exists():
    assert stand_still("The rules are wrong. Put them right.")
time.sleep(600)
"""


def test_a_program_that_waits_for_somebody_stays_down_and_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployment.hosting.supervision._SETTLE_SECONDS", 12)
    supervisor = Supervisor(folder, [python("sleeper", SLEEPER), python("waits", STANDS_STILL)])
    folder.mkdir(mode=0o700)
    (folder / "wrong").touch()
    with pytest.raises(SupervisionError, match="waits does not start: The rules are wrong"):
        supervisor.start()
    assert supervisor.states() == []
    (folder / "wrong").unlink()
    (folder / "starts").unlink()
    monkeypatch.undo()
    supervisor.start()
    try:
        sleeper, waits = supervisor.states()
        assert waits.pid is not None
        wait_for(lambda: text(folder / "starts"))
        (folder / "wrong").touch()
        os.kill(waits.pid, signal.SIGKILL)
        held = wait_for(lambda: next((one for one in supervisor.states() if one.reason), None))
        assert (held.name, held.state) == ("waits", "STOPPED")
        assert "waits for you: The rules are wrong. Put them right." in held.line()
        time.sleep(3.0)
        assert text(folder / "starts") == "xx"  # none since
        assert supervisor.states()[0].pid == sleeper.pid
    finally:
        supervisor.stop()


def test_a_supervisor_in_the_foreground_ends_all_when_it_is_told_to(folder: Path) -> None:
    code = """
import pathlib, sys
from deployment.hosting.supervision import Program, Supervisor
programs = [Program(name="sleeper", command=(sys.executable, "-c", sys.argv[2]), environment={})]
Supervisor(pathlib.Path(sys.argv[1]), programs).run()
"""
    service = subprocess.Popen([sys.executable, "-c", code, str(folder), SLEEPER])
    supervisor = Supervisor(folder, [python("sleeper", SLEEPER)])
    try:
        found = wait_for(lambda: next((one for one in supervisor.states() if one.pid), None))
        assert psutil.Process(found.pid).ppid() == service.pid  # it became the supervisor
        with pytest.raises(SupervisionError, match="run already"):
            supervisor.start()
        service.terminate()
        assert service.wait(20) == 0
        assert processes_of(folder) == []
    finally:
        service.kill()
        service.wait(10)
