"""Ledgers, witnesses and keys that are ill in every way."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from deployment.agent.doctor import records
from deployment.agent.doctor.finding import Finding, State
from deployment.agent.doctor.records import lock_holder, look_at_keys, look_at_ledger
from deployment.agent.enrolment_note import (
    EnrolmentNote,
    note_path,
    note_state,
    write_note,
)
from deployment.agent.node_key import create_node_key
from deployment.agent.settings import read_agent
from deployment.hosting.node_key import NodeKey
from tests.deployment.agent.doctor.examples import by_name, lay_out, patient, release_once

HOLDER = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = lay_out(tmp_path_factory.mktemp("records") / "north")
    release_once(settings)
    return settings.parent


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A region whose ledger has released something; copied, so not where it was made."""
    shutil.copytree(template, tmp_path / "north")
    return tmp_path / "north"


def ledger_of(folder: Path) -> dict[str, Finding]:
    return by_name(look_at_ledger(patient(folder / "agent.toml"))[0])


def test_ledger_that_is_well_and_its_account(template: Path) -> None:
    findings, account = look_at_ledger(patient(template / "agent.toml"))
    assert by_name(findings)["ledger"].state is State.WELL
    assert account is not None
    assert len(account.entries) == 1


def test_copied_ledger_is_whole_and_not_in_use(folder: Path) -> None:
    found = ledger_of(folder)["ledger"]
    assert found.state is State.WRONG
    assert "copied or moved" in found.found
    assert "ledger adopt" in found.remedy


def test_ledger_that_was_rolled_back(tmp_path: Path) -> None:
    settings = lay_out(tmp_path / "north")
    release_once(settings)
    early = (tmp_path / "north" / "ledger.sqlite").read_bytes()
    release_once(settings, 2)
    (tmp_path / "north" / "ledger.sqlite").write_bytes(early)
    found = ledger_of(tmp_path / "north")["ledger"]
    assert found.state is State.WRONG
    assert "rolled back" in found.found


def test_ledger_that_was_changed(folder: Path) -> None:
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        database.execute("DROP TRIGGER records_are_not_changed")
        database.execute("UPDATE records SET content = '{}' WHERE sequence = 3")
    assert ledger_of(folder)["ledger"].state is State.WRONG


@pytest.mark.parametrize("content", [b"", b"no database at all", None])
def test_ledger_that_is_none(folder: Path, content: bytes | None) -> None:
    (folder / "ledger.sqlite").unlink()
    if content is not None:
        (folder / "ledger.sqlite").write_bytes(content)
    assert ledger_of(folder)["ledger"].state is State.WRONG


def test_witness_that_is_lost_or_on_the_same_disk(folder: Path, template: Path) -> None:
    assert ledger_of(template)["witness"].state is State.WARNING
    (folder / "ledger.witness").unlink()
    found = ledger_of(folder)["witness"]
    assert found.state is State.WRONG
    assert "ledger adopt" in found.remedy


def test_process_that_holds_the_ledger_is_named(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "TRIES", 2)
    path = template / "ledger.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            assert lock_holder(path) == holder.pid
            found = ledger_of(template)
        finally:
            holder.kill()
    assert found["ledger-lock"].state is State.WRONG
    assert f"Process {holder.pid}" in found["ledger-lock"].found
    assert found["ledger"].state is State.NOT_CHECKED
    assert lock_holder(path) is None


def keys_of(folder: Path) -> dict[str, Finding]:
    return by_name(look_at_keys(patient(folder / "agent.toml")))


@pytest.mark.parametrize("name", ["ledger.key", "runtime.secret"])
def test_secrets_that_others_can_read_or_that_are_gone(folder: Path, name: str) -> None:
    finding = name.replace(".", "-")
    assert keys_of(folder)[finding].state is State.WELL
    (folder / name).chmod(0o640)
    found = keys_of(folder)[finding]
    assert (found.state, "0640" in found.found) == (State.WRONG, True)
    (folder / name).unlink()
    assert keys_of(folder)[finding].state is State.WRONG


def test_key_that_is_damaged(folder: Path) -> None:
    (folder / "ledger.key").write_text("damaged")
    assert keys_of(folder)["ledger-key"].state is State.WRONG


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, State.WELL, "is approved"),
        ({"state": "waiting"}, State.WARNING, "is waiting"),
        ({"state": "revoked"}, State.WARNING, "is revoked"),
        ({"server": "elsewhere:1"}, State.WARNING, "enrolled at elsewhere:1"),
        ({"node_key": "04" + "0" * 192}, State.WRONG, "not the one that was enrolled"),
    ],
)
def test_enrolled_key_is_the_nodes(
    tmp_path: Path, changes: dict[str, str], state: State, words: str
) -> None:
    settings = lay_out(tmp_path / "north", insecure=False)
    key = tmp_path / "north" / "node.key"
    create_node_key(key)
    assert keys_of(tmp_path / "north")["enrolment"].state is State.NOT_CHECKED
    told = {
        "time": "2026-11-26T12:00:00+00:00",
        "server": "127.0.0.1:1",
        "state": "approved",
        "node_key": NodeKey.load(key).public,
    }
    write_note(key, EnrolmentNote(**(told | changes)))
    found = keys_of(settings.parent)["enrolment"]
    assert found.state is state
    assert words in found.found


def test_what_the_server_tells_is_noted_with_the_key_it_was_told_of(tmp_path: Path) -> None:
    settings = lay_out(tmp_path / "north", insecure=False)
    create_node_key(tmp_path / "north" / "node.key")
    note_state(read_agent(settings), "waiting")
    assert keys_of(settings.parent)["enrolment"].state is State.WARNING
    note_state(read_agent(settings), "approved")
    assert keys_of(settings.parent)["enrolment"].state is State.WELL


def test_note_or_node_key_that_is_none(tmp_path: Path) -> None:
    lay_out(tmp_path / "north", insecure=False)
    key = tmp_path / "north" / "node.key"
    create_node_key(key)
    for content in ("", "[]", '{"time": 1}'):
        note_path(key).write_text(content)
        assert keys_of(tmp_path / "north")["enrolment"].state is State.WRONG
    told = EnrolmentNote(time="2026-11-26", server="s:1", state="approved", node_key="04")
    write_note(key, told)
    key.write_text("damaged")
    assert keys_of(tmp_path / "north")["enrolment"].state is State.WRONG
