"""A run whose server is killed goes on, and ends as if nothing had been; or says why it cannot."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import server.results
from privacy.audit.ledger_audit import audit_ledger
from privacy.release import Refusal
from privacy.server_record import read_server_record
from privacy.signing import SigningKey
from server.central_noise import SERVER_LEDGER
from server.checkpoint import CheckpointError
from server.results import HEADS, read_report
from server.resuming import alone_in
from server.run_config import ConfigError
from strategies.federated_kmeans import StrategyError
from tests.privacy.examples import NOW, forbidden
from tests.server.resumable import RUN, Killed, KillEverywhere, Scene, comparable

TASTE = {
    "recommendation__taste": True,
    "recommendation__lately": True,
    "recommendation__votes": True,
    "recommendation__largest_upload_mb": 0.01,
    "clustering__space": "best",
}
"""In several rounds, which know something in common; then in whichever space is best."""


@pytest.fixture(autouse=True)
def _quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the accountant that takes seconds: the releases are compared one by one."""
    monkeypatch.setattr(server.results, "pld_epsilon", lambda events, **rules: 0.0)


def bits(arrays: dict[str, np.ndarray]) -> dict[str, tuple[str, bytes]]:
    return {name: (array.dtype.str, array.tobytes()) for name, array in arrays.items()}


@pytest.mark.parametrize("more", [{"run__ask_once_too_often": True}, TASTE], ids=["texts", "taste"])
@pytest.mark.parametrize("trust", ["local", "central"])
def test_a_run_killed_at_every_place_ends_as_one_that_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: str, more: dict[str, Any]
) -> None:
    settings = {"privacy__trust_model": trust, **more}
    whole, broken = Scene(tmp_path / "whole", **settings), Scene(tmp_path / "broken", **settings)
    whole.start()
    with monkeypatch.context() as patch:
        killer = KillEverywhere(patch, broken)
        times = broken.start_until_done()

    phases = len(whole.requests)
    # Before each question, after its answers were lost, and after it was absorbed; under central,
    # instead of that, with the answers there, with the noise drawn, and with the release made.
    assert times - 1 == len(killer.places) == phases * (3 if trust == "local" else 5)
    assert bits(broken.arrays()) == bits(whole.arrays())
    found, expected = read_report(broken.out), read_report(whole.out)
    assert (found.run.resumed, expected.run.resumed) == (len(killer.places), 0)
    assert comparable(found.model_dump()) == comparable(expected.model_dump())
    assert (found.taste is None, found.private_evaluation is None) == (more != TASTE,) * 2
    # Nobody is charged twice: ledgers hold the same entries, and an auditor finds no fault.
    assert broken.charges() == whole.charges()
    assert all(len(entries) == phases for entries in broken.charges().values())
    received = read_server_record(broken.out / HEADS).heads
    for path in (broken.out / "ledgers").glob("*.sqlite"):
        assert audit_ledger(path, heads=received).faults == []
    # What was asked again was the very same question, under the first run's name.
    prints = {(r.round_number, r.query().fingerprint()) for r in broken.requests}
    assert prints == {(r.round_number, r.query().fingerprint()) for r in whole.requests}
    assert {request.run for request in broken.requests} == {RUN}
    assert not broken.checkpoint.exists()


def killed_after(scene: Scene, rounds: int, *, run: str = RUN) -> None:
    """Start the server and kill it when so many questions were answered, the last in vain."""

    def kill(number: int) -> None:
        if number == rounds:
            raise Killed(number)

    scene.after_delivery = kill
    with pytest.raises(Killed):
        scene.start(run=run)
    scene.after_delivery = lambda number: None


@pytest.fixture
def killed(tmp_path: Path) -> Scene:
    """A run whose server was killed while its third question was under way."""
    scene = Scene(tmp_path)
    killed_after(scene, 3)
    return scene


def assert_nothing_was_asked(scene: Scene, asked: int) -> None:
    assert len(scene.requests) == asked
    assert all(len(entries) == asked for entries in scene.charges().values())


