"""A store is opened if it is one; what is not one, or is newer, stays as it is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from server.run_config import ConfigError, parse_flat
from server.run_store.counts import overview
from server.run_store.errors import StoreAwayError, StoreError
from server.run_store.opening import Store, open_store
from server.run_store.schema import VERSION_TABLE, Base
from tests.server.run_store.postgres import Postgres

SECRET = "hunter2"


def test_models_and_migrations_agree(store: Store) -> None:
    with store.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_a_store_is_made_once_and_opened_again(place: str) -> None:
    open_store(place).close()
    again = open_store(place, make=False)
    assert overview(again).runs == 0
    again.close()


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (f"postgresql://me:{SECRET}@host/db", "PGPASSFILE"),
        (f"postgresql+psycopg://me:{SECRET}@/db?host=/run", "PGPASSWORD"),
        (f"postgresql://me@host/db?password={SECRET}", "has a password in it"),
        (f"postgresql://me@host/db?sslpassword={SECRET}", "has a password in it"),
        (f"postgresql://me@host/db?pass%77ord={SECRET}", "has a password in it"),
        ("postgresql://me@host:port/db", "no URL that can be read"),
        ("mysql://me@host/db", "found mysql://"),
        ("sqlite:///file.sqlite", "the path of a file"),
        ("a\0b", "NUL"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_starts_and_not_repeated(
    place: str, found: str
) -> None:
    with pytest.raises(StoreError, match=found) as opened:
        open_store(place)
    with pytest.raises(ConfigError, match=found) as configured:
        parse_flat({"run.store": place})
    for caught in (opened, configured):
        told = [str(caught.value), str(caught.value.__cause__)]
        assert not any(SECRET in one for one in told)
    assert "Nothing was started" in str(configured.value)


def test_a_store_of_a_newer_program_is_left_alone(place: str) -> None:
    store = open_store(place)
    with store.write() as connection:
        connection.execute(text("UPDATE fedinterest_schema SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match=r"schema '9999'.*a newer one has written it.*Update"):
        open_store(place)


def test_a_database_of_something_else_is_left_alone(place: str, tmp_path: Path) -> None:
    if "://" in place:
        from sqlalchemy import create_engine

        engine = create_engine(place)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE orders (id INTEGER)"))
        engine.dispose()
    else:
        with sqlite3.connect(place) as file:
            file.execute("CREATE TABLE orders (id INTEGER)")
        file.close()
    with pytest.raises(StoreError, match=r"holds other tables \(orders\)") as caught:
        open_store(place)
    assert "Nothing was changed" in str(caught.value)


@pytest.mark.parametrize("content", [b"Dear diary, " * 200, b"SQLite format 3\0" + b"\xff" * 2000])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "diary.txt"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        open_store(str(path))
    assert path.read_bytes() == content


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        open_store(str(tmp_path))


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"store.sqlite cannot be made \(File exists\)"):
        open_store(str(tmp_path / "file" / "store.sqlite"))


def test_a_reader_makes_no_store(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with pytest.raises(StoreError, match="There is no run store at"):
        open_store(str(path), make=False)
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="is empty"):
        open_store(str(path), make=False)


def test_processes_that_open_a_new_store_at_once_both_can(place: str) -> None:
    """All begin at the same moment; each one migrates, or finds that another one has."""
    begin = time.time() + 3
    program = (
        "import sys, time\n"
        "from server.run_store.opening import open_store\n"
        f"time.sleep(max(0, {begin} - time.time()))\n"
        "open_store(sys.argv[1], busy_seconds=30).close()\n"
    )
    command = [sys.executable, "-c", program, place]
    started = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path.cwd())
        for _ in range(3)
    ]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in started]
    assert [status for _, status in ended] == [0, 0, 0], ended
    store = open_store(place, make=False)
    with store.read() as connection:
        rows = connection.execute(text("SELECT version_num FROM fedinterest_schema"))
        assert len(rows.all()) == 1
    store.close()


def test_a_new_store_is_not_there_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that dies in the middle leaves nothing behind, and can be done again."""
    place = str(tmp_path / "store.sqlite")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_index", die)
        with pytest.raises(KeyboardInterrupt):
            open_store(place)
    with sqlite3.connect(place) as file:
        assert file.execute("SELECT name FROM sqlite_master").fetchall() == []
    file.close()
    assert overview(open_store(place)).runs == 0


def test_a_store_that_is_held_for_too_long_is_given_up(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite"), busy_seconds=0.2)
    other = sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(StoreAwayError, match="database is locked"), store.write():
        pass
    assert 0.1 < time.monotonic() - begun < 5
    assert overview(store).runs == 0  # who reads is not kept out
    other.execute("ROLLBACK")
    other.close()
    with store.write():
        pass


def test_a_postgresql_that_is_held_for_too_long_is_given_up(server: Postgres) -> None:
    place = server.new_database()
    store, other = open_store(place, busy_seconds=0.5), open_store(place)
    with other.write():
        begun = time.monotonic()
        with pytest.raises(StoreAwayError, match="lock timeout"), store.write():
            pass
        assert time.monotonic() - begun < 5
    store.close()
    other.close()


def test_a_postgresql_that_is_away_is_told_in_a_sentence(server: Postgres) -> None:
    with pytest.raises(StoreAwayError, match=r"cannot be opened \(.*does not exist\)"):
        open_store(server.url("nobody_made_it"))
    with pytest.raises(StoreAwayError, match="cannot be opened"):
        open_store("postgresql://me@/db?host=/nowhere", busy_seconds=1)


def test_without_a_store_the_server_loads_no_more_of_databases_than_flower_does() -> None:
    program = (
        "import sys, flwr.serverapp, flwr.superlink.grid\n"
        "names = ('sqlalchemy', 'alembic', 'psycopg')\n"
        "loaded = lambda: {name for name in sys.modules if name.split('.')[0] in names}\n"
        "before = loaded()\n"
        "import server.app\n"
        "more = (loaded() - before) | ({'server.run_store'} & set(sys.modules))\n"
        "sys.exit(str(more) if more else 0)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr[-500:]
