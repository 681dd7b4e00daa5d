"""The store may be missing, held, replaced or broken: pages say so in words, and come back."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from starlette.testclient import TestClient

from server.dashboard import stored
from server.dashboard.errors import StoreAwayError
from server.dashboard.settings import Settings
from server.dashboard.site import PAGES, create_site
from server.run_store.changes import versions
from server.run_store.errors import StoreError
from server.run_store.opening import open_store
from server.run_store.schema import Run
from tests.server.dashboard.site import browser, guarded, log_in, with_users
from tests.server.run_store.examples import MadeUp
from tests.server.run_store.postgres import is_installed, postgres

LOCAL = "http://127.0.0.1:8600"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the store each time, and wait for others only shortly."""
    monkeypatch.setattr(stored, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(stored, "BUSY_SECONDS", 0.2)


def record(place: str, run: str = "spring-1", name: str = "spring", **others: object) -> None:
    made_up = MadeUp(place, run=run, name=name, **others)  # type: ignore[arg-type]
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(2, recorder)
    recorder.stop()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "store.sqlite"
    record(str(path))
    return path


@pytest.fixture
def path(tmp_path: Path, recorded: Path) -> Path:
    """Return a store of the test's own, with one run."""
    return Path(shutil.copy(recorded, tmp_path / "store.sqlite"))


def site(place: object, folder: Path) -> TestClient:
    return browser(create_site(Settings(store=str(place), data=folder / "data")), LOCAL)


def assert_away(client: TestClient, *reasons: str) -> None:
    """Everything says that the store is away, and why."""
    for page in PAGES:
        answer = client.get(page.path)
        assert answer.status_code == 503, page.path
        for reason in ("The run store does not answer", *reasons):
            assert reason in answer.text, page.path
        assert answer.headers["retry-after"]
    told = client.get("/api/v1/runs")
    assert (told.status_code, told.json()["error"]) == (503, "store")
    assert all(reason in told.json()["message"] for reason in reasons)
    health = client.get("/healthz")
    assert (health.status_code, health.json()) == (503, {"status": "store away"})
    metrics = client.get("/metrics")
    assert metrics.status_code == 200
    families = {one.name: one for one in text_string_to_metric_families(metrics.text)}
    assert [sample.value for sample in families["fedinterest_store_up"].samples] == [0.0]
    assert "fedinterest_runs" not in families


def assert_back(client: TestClient, run: str = "spring-1") -> None:
    for page in PAGES:
        assert client.get(page.path).status_code == 200, page.path
    assert [one["id"] for one in client.get("/api/v1/runs").json()["runs"]] == [run]
    assert client.get(f"/runs/{run}").status_code == 200
    assert client.get("/healthz").status_code == 200
    assert "fedinterest_store_up 1.0" in client.get("/metrics").text


def test_it_starts_before_there_is_a_store_and_shows_it_once_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "later" / "store.sqlite"
    client = site(path, tmp_path)
    assert_away(client, "There is no run store at", "later/store.sqlite")
    assert not path.parent.exists()  # who reads makes nothing
    path.parent.mkdir()
    path.touch()
    assert_away(client, "is empty, no run store")
    record(str(path))
    assert_back(client)


def test_a_file_that_is_deleted_and_put_back(path: Path, tmp_path: Path) -> None:
    client = site(path, tmp_path)
    assert_back(client)
    kept = path.rename(tmp_path / "kept.sqlite")
    assert_away(client, "There is no run store at")
    kept.rename(path)
    assert_back(client)


@pytest.mark.parametrize("in_place", [False, True], ids=["renamed", "written over"])
def test_another_store_in_its_place_shows_nothing_of_the_first(
    path: Path, tmp_path: Path, in_place: bool
) -> None:
    """Both have as many runs, of the same name, begun and written at the same moments."""
    other = Path(shutil.copy(path, tmp_path / "other.sqlite"))
    with sqlite3.connect(other) as file:
        file.execute("UPDATE run SET id = 'other-1', declared_users = 77")
        file.execute("UPDATE round SET run_id = 'other-1'")
        file.execute("UPDATE release SET run_id = 'other-1'")
    file.close()
    client = site(path, tmp_path)
    assert_back(client)
    if in_place:
        shutil.copyfile(other, path)
    else:
        other.replace(path)
    assert_back(client, "other-1")
    assert client.get("/runs/spring-1").status_code == 404


def test_a_store_that_was_pruned_shows_what_is_left(path: Path, tmp_path: Path) -> None:
    from server.run_store.retention import prune

    client = site(path, tmp_path)
    address = "/api/v1/runs/spring-1/releases"
    assert len(client.get(address).json()) == 4
    store = open_store(str(path))
    prune(store, keep_days=1, keep_runs=5, now=datetime.now(UTC) + timedelta(days=9))
    store.close()
    assert client.get(address).json() == []


def test_who_holds_the_lock_for_writing_keeps_no_reader_out(path: Path, tmp_path: Path) -> None:
    client = site(path, tmp_path)
    for kind in ("IMMEDIATE", "EXCLUSIVE"):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute(f"BEGIN {kind}")
        assert_back(client)
        other.execute("ROLLBACK")
        other.close()


def test_a_store_that_is_held_as_a_whole_is_away_until_it_is_let_go(
    path: Path, tmp_path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")  # without its log, who writes keeps all out
    other.execute("BEGIN EXCLUSIVE")
    client = site(path, tmp_path)
    assert_away(client, "database is locked")
    other.execute("ROLLBACK")
    other.close()
    assert_back(client)


def test_many_who_ask_for_a_store_that_is_held_wait_for_it_only_once(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "FRESH_SECONDS", 5.0)
    asked: list[float] = []
    read = stored.Stored(str(path))

    def held(*_: object) -> dict[str, str]:
        asked.append(time.monotonic())
        raise StoreError("held")

    monkeypatch.setattr(stored, "versions", held)
    for _ in range(5):
        with pytest.raises(StoreAwayError, match="held"):
            read.is_ready()
    assert len(asked) == 1


def test_readers_go_on_where_nothing_can_be_written(path: Path, tmp_path: Path) -> None:
    """In a process that may not make files larger, which is what a full disk is like."""
    client = site(path, tmp_path)
    assert_back(client)
    program = (
        "import resource, sqlite3, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "with sqlite3.connect(sys.argv[1]) as file:\n"
        "    file.execute('UPDATE run SET name = ?, statement = ?', ('full', 'x' * 100_000))\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    writing = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "sqlite3.OperationalError: disk" in writing.stderr
    assert_back(client)
    assert client.get("/api/v1/runs").json()["runs"][0]["name"] == "spring"


def text_file(path: Path) -> None:
    path.write_text("Dear diary, " * 200)


def something_else(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE orders (id INTEGER)")
    file.close()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("UPDATE fedinterest_schema SET version_num = '9999'")
    file.close()


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(6000)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


BROKEN = [
    (text_file, "is no SQLite database"),
    (something_else, "holds other tables (orders)"),
    (newer, "a newer one has written it"),
    (cut_short, "The run store"),
    (folder, "is a folder"),
]


@pytest.mark.parametrize("serving", [False, True], ids=["from the start", "while it is served"])
@pytest.mark.parametrize(("broken", "reason"), BROKEN, ids=[one.__name__ for one, _ in BROKEN])
def test_what_is_no_store_is_said_to_be_none_and_left_alone(
    path: Path,
    recorded: Path,
    tmp_path: Path,
    broken: Callable[[Path], None],
    reason: str,
    serving: bool,
) -> None:
    client = site(path, tmp_path)
    if serving:
        assert_back(client)
    broken(path)
    content = None if path.is_dir() else path.read_bytes()
    assert_away(client, reason)
    assert content is None or path.read_bytes()[100:] == content[100:]
    path.rmdir() if path.is_dir() else path.unlink()
    shutil.copy(recorded, path)
    assert_back(client)


@pytest.mark.parametrize(
    ("column", "written"),
    [("config", "{half"), ("plan", ""), ("started", "yesterday"), ("updated", "2026-13-45")],
)
def test_a_row_that_cannot_be_read_is_told_as_the_stores_fault(
    path: Path, tmp_path: Path, column: str, written: str
) -> None:
    with sqlite3.connect(path) as file:
        file.execute(f"UPDATE run SET {column} = ?", (written,))  # noqa: S608  (a test's own)
    file.close()
    client = site(path, tmp_path)
    for address in ("/runs/spring-1", "/api/v1/runs/spring-1"):
        answer = client.get(address)
        assert answer.status_code == 503, address
        assert "something in it is not of its kind" in answer.text


@pytest.fixture
def server_store() -> Iterator[tuple[object, str]]:
    if not is_installed():
        pytest.skip("PostgreSQL 15 is not installed")
    with postgres() as server:
        yield server, server.new_database()


def test_a_database_that_is_stopped_and_started_again(
    server_store: tuple[object, str], tmp_path: Path
) -> None:
    server, place = server_store
    record(place)
    client = site(place, tmp_path)
    assert_back(client)
    server.stop()  # type: ignore[attr-defined]
    assert_away(client, "postgresql+psycopg://postgres@")
    server.start()  # type: ignore[attr-defined]
    assert_back(client)


def test_no_password_is_told(tmp_path: Path) -> None:
    client = site("postgresql://me:hunter2@127.0.0.1:1/fed", tmp_path)
    assert_away(client, "has a password in it")
    for path in ("/runs", "/api/v1/runs", "/healthz", "/metrics"):
        assert "hunter2" not in client.get(path).text


def test_why_is_told_to_nobody_who_is_not_let_in(tmp_path: Path) -> None:
    settings = guarded(with_users(tmp_path / "people"), store=str(tmp_path / "secret-place"))
    client = browser(create_site(settings))
    for path in ("/runs", "/api/v1/runs", "/healthz", "/login", "/metrics"):
        assert "secret-place" not in client.get(path).text
    log_in(client)
    shown = client.get("/runs")
    assert (shown.status_code, "secret-place" in shown.text) == (503, True)
    chinese = client.get("/runs", headers={"accept-language": "zh"})
    assert "运行数据库没有回应" in chinese.text
    assert "secret-place" in chinese.text


def test_a_run_that_was_killed_is_interrupted_after_a_minute(path: Path, tmp_path: Path) -> None:
    store = open_store(str(path))
    now = datetime.now(UTC)
    with store.write() as connection:
        connection.execute(
            update(Run).values(status="running", updated=now - timedelta(seconds=57))
        )
    client = site(path, tmp_path)
    assert client.get("/api/v1/runs").json()["runs"][0]["status"] == "running"
    # Nobody writes it down, and yet pages that are open are told.
    assert versions(store, now)["runs"] != versions(store, now + timedelta(seconds=4))["runs"]
    with store.write() as connection:
        connection.execute(update(Run).values(updated=now - timedelta(seconds=61)))
    store.close()
    assert client.get("/api/v1/runs").json()["runs"][0]["status"] == "interrupted"
    for address in ("/runs", "/runs/spring-1", "/runs/spring-1/part"):
        assert "status-interrupted" in client.get(address).text
    assert "gave no sign of life for a minute" in client.get("/runs/spring-1").text


def test_a_run_that_falls_silent_is_told_to_pages_though_no_row_changes(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(path))
    with store.write() as connection:
        connection.execute(
            update(Run).values(status="running", updated=datetime.now(UTC) - timedelta(seconds=30))
        )
    store.close()
    client = site(path, tmp_path)
    assert "status-running" in client.get("/runs").text

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(minutes=1)

    before = client.app.state.stored.changes()  # type: ignore[attr-defined]
    for module in ("server.dashboard.stored", "server.dashboard.views.runs"):
        monkeypatch.setattr(f"{module}.datetime", Later)
    after = client.app.state.stored.changes()  # type: ignore[attr-defined]
    assert before["runs"] != after["runs"]
    assert "status-interrupted" in client.get("/runs").text
