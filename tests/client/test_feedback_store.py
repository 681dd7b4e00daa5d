"""Feedback is kept whole or not at all, for a time, for its owner's eyes; and it can be erased."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client import feedback_store
from client.errors import FeedbackError
from client.feedback_store import (
    NOT_SHOWN,
    OUTDATED,
    Answered,
    FeedbackStore,
    Outcome,
    Response,
    ShownList,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
EVER = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    return FeedbackStore(tmp_path / "feedback.sqlite", keep_days=30)


def a_list(user: str = "anna", *items: str, arm: str = "plain") -> ShownList:
    kinds = [(item, "cluster") for item in items or ("tea", "milk")]
    return ShownList(user_id=user, items=kinds, experiment="lists", arm=arm)


def respond(store: FeedbackStore, *responses: Answered, moment: datetime = NOW + DAY) -> list[str]:
    with store.answering(responses, moment) as problems:
        return problems


def accepted(
    user: str = "anna", item: str = "tea", *, at: datetime = NOW, dwell: float | None = None
) -> Answered:
    return Answered(user_id=user, item_id=item, response=Response.ACCEPTED, moment=at, dwell=dwell)


def rows(store: FeedbackStore) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(store.path)) as database:
        return database.execute("SELECT * FROM shown ORDER BY id").fetchall()


def outcomes(store: FeedbackStore, dwell_cap: float = 60.0) -> dict[tuple[str, str], Outcome]:
    return store.outcomes("lists", EVER, NOW + 365 * DAY, dwell_cap)


def test_it_keeps_what_was_shown_to_whom_and_what_came_of_it(store: FeedbackStore) -> None:
    assert store.record([a_list(), a_list("bert", "soap", arm="varied")], NOW) == 3
    assert respond(store, accepted(dwell=12.5, at=NOW + DAY)) == [""]
    first, second, third = rows(store)
    assert first[2:] == (
        *("anna", "tea", 1, NOW.timestamp(), "lists", "plain", "cluster"),
        *("accepted", 12500, (NOW + DAY).timestamp()),
    )
    assert second[2:6] == ("anna", "milk", 2, NOW.timestamp())
    assert second[9:] == (None, None, None)
    assert first[1] == second[1] != third[1]  # the list's own id


def test_outcomes_are_whole_numbers_for_each_user_and_arm(store: FeedbackStore) -> None:
    store.record([a_list(), a_list("bert", "soap", arm="varied")], NOW)
    skip = Answered(user_id="anna", item_id="milk", response=Response.SKIPPED, moment=NOW)
    respond(store, accepted(dwell=500.0), skip)
    assert outcomes(store, dwell_cap=60.0) == {
        ("anna", "plain"): Outcome(shown=2, accepted=1, skipped=1, dwell_ms=60_000),
        ("bert", "varied"): Outcome(shown=1, accepted=0, skipped=0, dwell_ms=0),
    }
    assert store.outcomes("another", EVER, NOW + DAY, 60.0) == {}
    assert store.outcomes("lists", NOW + DAY, NOW + 2 * DAY, 60.0) == {}
    assert store.outcomes("lists", EVER, NOW, 60.0) == {}


def test_a_response_belongs_to_the_latest_showing_before_it(store: FeedbackStore) -> None:
    store.record([a_list()], NOW)
    store.record([a_list()], NOW + 2 * DAY)
    respond(store, accepted(at=NOW + DAY), moment=NOW + 3 * DAY)
    assert [row[9] for row in rows(store)] == ["accepted", None, None, None]
    respond(store, accepted(at=NOW + 2 * DAY), moment=NOW + 3 * DAY)
    assert [row[9] for row in rows(store)] == ["accepted", None, "accepted", None]


def test_what_was_not_shown_cannot_be_answered(store: FeedbackStore) -> None:
    store.record([a_list()], NOW)
    wrong = [
        accepted("bert"),
        accepted(item="soap"),
        accepted(at=NOW - timedelta(seconds=1)),
    ]
    assert respond(store, *wrong) == [NOT_SHOWN] * 3
    assert [row[9] for row in rows(store)] == [None, None]


def test_the_later_response_counts_and_the_same_again_changes_nothing(
    store: FeedbackStore,
) -> None:
    store.record([a_list()], NOW)
    later = Answered(
        user_id="anna", item_id="tea", response=Response.SKIPPED, moment=NOW + DAY, dwell=1.0
    )
    assert respond(store, accepted(), later) == ["", ""]
    before = rows(store)
    assert respond(store, later) == [""]
    assert respond(store, accepted()) == [OUTDATED]
    assert rows(store) == before
    assert before[0][9] == "skipped"


def test_nobody_but_its_owner_can_read_it_or_its_log(store: FeedbackStore) -> None:
    store.record([a_list()], NOW)
    with closing(sqlite3.connect(store.path)) as reader:  # keeps the log there
        reader.execute("SELECT count(*) FROM shown").fetchone()
        store.record([a_list()], NOW)
        found = {
            path.name: stat.S_IMODE(path.stat().st_mode) for path in store.path.parent.iterdir()
        }
    assert found == {
        "feedback.sqlite": 0o600,
        "feedback.sqlite-wal": 0o600,
        "feedback.sqlite-shm": 0o600,
    }


def test_a_file_that_others_could_read_is_closed_to_them(store: FeedbackStore) -> None:
    store.record([a_list()], NOW)
    store.path.chmod(0o644)
    store.exact_counts(NOW)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_what_is_too_old_is_deleted_and_not_read_before(store: FeedbackStore) -> None:
    store.record([a_list("old")], NOW - 31 * DAY)
    store.record([a_list("new")], NOW - 29 * DAY)
    assert store.exact_counts(NOW) == [("lists", "plain", 1, 2, 0, 0)]
    store.record([], NOW)
    assert {row[2] for row in rows(store)} == {"new"}


def test_an_erased_user_is_in_no_byte_of_the_files(store: FeedbackStore) -> None:
    store.record([a_list("somebody-who-leaves"), a_list("bert")], NOW)
    respond(store, accepted("somebody-who-leaves"))
    assert store.erase("somebody-who-leaves") == 2
    for path in store.path.parent.iterdir():
        assert b"somebody-who-leaves" not in path.read_bytes()
    assert {row[2] for row in rows(store)} == {"bert"}
    assert store.erase("somebody-who-leaves") == 0


def test_what_a_reader_still_holds_of_an_erased_user_is_told(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_store, "BUSY_SECONDS", 0.1)
    store.record([a_list()], NOW)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM shown").fetchone()
        with pytest.raises(FeedbackError, match="Erase once more"):
            store.erase("anna")
    assert store.erase("anna") == 0
    for path in store.path.parent.iterdir():
        assert b"anna" not in path.read_bytes()


def test_a_locked_file_is_told_and_stays_as_it_was(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_store, "BUSY_SECONDS", 0.1)
    store.record([a_list()], NOW)
    before = rows(store)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FeedbackError, match="another process has kept it"):
            store.record([a_list("bert")], NOW)
        assert outcomes(store)  # reading goes on
    assert rows(store) == before
    store.record([a_list("bert")], NOW)


def test_a_full_disk_is_told_and_nothing_is_half_kept(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record([a_list()], NOW)
    before = rows(store)
    connect = sqlite3.connect

    def with_little_room(*arguments: object, **options: object) -> sqlite3.Connection:
        database: sqlite3.Connection = connect(*arguments, **options)  # type: ignore[call-overload]
        database.execute("PRAGMA max_page_count = 20")
        return database

    monkeypatch.setattr(sqlite3, "connect", with_little_room)
    with pytest.raises(FeedbackError, match="the disk is full"):
        store.record((a_list(f"user-{number}") for number in range(10_000)), NOW)
    monkeypatch.undo()
    assert rows(store) == before
    store.record([a_list("bert")], NOW)


def test_a_mistake_halfway_leaves_the_file_as_it_was(store: FeedbackStore) -> None:
    store.record([a_list()], NOW)
    before = rows(store)

    def lists() -> Iterator[ShownList]:
        yield a_list("bert")
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        store.record(lists(), NOW)
    with pytest.raises(RuntimeError), store.answering([accepted()], NOW):
        raise RuntimeError("stop")
    assert rows(store) == before


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from client.feedback_store import FeedbackStore, ShownList

def lists():
    for number in range(1000):
        if number == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield ShownList(user_id=f"late-{number}", items=[("tea", "")] * 10)

FeedbackStore(Path(sys.argv[1]), 30).record(lists(), datetime(2026, 5, 1, 12, tzinfo=UTC))
"""