def test_what_is_done_is_not_asked_again_and_the_log_and_the_report_say_so(
    killed: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)
    with caplog.at_level("INFO", "flwr"):
        killed_after(killed, 4)
    purposes = [request.purpose for request in killed.requests]
    assert purposes == ["mean", "radius", "basis", "basis", "reach"]
    assert {request.run for request in killed.requests} == {RUN}
    assert "Run sample-1 goes on" in caplog.text
    assert "done, and not asked again: mean, radius" in caplog.text
    assert "asked again, with the same request: basis" in caplog.text


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"clustering.k": 4}, "clustering.k was 3 and is 4"),
        ({"privacy.epsilon": 150.0}, "privacy.epsilon was 200.0 and is 150.0"),
        ({"run.name": "another"}, "run.name was 'sample' and is 'another'"),
        ({"privacy.trust-model": "central"}, "privacy.trust-model was 'local' and is 'central'"),
        ({"clustering.choose-k": True, "run.seed": 5}, "run.seed was 1 and is 5"),
    ],
)
def test_a_run_with_another_configuration_does_not_go_on(
    killed: Scene, changes: dict[str, Any], named: str
) -> None:
    kept = killed.checkpoint.read_bytes()
    killed.flat |= changes
    with pytest.raises(CheckpointError, match=r"Nothing was asked of any region") as caught:
        killed.start()
    assert named in str(caught.value)
    assert killed.checkpoint.read_bytes() == kept
    (killed.out / SERVER_LEDGER).unlink(missing_ok=True)
    assert_nothing_was_asked(killed, 3)


def test_a_run_with_another_catalogue_does_not_go_on(killed: Scene) -> None:
    replace(killed.catalogue, fingerprint="catalogue-2").save(killed.folder / "catalogue.npz")
    with pytest.raises(
        CheckpointError, match=r"the catalogue was 'catalogue-1' and is 'catalogue-2'"
    ):
        killed.start()
    assert_nothing_was_asked(killed, 3)


def test_a_run_that_signs_with_another_key_does_not_go_on(tmp_path: Path) -> None:
    """Regions would take its requests for those of another server, and charge them anew."""
    first, other = SigningKey.create(tmp_path / "a.key"), SigningKey.create(tmp_path / "b.key")
    scene = Scene(tmp_path / "scene", run__signing_key=str(tmp_path / "a.key"))
    killed_after(scene, 2)
    scene.flat["run.signing-key"] = str(tmp_path / "b.key")
    with pytest.raises(CheckpointError, match=f"key was '{first.public}' and is '{other.public}'"):
        scene.start()
    (tmp_path / "a.key").rename(tmp_path / "moved.key")
    scene.flat["run.signing-key"] = str(tmp_path / "moved.key")
    killed_after(scene, 3)
    assert {len(entries) for entries in scene.charges().values()} == {3}


def test_what_concerns_waiting_may_be_otherwise(killed: Scene) -> None:
    killed.flat |= {"run.round-seconds": 60.0, "run.least-answers": 2, "run.request-hours": 1.0}
    killed_after(killed, 4)
    assert {len(entries) for entries in killed.charges().values()} == {4}


def test_a_new_run_begins_where_the_operator_says_so(killed: Scene) -> None:
    killed.flat |= {"run.resume": False, "clustering.k": 4}
    killed_after(killed, 2, run="sample-2")
    new = killed.requests[3:]
    assert [(r.run, r.purpose) for r in new] == [("sample-2", "mean"), ("sample-2", "radius")]
    assert {len(entries) for entries in killed.charges().values()} == {3 + 2}


def test_no_second_run_writes_to_the_same_folder(killed: Scene) -> None:
    """As when a run is started again while its first process is still alive."""
    with (
        alone_in(killed.out),
        pytest.raises(ConfigError, match="Another run is writing to"),
        alone_in(killed.out),
    ):
        pass
    with alone_in(killed.out):
        pass


