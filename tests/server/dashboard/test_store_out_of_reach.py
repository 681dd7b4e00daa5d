"""A disk that is really full, and permissions taken away meanwhile: told in words, and got over."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.dashboard import stored
from server.dashboard.stored import FRESH_SECONDS
from tests.server.dashboard.test_process import COMMAND, PROJECT, address, free_port
from tests.server.dashboard.test_store_away import assert_away, assert_back, record, site

NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "FRESH_SECONDS", 0.0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mounting, capture_output=True, text=True, check=False, timeout=20)
    except OSError as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield place
    unmounting = ["umount", "--lazy", str(place)]
    subprocess.run(unmounting, check=True, timeout=20)


def filled_up(disk: Path) -> Path:
    """Write a file until nothing more fits on the disk."""
    path, left = disk / "filling", True
    with path.open("wb", buffering=0) as file:
        while left:
            try:
                file.write(b"\0" * 4096)
            except OSError as error:
                left = error.errno != errno.ENOSPC
    return path


def test_a_full_disk_is_called_full_and_the_page_comes_back(
    small_disk: Path, tmp_path: Path
) -> None:
    """Who reads a write-ahead log needs a little room beside it, too."""
    path = small_disk / "store.sqlite"
    record(str(path))
    client = site(path, tmp_path)
    assert_back(client)
    filling = filled_up(small_disk)
    assert_away(client, "its disk is full")
    filling.unlink()
    assert_back(client)


def test_a_disk_that_fills_up_while_a_run_writes_keeps_no_reader_out(
    small_disk: Path, tmp_path: Path
) -> None:
    path = small_disk / "store.sqlite"
    record(str(path))
    client = site(path, tmp_path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("UPDATE run SET declared_users = 77, updated = '2030-01-01 00:00:00.000000'")
    filling = filled_up(small_disk)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        writer.execute("UPDATE run SET statement = ?", ("x" * 200_000,))
    assert_back(client)
    assert client.get("/api/v1/runs").json()["runs"][0]["declared_users"] == 77
    filling.unlink()
    writer.execute("UPDATE run SET declared_users = 78, updated = '2030-01-02 00:00:00.000000'")
    writer.close()
    assert client.get("/api/v1/runs").json()["runs"][0]["declared_users"] == 78


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that other users reach, which those of tests are not."""
    place = Path(tempfile.mkdtemp(prefix="fedinterest-"))
    place.chmod(0o755)
    yield place
    for path in (place / "folder", place / "folder" / "store.sqlite"):
        path.chmod(0o777)
    shutil.rmtree(place)


def as_somebody_else() -> list[str]:
    """Return what makes a command one of a user whom permissions bind; root's are not."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read all, and there is no setpriv to be somebody else")
    trying = [*NOBODY, sys.executable, "-c", "import fedinterest"]
    if subprocess.run(trying, capture_output=True, check=False, cwd=PROJECT).returncode != 0:
        pytest.skip("nobody may not run Python from here, and root may read all")
    return NOBODY


def test_permissions_taken_away_from_file_and_folder_while_it_runs(open_folder: Path) -> None:
    folder = open_folder / "folder"
    path = folder / "store.sqlite"
    record(str(path))
    path.chmod(0o666)
    folder.chmod(0o777)
    settings = open_folder / "dashboard.toml"
    settings.write_text(f'store = "{path}"\ndata = "people"\nport = {free_port()}\n')
    with (open_folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*as_somebody_else(), *COMMAND, "--settings", str(settings)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=PROJECT,
        )
    try:
        with httpx.Client(base_url=address(process), timeout=30) as client:
            _taken_and_given_back(client, path)
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    assert "Traceback" not in (open_folder / "log").read_text()


def _taken_and_given_back(client: httpx.Client, path: Path) -> None:
    def asked() -> httpx.Response:
        time.sleep(FRESH_SECONDS)  # so long what was last known is good enough
        return client.get("/api/v1/runs")

    def assert_told(reason: str) -> None:
        told = asked()
        assert (told.status_code, told.json()["error"]) == (503, "store")
        assert reason in told.json()["message"]

    def give_back() -> None:
        path.parent.chmod(0o777)
        path.chmod(0o666)
        assert [one["id"] for one in asked().json()["runs"]] == ["spring-1"]

    give_back()
    path.chmod(0)
    assert_told("this process may not read it")
    give_back()
    path.parent.chmod(0)
    assert_told("Permission denied")
    give_back()
    # Nothing can be written: neither the store nor, beside it, what readers share.
    path.chmod(0o444)
    path.parent.chmod(0o555)
    assert_told("this process may not write beside it")
    path.parent.chmod(0o777)
    assert_told("would keep those out who record runs")
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    give_back()
