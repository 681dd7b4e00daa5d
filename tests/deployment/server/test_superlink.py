"""A SuperLink that can start no runs any more does not stay as if it could."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from deployment.server.superlink import EXECUTOR, own_executors, watch


@pytest.fixture
def executor() -> Iterator[subprocess.Popen[bytes]]:
    """A child that looks like the process that starts runs, and is never reaped meanwhile."""
    command = [sys.executable, "-c", "import time; time.sleep(600)", f"/somewhere/{EXECUTOR}"]
    process = subprocess.Popen(command)
    yield process
    process.kill()
    process.wait()


def test_it_ends_once_what_starts_runs_has_gone(executor: subprocess.Popen[bytes]) -> None:
    told: list[str] = []
    looks: list[list[psutil.Process]] = [[], [psutil.Process(executor.pid)]] * 2

    def executors() -> list[psutil.Process]:
        return looks.pop(0) if looks else [psutil.Process(executor.pid)]

    def sleep(seconds: float) -> None:
        assert seconds > 0
        told.append("waited")
        if len(told) == 1:  # it has not been started yet, which is no reason to end
            return
        executor.kill()
        psutil.wait_procs([], 0)
        while psutil.Process(executor.pid).status() != psutil.STATUS_ZOMBIE:
            continue

    watch(executors, lambda: told.append("ended"), sleep)
    assert told[0] == "waited"
    assert told[-1] == "ended"
    assert told.count("ended") == 1


def test_its_child_is_known_by_its_command(executor: subprocess.Popen[bytes]) -> None:
    assert executor.pid in [process.pid for process in own_executors()]
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert other.pid not in [process.pid for process in own_executors()]
    finally:
        other.kill()
        other.wait()
