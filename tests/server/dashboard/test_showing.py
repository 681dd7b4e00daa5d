"""A dashboard beside another command: there while that runs, and gone with it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from commands.showing import USUAL_PORT, dashboard_on, shown_live
from server.run_store.errors import StoreError
from server.run_store.opening import open_store

PROJECT = Path(__file__).parents[3]
PROGRAM = """
import sys
from commands.showing import shown_live
with shown_live(sys.argv[1], opens=False):
    print("recording", flush=True)
"""


def is_there(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_it_is_there_as_long_as_it_is_needed(tmp_path: Path) -> None:
    store = str(tmp_path / "store.sqlite")
    open_store(store).close()
    with dashboard_on(store) as address:
        assert is_there(address)
        assert "There is no run yet" in httpx.get(f"{address}/overview").text
    assert not is_there(address)


def test_port_that_is_taken_is_no_reason_to_fail(tmp_path: Path) -> None:
    store = str(tmp_path / "store.sqlite")
    open_store(store).close()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", USUAL_PORT))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is what this is about
        with dashboard_on(store) as address:
            assert not address.endswith(f":{USUAL_PORT}")
            assert is_there(address)


def test_store_that_cannot_be_made_stops_it_before_anything_is_run(tmp_path: Path) -> None:
    ran = []
    with pytest.raises(StoreError, match="is a folder"), shown_live(str(tmp_path), opens=False):
        ran.append(1)
    assert ran == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
def test_it_stays_until_it_is_told_to_end(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "store.sqlite")]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().split()[-1]
        assert process.stdout.readline() == "recording\n"
        assert "Ctrl-C ends it" in process.stdout.readline()
        time.sleep(0.3)
        assert process.poll() is None
        assert is_there(address)
        process.send_signal(number)
        assert process.wait(20) == 0
    assert not is_there(address)
