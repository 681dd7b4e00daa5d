"""A store of an earlier program is brought up to date with all that is in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, insert, inspect, text, update

from server.run_store import opening, reading, reading_regions, schema
from server.run_store.counts import overview
from server.run_store.engines import file_engine, server_engine
from server.run_store.errors import StoreError
from server.run_store.heartbeats import record_heartbeats
from server.run_store.opening import Store, open_store
from server.store_place import is_url
from tests.server.run_store.examples import MadeUp
from tests.server.run_store.test_heartbeats import NOW, a_beat

Rows = dict[str, list[str]]


def rows_of(store: Store) -> Rows:
    """Return every row of every table that is there, whatever this program knows of them."""
    with store.read() as connection:
        tables = MetaData()
        tables.reflect(connection)
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(table.select()))
            for table in tables.sorted_tables
            if table.name != schema.VERSION_TABLE
        }


def version_of(store: Store) -> str:
    with store.read() as connection:
        return str(connection.execute(text("SELECT version_num FROM fedinterest_schema")).scalar())


@pytest.fixture
def first(place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store of the first schema, with a whole run and an audit in it."""
    if is_url(place):
        engine = server_engine(place, 5.0)
    else:
        Path(place).touch()
        engine = file_engine(Path(place), 5.0)
    config = Config()
    config.set_main_option("script_location", str(opening._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    store = Store(place, engine)
    with monkeypatch.context() as patch:
        patch.setattr("server.run_store.recording.open_store", lambda _: Store(place, engine))
        made_up = MadeUp(place)
        recorder = made_up.recorder(beat_seconds=60, last_pause=0.01)
        recorder.begin()
        made_up.play(len(made_up.strategy.phases) - 1, recorder)
        made_up.ask()
        made_up.answer("north", refusing=("south",))
        recorder.complete(made_up.report())
        recorder.stop()
    _add_an_audit(store)
    yield store
    engine.dispose()


def _add_an_audit(store: Store) -> None:
    of = {"public_key": "ab", "verdict": "PASS", "releases": 1, "faults": [], "incidents": []}
    with store.write() as connection:
        connection.execute(
            insert(schema.Audit).values(
                id="audit-1",
                made=datetime(2026, 1, 1, tzinfo=UTC),
                signed_by="",
                paths=["/somewhere"],
                verdict="PASS",
                simulated=False,
                document="{}",
            )
        )
        connection.execute(
            insert(schema.AuditedLedger).values(audit_id="audit-1", number=0, region="north", **of)
        )


@pytest.mark.parametrize("make", [True, False], ids=["writing", "reading"])
def test_all_that_was_in_it_is_still_there(place: str, first: Store, make: bool) -> None:
    before = rows_of(first)
    assert version_of(first) == "0001"
    assert [name for name, rows in before.items() if not rows] == []
    assert "heartbeat" not in before
    store = open_store(place, make=make)
    assert version_of(store) == "0002"
    assert rows_of(store) == {**before, "heartbeat": []}
    record_heartbeats(store, [a_beat()], NOW)
    assert [one.region for one in reading_regions.heartbeats(store)] == ["north"]
    assert len(reading_regions.regions(store)) == 2
    assert overview(store).audits == 1
    store.close()


def test_a_run_that_an_earlier_program_records_meanwhile_goes_on(place: str, first: Store) -> None:
    """It has opened the store already; a second program brings it up to date."""
    open_store(place).close()
    with first.write() as connection:
        connection.execute(update(schema.Run).values(seconds=99.0))
    assert reading.runs(first)[0].seconds == 99.0


def test_an_upgrade_that_dies_leaves_the_earlier_schema_and_can_be_done_again(
    place: str, first: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows_of(first)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", die)
        with pytest.raises(KeyboardInterrupt):
            open_store(place)
    assert version_of(first) == "0001"
    assert rows_of(first) == before
    store = open_store(place)
    assert rows_of(store) == {**before, "heartbeat": []}
    store.close()


def test_an_earlier_program_leaves_a_newer_store_alone(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(place)
    record_heartbeats(store, [a_beat()], NOW)
    before = rows_of(store)
    earlier = tmp_path / "migrations"
    shutil.copytree(opening._MIGRATIONS, earlier)
    (earlier / "versions" / "v0002_heartbeats.py").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(opening, "_MIGRATIONS", earlier)
        for make in (True, False):
            with pytest.raises(StoreError, match=r"schema '0002'.*its newest is '0001'.*Update"):
                open_store(place, make=make)
    assert (version_of(store), rows_of(store)) == ("0002", before)
    store.close()


def test_going_back_forgets_heartbeats_alone(place: str, first: Store) -> None:
    before = rows_of(first)
    store = open_store(place)
    record_heartbeats(store, [a_beat()], NOW)
    config = Config()
    config.set_main_option("script_location", str(opening._MIGRATIONS))
    with store.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    assert rows_of(store) == before
    with store.read() as connection:
        assert not inspect(connection).has_table("heartbeat")
    store.close()
