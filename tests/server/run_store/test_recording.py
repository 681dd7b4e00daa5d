"""A run is recorded as it goes; a store that is away never ends it, and is made up for."""

from __future__ import annotations

import errno
import logging
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text, update

from server.run_store import reading, reading_answers, reading_regions
from server.run_store.changes import versions
from server.run_store.columns import name_of, storable
from server.run_store.counts import overview
from server.run_store.errors import StoreError
from server.run_store.opening import Store, open_store
from server.run_store.reading_budgets import budget_states
from server.run_store.results import places
from server.run_store.schema import Run
from server.run_store.simulated import record_simulation
from tests.server.run_store.examples import REGIONS, STARTED, MadeUp, latest_map
from tests.server.run_store.postgres import Postgres
from tests.strategies.examples import a_refusal

NASTY = [
    'O\'Brien "quoted"; DROP TABLE run; --',
    "<script>alert(1)</script>",
    "N\0UL",
    "lone \ud800 surrogate",
    "\U0001f600 four bytes \u0000",
    "x" * 5000,
    "x" * 5000 + "y",
    "%s %(name)s :name ?",
    "",
]


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)


def everything(store: Store) -> dict[str, list[str]]:
    """Return every row of every table, but for signs of life."""
    from server.run_store.schema import Base

    found: dict[str, list[str]] = {}
    with store.read() as connection:
        for table in Base.metadata.sorted_tables:
            columns = [c for c in table.columns if c.name not in ("updated", "computed")]
            rows = connection.execute(table.select().with_only_columns(*columns)).all()
            found[table.name] = sorted(map(repr, rows))
    return found


