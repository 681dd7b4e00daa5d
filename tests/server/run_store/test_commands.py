"""The verbs for a store: what is in it, and what is too old."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import fedinterest
from server.run_store import reading, reading_answers
from server.run_store.errors import StoreError
from server.run_store.opening import open_store
from server.run_store.reading_budgets import budget_states
from tests.server.run_store.examples import MadeUp


def call(*words: str) -> str:
    result = CliRunner().invoke(fedinterest.app, ["store", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def record(place: str, run: str) -> None:
    made_up = MadeUp(place, run=run)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(2, recorder)
    recorder.complete(made_up.report())
    recorder.stop()


def test_info_tells_what_is_there(place: str) -> None:
    record(place, "spring-1")
    told = call("info", place)
    assert "schema 0" in told
    assert "runs      1 (1 completed)" in told
    assert "releases  4" in told
    assert "regions   2" in told
    assert "0.0 MB" not in told


def test_prune_takes_out_what_is_old_and_keeps_what_it_cost(place: str) -> None:
    for run in ("spring-1", "spring-2"):
        record(place, run)
    store = open_store(place)
    spent = [line.spent for line in budget_states(store)]
    told = call("prune", place, "--keep-runs", "1")
    assert "1 runs, 4 releases, 0 refusals" in told
    assert len(reading.runs(store)) == 1
    assert [line.spent for line in budget_states(store)] == spent
    assert "0 runs, 0 releases" in call("prune", place, "--keep-runs", "1")
    store.close()


@pytest.mark.parametrize("verb", ["info", "prune"])
def test_where_there_is_no_store_none_is_made(tmp_path: Path, verb: str) -> None:
    path = tmp_path / "none.sqlite"
    with pytest.raises(StoreError, match="There is no run store"):
        call(verb, str(path))
    assert not path.exists()
    diary = tmp_path / "diary.txt"
    diary.write_text("Dear diary, " * 200)
    with pytest.raises(StoreError, match="is no SQLite database"):
        call(verb, str(diary))
    assert diary.read_text() == "Dear diary, " * 200


@pytest.mark.parametrize(
    "words", [("--keep-days", "0"), ("--keep-runs", "0"), ("--keep-days=nan",)]
)
def test_numbers_out_of_range_take_nothing_out(tmp_path: Path, words: tuple[str, ...]) -> None:
    place = str(tmp_path / "store.sqlite")
    record(place, "spring-1")
    with pytest.raises(StoreError, match="Nothing was taken out"):
        call("prune", place, *words)
    assert len(reading_answers.releases(open_store(place))) == 4


def test_a_password_in_a_place_is_refused_and_not_repeated() -> None:
    with pytest.raises(StoreError, match="has a password in it") as caught:
        call("info", "postgresql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)