@pytest.mark.parametrize("damage", ["gone", "rolled back"])
def test_under_central_a_run_without_its_own_ledger_does_not_go_on(
    tmp_path: Path, damage: str
) -> None:
    """With another one, what was released could be released a second time, with other noise."""
    scene = Scene(tmp_path, privacy__trust_model="central")
    path = scene.out / SERVER_LEDGER
    killed_after(scene, 1)
    old = path.read_bytes()
    killed_after(scene, 3)
    if damage == "rolled back":
        path.write_bytes(old)
    else:
        path.unlink()
    for name in (f"{SERVER_LEDGER}-wal", f"{SERVER_LEDGER}-shm"):
        (scene.out / name).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match=r"released a second time.*Restore the ledger"):
        scene.start()
    assert len(scene.requests) == 4  # the first question twice


def test_a_full_disk_does_not_stop_a_run_and_leaves_the_checkpoint_before(
    killed: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resumed from the older one, it asks the same questions: nobody is charged again."""
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("server.checkpoint.os.fsync", full)
        kept = killed.checkpoint.read_bytes()
        killed_after(killed, 6)
        assert killed.checkpoint.read_bytes() == kept
    assert "cannot be written (No space left on device). The run goes on" in caplog.text
    assert "only be resumed from an earlier phase" in caplog.text
    killed_after(killed, 7)
    assert {len(entries) for entries in killed.charges().values()} == {7}
    assert list(killed.out.glob(".unfinished*")) == []


def test_a_run_whose_results_could_not_be_written_asks_nobody_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("server.app.write_results", full)
        with pytest.raises(Killed):
            scene.start()
    asked = len(scene.requests)
    scene.start()
    assert len(scene.requests) == asked == 13
    assert read_report(scene.out).run.resumed == 1


def test_a_run_with_too_few_answers_stops_and_goes_on_when_there_are_enough(
    tmp_path: Path,
) -> None:
    whole = Scene(tmp_path / "whole")
    whole.start()
    scene = Scene(tmp_path / "few", run__least_answers=2)
    scene.after_delivery = lambda number: scene.forget("west") if number == 4 else None
    with pytest.raises(
        StrategyError,
        match=r"^1 regions, fewer than run.least-answers \(2\), answered phase 'reach' .*"
        r"stays charged. Start it again to go on with this phase.",
    ):
        scene.start()
    scene.after_delivery = lambda number: None
    scene.start()
    assert bits(scene.arrays()) == bits(whole.arrays())
    assert scene.charges() == whole.charges()
    assert read_report(scene.out).run.late_answers == 0


def test_answers_that_come_too_late_are_counted_and_the_run_goes_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.after_delivery = lambda number: scene.forget("west") if number in (2, 7) else None
    scene.start()
    assert read_report(scene.out).run.late_answers == 2
    counts = read_server_record(scene.out / HEADS).rounds
    assert [one.dropped_out for one in counts if one.round_number in (1, 2, 7)] == [0, 1, 1]


def test_a_resumed_run_goes_on_without_regions_that_are_gone(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    killed_after(scene, 3)
    del scene.silos[1]
    killed_after(scene, 5)
    charges = {name: len(charges) for name, charges in scene.charges().items()}
    assert charges == {"east": 5, "west": 3}


def test_signed_requests_expire_and_are_signed_anew_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SigningKey.create(tmp_path / "server.key")
    scene = Scene(tmp_path, run__signing_key=str(tmp_path / "server.key"), run__request_hours=2.0)
    begun = NOW.timestamp()
    monkeypatch.setattr("strategies.federated_kmeans.time.time", lambda: begun)
    killed_after(scene, 3)
    scene.clock.pass_days(3)
    refused = scene.silos[0].door.answer(scene.requests[2].query(), forbidden())
    assert isinstance(refused, Refusal)
    assert refused.reason == "expired"
    monkeypatch.setattr("strategies.federated_kmeans.time.time", lambda: begun + 3 * 86400)
    killed_after(scene, 4)
    first, again = scene.requests[2:4]
    assert (first.expires, again.expires) == (int(begun) + 7200, int(begun) + 3 * 86400 + 7200)
    assert first.query().fingerprint() == again.query().fingerprint()
    assert {len(entries) for entries in scene.charges().values()} == {4}