def test_each_round_is_there_as_soon_as_it_is_over(place: str, store: Store) -> None:
    made_up = MadeUp(place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    (run,) = reading.runs(store)
    assert (run.status, run.rounds_done, run.rounds, run.started) == ("running", 0, 13, STARTED)
    assert run.statement is None
    made_up.ask()
    recorder.keep()
    states = [line.state for line in reading.rounds(store, run.id)]
    assert states == ["asked", *["planned"] * 12]
    assert reading.rounds(store, run.id)[0].late == 0
    made_up.answer("north", refusing=("south",))
    recorder.keep()
    first = reading.rounds(store, run.id)[0]
    assert (first.state, first.answered, first.refused, first.late) == ("done", 1, 1, 0)
    assert [line.region for line in reading_answers.releases(store)] == ["north"]
    (refusal,) = reading_answers.refusals(store, region="south")
    assert (refusal.reason, refusal.sentence) == ("budget-exhausted", "Enough.")
    made_up.play(12, recorder)
    recorder.complete(made_up.report())
    recorder.stop()
    (run,) = reading.runs(store)
    assert (run.status, run.rounds_done, run.releases, run.refusals) == ("completed", 13, 25, 1)
    assert run.statement is not None
    detail = reading.run(store, run.id)
    assert detail is not None
    assert detail.plan[0]["phase"] == "mean"
    assert detail.config["privacy.epsilon"] == 4.0
    assert not {"run.store", "run.signing-key"} & set(detail.config)
    region = reading_regions.region(store, "north")
    assert region is not None
    assert (region.releases, region.refusals, region.last_run) == (13, 0, "spring-1")


def test_writing_the_same_again_changes_nothing(place: str, store: Store) -> None:
    made_up = MadeUp(place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(3, recorder)
    recorder.stop()
    before = everything(store)
    for _ in range(2):  # as by a process that was started again, and knows of nothing
        again = made_up.recorder(beat_seconds=60)
        again.begin()
        again.keep()
        again.stop()
    assert everything(store) == before
    assert len(before["release"]) == 6
    assert {line.releases for line in budget_states(store)} == {3}


def test_a_store_that_goes_away_and_comes_back_has_everything_in_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, broken = tmp_path / "whole.sqlite", tmp_path / "folder" / "broken.sqlite"
    stores = []
    for place in (whole, broken):
        made_up = MadeUp(str(place))
        recorder = made_up.recorder(beat_seconds=60)
        recorder.begin()
        made_up.play(2, recorder)
        if place is broken:
            place.parent.rename(tmp_path / "unplugged")
            (tmp_path / "folder").touch()  # nothing can be made there meanwhile
        made_up.play(3, recorder)
        if place is broken:
            (tmp_path / "folder").unlink()
            (tmp_path / "unplugged").rename(place.parent)
        made_up.play(8, recorder)
        recorder.complete(made_up.report())
        recorder.stop()
        stores.append(open_store(str(place)))
    assert everything(stores[0]) == everything(stores[1])
    assert "What run spring-1 does from round 3 on is missing there" in caplog.text
    assert "can be written again; nothing is missing" in caplog.text


def test_a_file_that_was_removed_is_made_anew_with_all_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    made_up = MadeUp(str(path))
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(2, recorder)
    for file in tmp_path.glob("store.sqlite*"):
        file.unlink()
    made_up.play(2, recorder)
    recorder.stop()
    store = open_store(str(path))
    assert len(reading_answers.releases(store)) == 8
    assert {line.releases for line in budget_states(store)} == {4}


def test_an_older_copy_that_is_put_back_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    made_up = MadeUp(str(path))
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(1, recorder)
    old = path.read_bytes()
    made_up.play(3, recorder)
    path.write_bytes(old)
    for name in ("store.sqlite-wal", "store.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    made_up.play(1, recorder)
    recorder.stop()
    assert len(reading_answers.releases(open_store(str(path)))) == 10


def test_postgresql_that_is_stopped_midway_and_back(
    server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    place = server.new_database()
    made_up = MadeUp(place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(2, recorder)
    server.stop()
    try:
        made_up.play(2, recorder)
        assert "The run goes on" in caplog.text
    finally:
        server.start()
    made_up.play(1, recorder)
    recorder.stop()
    store = open_store(place)
    assert len(reading_answers.releases(store)) == 10
    assert {line.releases for line in budget_states(store)} == {5}
    store.close()


def test_a_store_that_another_process_holds_is_a_warning_and_is_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "server.run_store.recording.open_store", lambda place: open_store(place, busy_seconds=0.1)
    )
    path = tmp_path / "store.sqlite"
    made_up = MadeUp(str(path))
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    made_up.play(2, recorder)
    assert "database is locked" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    made_up.play(1, recorder)
    recorder.stop()
    assert len(reading_answers.releases(open_store(str(path)))) == 6


def test_a_full_disk_is_a_warning_and_is_made_up(tmp_path: Path) -> None:
    """In a process that may not write larger files: limits cannot be lifted again in this one."""
    program = (
        "import resource, sys\n"
        "from tests.server.run_store.examples import MadeUp\n"
        "made_up = MadeUp(sys.argv[1])\n"
        "recorder = made_up.recorder(beat_seconds=60)\n"
        "recorder.begin()\n"
        "made_up.play(1, recorder)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))\n"
        "made_up.play(3, recorder)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "made_up.play(1, recorder)\n"
        "recorder.stop()\n"
    )
    path = tmp_path / "store.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=Path.cwd(),
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "The run goes on" in ended.stderr + ended.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096
    assert len(reading_answers.releases(open_store(str(path)))) == 10


@pytest.mark.parametrize("where", ["put_releases", "snapshot_of", "results_of"])
def test_whatever_goes_wrong_in_the_recorder_the_run_goes_on(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store.sqlite"
    made_up = MadeUp(str(path))
    recorder = made_up.recorder(beat_seconds=60, last_pause=0.01)
    recorder.begin()

    def bug(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(f"server.run_store.recording.{where}", bug)
        made_up.play(1, recorder)
        if where == "results_of":
            recorder.complete(made_up.report())
    assert "OSError: [Errno 5] Input/output error" in caplog.text
    made_up.play(1, recorder)
    recorder.stop()
    assert len(reading_answers.releases(open_store(str(path)))) == 4


def test_the_end_is_tried_again_and_told_if_it_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "store.sqlite"
    made_up = MadeUp(str(path))
    recorder = made_up.recorder(beat_seconds=60, last_pause=0.05)
    recorder.begin()
    made_up.play(13, recorder)
    path.parent.rename(tmp_path / "unplugged")
    (tmp_path / "folder").touch()
    recorder.complete(made_up.report())
    recorder.stop()
    assert "The end of run spring-1 is not in the run store" in caplog.text
    (run,) = reading.runs(open_store(str(tmp_path / "unplugged" / "store.sqlite")))
    assert run.status == "running"
    assert run.status_at(run.updated + timedelta(minutes=5)) == "interrupted"


def test_a_run_gives_signs_of_life_while_nothing_happens(place: str, store: Store) -> None:
    recorder = MadeUp(place).recorder(beat_seconds=0.05)
    recorder.begin()
    seen = {reading.runs(store)[0].updated}
    deadline = time.monotonic() + 30
    while len(seen) < 4 and time.monotonic() < deadline:
        seen.add(reading.runs(store)[0].updated)
    recorder.stop()
    assert len(seen) == 4
    last = reading.runs(store)[0]
    time.sleep(0.2)
    assert reading.runs(store)[0] == last  # stopped is stopped


def test_a_sign_of_life_makes_up_for_what_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite"
    made_up = MadeUp(str(path))
    recorder = made_up.recorder(beat_seconds=0.05)
    recorder.begin()
    with monkeypatch.context() as patch:
        patch.setattr("server.run_store.recording.put", lambda *_, **__: 1 / 0)
        made_up.play(1, recorder)
    store, deadline = open_store(str(path)), time.monotonic() + 30
    while not reading_answers.releases(store) and time.monotonic() < deadline:
        time.sleep(0.05)
    recorder.stop()
    assert len(reading_answers.releases(store)) == 2


def test_a_failed_run_says_why_and_an_ended_one_that_it_was_interrupted(
    place: str, store: Store
) -> None:
    for run, error, status in [
        ("spring-1", ValueError("No region answered phase 'mean'."), "failed"),
        ("spring-2", KeyboardInterrupt(), "interrupted"),
    ]:
        recorder = MadeUp(place, run=run).recorder(beat_seconds=60)
        recorder.begin()
        recorder.fail(error)
        recorder.stop()
        found = reading.run(store, run)
        assert found is not None
        assert (found.run.status, found.run.failure_type) == (status, type(error).__name__)
        assert found.run.failure == str(error)
    again = MadeUp(place)
    again.strategy.resumed = 1
    recorder = again.recorder(beat_seconds=60)
    recorder.begin()
    recorder.stop()
    found = reading.run(store, "spring-1")
    assert found is not None
    assert (found.run.status, found.run.failure, found.run.resumed) == ("running", None, 1)


def test_another_run_of_the_same_id_is_not_written_over(place: str, store: Store) -> None:
    first = MadeUp(place).recorder(beat_seconds=60)
    first.begin()
    first.stop()
    other = MadeUp(place, started=STARTED + timedelta(days=7))
    with pytest.raises(StoreError, match=r"another run spring-1 in the store.*2026-01-02"):
        other.recorder().begin()
    assert [run.started for run in reading.runs(store)] == [STARTED]


def test_a_run_killed_midway_is_told_by_its_silence(place: str, store: Store) -> None:
    program = (
        "import os, signal, sys\n"
        "from tests.server.run_store.examples import MadeUp\n"
        "made_up = MadeUp(sys.argv[1])\n"
        "recorder = made_up.recorder(beat_seconds=0.2)\n"
        "recorder.begin()\n"
        "made_up.play(4, recorder)\n"
        "made_up.ask()\n"
        "recorder.keep()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, place], check=False, timeout=240, cwd=Path.cwd()
    )
    assert ended.returncode == -signal.SIGKILL
    (run,) = reading.runs(store)
    assert (run.status, run.rounds_done, run.releases) == ("running", 4, 8)
    assert run.status_at(datetime.now(UTC) + timedelta(minutes=2)) == "interrupted"
    for seconds, status in ((30, "running"), (90, "interrupted")):
        with store.write() as connection:
            moment = datetime.now(UTC) - timedelta(seconds=seconds)
            connection.execute(update(Run).values(updated=moment))
        for asked in ("running", "interrupted", "failed"):
            n = int(asked == status)
            assert len(reading.runs(store, status=asked)) == n
            assert reading.count_runs(store, status=asked) == n
            assert overview(store).by_status.get(asked, 0) == n
        assert overview(store).ended == (None if status == "running" else moment)
    assert run.status_at(run.updated + timedelta(seconds=30)) == "running"
    assert [line.state for line in reading.rounds(store, run.id)][3:5] == ["done", "asked"]


def test_names_and_labels_of_any_characters_are_kept_as_far_as_can_be(
    place: str, store: Store
) -> None:
    labels = "".join(map(storable, NASTY[:5]))  # no report holds a lone surrogate
    made_up = MadeUp(place, run="<i>'1\U0001f600", labels=(f"{labels}b", f"{labels}t"))
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    for _ in range(2):
        made_up.ask()
        record = made_up.strategy.history[-1]
        made_up.answer("north")
        record.answers += [replace(record.answers[0], region=f"r{name}") for name in NASTY]
        record.refusals.append(replace(a_refusal("south"), sentence="".join(NASTY)))
        recorder.keep()
    history = made_up.strategy.history
    made_up.strategy.history = [replace(record, refusals=[]) for record in history]
    report = made_up.report()
    made_up.strategy.history = history
    recorder.complete(report)
    recorder.stop()
    (run,) = reading.runs(store)
    assert (run.id, run.status) == ("<i>'1\U0001f600", "completed")
    assert reading.report_text(store, run.id) == report.to_json()
    for name in NASTY:
        kept = [line.region for line in reading_answers.releases(store, region=f"r{name}")]
        assert kept == [name_of(f"r{name}")] * 2
    assert {f"r{NASTY[0]}", f"r{NASTY[1]}"} <= {
        line.region for line in reading_answers.releases(store)
    }
    assert {line.releases for line in budget_states(store)} == {2}
    assert {line.sentence for line in reading_answers.refusals(store)} == {storable("".join(NASTY))}


def test_names_that_differ_stay_apart() -> None:
    """Also where they differ only in what cannot be stored, or far behind."""
    names = {name_of(f"r{name}") for name in [*NASTY, "N\ufffdUL", "N\ud801UL"]}
    assert len(names) == len(NASTY) + 2
    assert all(name_of(name) == name for name in names)


def test_a_map_counts_the_maps_of_its_name_and_its_centroids_have_places(
    place: str, store: Store
) -> None:
    for number, name in enumerate(["spring", "spring", "autumn"], start=1):
        started = STARTED + timedelta(days=number)
        made_up = MadeUp(place, run=f"run-{number}", name=name, started=started)
        recorder = made_up.recorder(beat_seconds=60)
        recorder.begin()
        made_up.play(13, recorder)
        for _ in range(2):
            recorder.complete(made_up.report())
        recorder.stop()
    versions = {}
    for run in reading.runs(store):
        shown = reading.cluster_map(store, run.id)
        assert shown is not None
        versions[run.id] = shown.version
    assert versions == {"run-1": 1, "run-2": 2, "run-3": 1}
    latest = latest_map(store)
    assert latest is not None
    assert latest.run_id == "run-3"
    spots = [(cluster.x, cluster.y) for cluster in latest.clusters]
    assert np.linalg.norm(np.subtract(spots[0], spots[1])) == pytest.approx(np.sqrt(2))
    points = reading.figure_history(store, "clustering.silhouette", run_name="spring")
    assert [(p.run_id, p.value, p.noise) for p in points] == [
        ("run-1", 0.25, 0.01),
        ("run-2", 0.25, 0.01),
    ]


def test_pages_that_are_open_learn_what_a_simulation_adds_to_its_run(
    place: str, store: Store
) -> None:
    """It comes after the run has ended: figures from exact data, receipts, and that it was one."""
    made_up = MadeUp(place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(13, recorder)
    report = made_up.report()
    recorder.complete(report)
    recorder.stop()
    now = datetime.now(UTC)
    before = versions(store, now)
    record_simulation(store, report)
    assert reading.runs(store)[0].simulated
    assert versions(store, now)["runs"] != before["runs"]


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_places_keep_distances_as_far_as_two_axes_can(k: int) -> None:
    rng = np.random.default_rng(k)
    flat = rng.standard_normal((k, 2)) @ np.linalg.qr(rng.standard_normal((5, 2)))[0].T
    found = places(flat)
    assert found.shape == (k, 2)

    def gaps(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=2))

    assert np.allclose(gaps(found), gaps(flat))
    assert np.allclose(places(flat[::-1])[::-1], found)  # whatever the order


def test_regions_are_those_that_signed(place: str, store: Store) -> None:
    made_up = MadeUp(place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(1, recorder)
    made_up.ask()
    made_up.answer("north", refusing=("south",))
    recorder.keep()
    recorder.stop()
    found = reading_regions.regions(store)
    assert [region.name for region in found] == list(REGIONS)
    assert [(one.releases, one.refusals) for one in found] == [(2, 0), (1, 1)]
    assert [one.first_seen < one.last_seen for one in found] == [True, True]
    with store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM region")).scalar() == 2
