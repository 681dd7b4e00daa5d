"""What the doctor says of events, models, disks, versions and processes."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from client.errors import EncoderError
from deployment.agent.doctor import machine, running
from deployment.agent.doctor.data import look_at_data
from deployment.agent.doctor.finding import Finding, State
from deployment.agent.doctor.machine import FEW_BYTES, LEAST_BYTES, disk, flower, packages
from deployment.agent.doctor.running import look_at_processes, process, restarts
from deployment.agent.errors import FlowerDriftError
from deployment.agent.refusals import record_refusal, refused_now
from deployment.hosting.supervision import ProgramState
from tests.client.examples import FakeEncoder
from tests.deployment.agent.doctor.examples import by_name, lay_out, patient


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("client.encoder.Encoder", FakeEncoder)
    return lay_out(tmp_path / "north")


def data_of(settings: Path) -> dict[str, Finding]:
    return by_name(look_at_data(patient(settings)))


def test_events_that_are_well_private_and_counted(settings: Path) -> None:
    found = data_of(settings)
    assert [one.state for one in found.values()] == [State.WELL] * 3
    settings.with_name("events.csv").chmod(0o644)
    settings.parent.chmod(0o755)
    found = data_of(settings)
    # pytest keeps its folders to itself, as a region's folder is.
    assert found["events-file"].state is State.WELL


def test_events_that_everybody_can_read(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.with_name("events.csv").chmod(0o644)
    monkeypatch.setattr("deployment.agent.doctor.data._is_kept_in", lambda path: False)
    found = data_of(settings)["events-file"]
    assert (found.state, "0644" in found.found) == (State.WARNING, True)


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (None, State.WRONG),
        ("who,what\nanna,milk\n", State.WRONG),
        ("user_id,item_id,action,timestamp\nanna,nothing,purchase,yesterday\n", State.WRONG),
        (
            "user_id,item_id,action,timestamp\nanna,milk,purchase,2017-11-02T09:00:00Z\n"
            + "anna,nothing,purchase,yesterday\n" * 2,
            State.WARNING,
        ),
    ],
)
def test_events_that_cannot_be_used(settings: Path, content: str | None, state: State) -> None:
    events = settings.with_name("events.csv")
    events.unlink()
    if content is not None:
        events.write_text(content)
        events.chmod(0o600)
    found = data_of(settings)
    assert found["events"].state is state
    assert "anna" not in str(found)
    assert not settings.with_name("rejected.csv").exists()


def test_parsers_words_are_not_repeated(settings: Path) -> None:
    events = settings.with_name("events.parquet")
    events.write_bytes(b"anna bought milk")
    settings.write_text(settings.read_text().replace("events.csv", "events.parquet"))
    found = data_of(settings)["events"]
    assert found.state is State.WRONG
    assert found.found.endswith("events.parquet cannot be read.")


def test_model_that_does_not_load_or_is_not_the_pinned_one(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = settings.read_text()
    settings.write_text('encoder = "another"\n' + content)
    found = data_of(settings)["model"]
    assert (found.state, "pins" in found.found) == (State.WRONG, True)

    def missing(name: str, pooling: str) -> FakeEncoder:
        raise EncoderError("The language model 'another' is neither here nor there.")

    monkeypatch.setattr("client.encoder.Encoder", missing)
    assert data_of(settings)["model"].state is State.WRONG


@pytest.mark.parametrize(
    ("free", "state"),
    [(LEAST_BYTES - 1, State.WRONG), (FEW_BYTES - 1, State.WARNING), (FEW_BYTES, State.WELL)],
)
def test_disk_by_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: State
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert disk("disk", tmp_path / "not" / "there" / "yet").state is state
    assert not (tmp_path / "not").exists()


def test_disk_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert disk("disk", tmp_path / "file" / "folder").state is State.WRONG
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert disk("disk", tmp_path).state is State.WRONG


def test_versions_that_do_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"fedinterest": "1.0", "flwr": "1.42.0", "torch": "2.6"}
    wants = {
        "fedinterest": ["flwr>=1.41,<1.42", "opacus>=1.6", 'ray; extra == "simulation"', "??"],
        "flwr": ["torch<2"],
    }

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(machine, "version", version)
    monkeypatch.setattr(
        machine,
        "distribution",
        lambda name: SimpleNamespace(metadata={}, requires=wants.get(name)),
    )
    found = packages()
    assert found.state is State.WRONG
    for words in (
        "fedinterest wants flwr<1.42,>=1.41, found is 1.42.0",
        "fedinterest wants opacus, which is missing",
        "flwr wants torch<2, found is 2.6",
    ):
        assert words in found.found
    assert "ray" not in found.found
    assert packages("nothing-of-that-name").state is State.NOT_CHECKED


def test_versions_of_this_environment_go_together() -> None:
    assert packages().state is State.WELL
    assert flower().state is State.WELL


def test_another_flower_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def drifted() -> None:
        raise FlowerDriftError("Flower 1.42.0 was found, Flower 1.41 is wanted: the version.")

    monkeypatch.setattr("deployment.agent.flower_internals.refuse_drift", drifted)
    found = flower()
    assert (found.state, "1.42.0" in found.found) == (State.WRONG, True)


def a_state(**changes: object) -> ProgramState:
    fields = {"name": "node", "state": "RUNNING", "pid": 7, "seconds": 9, "exit_status": None}
    return ProgramState(**(fields | changes))  # type: ignore[arg-type]


def test_processes_by_what_they_are() -> None:
    assert process("node", a_state()).state is State.WELL
    assert process("node", None).state is State.WRONG
    waits = process("node", a_state(state="STOPPED", pid=None, reason="The key was revoked."))
    assert (waits.state, "key was revoked" in waits.found) == (State.WRONG, True)
    failed = process("node", a_state(state="BACKOFF", pid=None))
    assert (failed.state, "backoff" in failed.found) == (State.WRONG, True)


def test_restarts_within_the_hour_are_counted(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    log = tmp_path / "supervisord.log"

    def starts(*minutes_ago: float) -> Finding:
        times = [(now - timedelta(minutes=ago)).astimezone() for ago in minutes_ago]
        lines = [f"{time:%Y-%m-%d %H:%M:%S},1 INFO spawned: 'node' with pid 1" for time in times]
        log.write_text("\n".join([*lines, "garbage spawned: 'node'"]))
        return restarts(log, now)

    assert restarts(tmp_path / "none", now).state is State.WELL
    assert starts(1, 50, 70, 90).state is State.WELL
    found = starts(1, 2, 3)
    assert (found.state, "node 3, executor 0" in found.found) == (State.WARNING, True)


def test_refused_bundles_and_leftovers_are_told(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refused_now(
        run=1, claimed="0" * 64, found="1" * 64, size=1, reason="not-approved", where="node"
    )
    record_refusal(settings.with_name("refusals.jsonl"), refused)
    settings.with_name("supervision").mkdir()
    monkeypatch.setattr(running, "processes_of", lambda folder: [SimpleNamespace(pid=77)])
    found = by_name(look_at_processes(patient(settings)))
    assert found["agent"].state is State.WARNING
    assert (found["leftovers"].state, "77" in found["leftovers"].found) == (State.WRONG, True)
    assert found["refused-bundles"].state is State.WARNING
    assert "not-approved" in found["refused-bundles"].found