@pytest.mark.parametrize("at", [0, 500, 999])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_killed_process_leaves_a_whole_file(store: FeedbackStore, at: int, is_new: bool) -> None:
    if not is_new:
        store.record([a_list()], NOW)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(store.path), str(at)], check=False, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    assert outcomes(store) == (
        {} if is_new else {("anna", "plain"): Outcome(shown=2, accepted=0, skipped=0, dwell_ms=0)}
    )
    assert store.record([a_list("bert")], NOW) == 2
    assert ("bert", "plain") in outcomes(store)


def test_a_file_of_something_else_is_left_alone(store: FeedbackStore) -> None:
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("CREATE TABLE shown (id)")
        other.commit()
    before = store.path.read_bytes()
    for use in (lambda: store.record([a_list()], NOW), lambda: store.exact_counts(NOW)):
        with pytest.raises(FeedbackError, match="something else than feedback"):
            use()
    assert store.path.read_bytes() == before


def test_no_database_at_all_is_told(store: FeedbackStore) -> None:
    store.path.write_bytes(b"these are no pages" * 1000)
    with pytest.raises(FeedbackError, match="cannot be used"):
        store.record([a_list()], NOW)
    assert store.path.read_bytes() == b"these are no pages" * 1000


def test_a_later_format_is_not_touched(store: FeedbackStore) -> None:
    store.record([a_list()], NOW)
    with closing(sqlite3.connect(store.path)) as database:
        database.execute("PRAGMA user_version = 2")
    before = rows(store)
    with pytest.raises(FeedbackError, match="has format 2, this program knows 1"):
        store.record([a_list()], NOW)
    assert rows(store) == before


def test_without_a_file_nothing_is_known_and_none_is_made(store: FeedbackStore) -> None:
    assert outcomes(store) == {}
    assert store.exact_counts(NOW) == []
    assert store.erase("anna") == 0
    assert not store.path.exists()
