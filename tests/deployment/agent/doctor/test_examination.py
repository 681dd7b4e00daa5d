"""The doctor looks at everything, tells no secrets, and changes nothing."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.agent import app
from deployment.agent.doctor import examination
from deployment.agent.doctor.examination import examine
from deployment.agent.doctor.finding import Finding, State, exit_status
from tests.client.examples import PEOPLE, FakeEncoder
from tests.deployment.agent.doctor.examples import by_name, lay_out, release_once


@pytest.fixture(autouse=True)
def _fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.encoder.Encoder", FakeEncoder)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = lay_out(tmp_path_factory.mktemp("doctor") / "north")
    release_once(settings)
    return settings


def everything(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_region_that_is_well_but_for_its_server(region: Path) -> None:
    found = by_name(examine(region))
    ill = {name for name, one in found.items() if one.state in (State.WARNING, State.WRONG)}
    # The test's server does not run, nor does the agent, and there is one disk.
    assert ill == {"server-port", "agent", "witness"}, {name: found[name] for name in ill}
    assert found["program-approved"].state is State.WELL
    assert found["bundle-and-program"].state is State.WELL
    assert "3 events can be used, 0 cannot; 5 items" in found["events"].found


def test_nothing_is_changed_and_nothing_is_spent(region: Path) -> None:
    before = everything(region.parent)
    list(examine(region))
    assert everything(region.parent) == before


def test_nothing_is_changed_where_a_crash_left_a_log(tmp_path: Path) -> None:
    settings = lay_out(tmp_path / "north")
    release_once(settings)
    ledger = settings.with_name("ledger.sqlite")
    # A connection that never closed, as after kill -9: its log holds what the file does not yet.
    crashed = sqlite3.connect(ledger, isolation_level=None)
    crashed.execute("PRAGMA journal_mode = WAL")
    crashed.execute("BEGIN")
    crashed.execute("SELECT count(*) FROM records").fetchone()
    release_once(settings, 2)
    assert ledger.with_name("ledger.sqlite-wal").stat().st_size > 0
    before = everything(settings.parent)
    found = by_name(examine(settings))
    assert everything(settings.parent) == before
    assert found["ledger"].state is State.WELL, found["ledger"]
    assert "7 records" in found["ledger"].found  # the last two are in the log alone
    crashed.close()


def test_no_secret_no_user_and_no_row_is_told(region: Path) -> None:
    told = CliRunner().invoke(app, ["doctor", "--settings", str(region)]).output
    secret = (region.parent / "runtime.secret").read_text()
    key = (region.parent / "ledger.key").read_text().splitlines()[1]
    for hidden in (secret, key, *{user for user, _, _ in PEOPLE}, "soap bar"):
        assert hidden not in told


def test_command_tells_machines_the_same_and_its_status(region: Path) -> None:
    told = CliRunner().invoke(app, ["doctor", "--settings", str(region), "--json"])
    content = json.loads(told.output)
    assert told.exit_code == content["status"] == 2
    states = {one["name"]: one["state"] for one in content["findings"]}
    assert states["settings"] == "well"
    assert states["server-port"] == "wrong"
    assert all(one["remedy"] for one in content["findings"] if one["state"] == "wrong")


def test_status_is_that_of_the_worst_finding() -> None:
    def status(*states: State) -> int:
        return exit_status([Finding("x", state, "x") for state in states])

    assert status(State.WELL, State.NOT_CHECKED) == 0
    assert status(State.WELL, State.WARNING, State.NOT_CHECKED) == 1
    assert status(State.WARNING, State.WRONG, State.WELL) == 2


def test_settings_that_cannot_be_read_are_one_finding(tmp_path: Path) -> None:
    (finding,) = examine(tmp_path / "agent.toml")
    assert (finding.name, finding.state) == ("settings", State.WRONG)


def test_check_that_fails_is_told_without_its_words(
    region: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(patient: object) -> list[Finding]:
        raise RuntimeError("anna bought milk")

    monkeypatch.setattr(examination, "look_at_data", broken)
    found = by_name(examine(region))
    assert found["data"].state is State.WRONG
    assert "RuntimeError" in found["data"].found
    assert "anna" not in str(found)
    assert "refused-bundles" in found  # those behind it were made
