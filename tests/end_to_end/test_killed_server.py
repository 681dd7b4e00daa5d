"""A server's process is killed with -9; started again, the run goes on and ends as another did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from privacy.audit.ledger_audit import audit_ledger
from privacy.ledger_check import read_account
from privacy.server_record import read_server_record
from server.checkpoint import CHECKPOINT, read_checkpoint
from server.results import HEADS, read_report
from simulations.run import run_world
from simulations.world import World, prepare
from tests.client.examples import FakeEncoder
from tests.simulations.examples import a_scenario

PHASES = 13


def a_world(folder: Path) -> World:
    folder.mkdir()
    return prepare(a_scenario(folder), folder / "out")


def test_a_server_killed_after_the_second_phase_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulations.world.Encoder", FakeEncoder)
    monkeypatch.setattr("client.region.Encoder", FakeEncoder)
    monkeypatch.setattr("server.results.pld_epsilon", lambda events, **rules: 0.0)
    whole, broken = a_world(tmp_path / "whole"), a_world(tmp_path / "broken")
    run_world(whole)

    command = [sys.executable, "-m", "tests.end_to_end.server_process", str(broken.folder), "2"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    killed = broken.folder.with_name("killed")
    kept = read_checkpoint(killed / CHECKPOINT)
    assert (kept.state.done, len(kept.state.history)) == (2, 2)
    assert not (killed / HEADS).exists()  # nothing was tidied up
    assert "done, and not asked again: mean, radius" in ended.stderr + ended.stdout
    report = read_report(broken.folder)
    assert (report.run.id, report.run.resumed) == (kept.state.run, 1)
    assert not (broken.folder / CHECKPOINT).exists()
    with (
        np.load(broken.folder / "cluster-map.npz") as found,
        np.load(whole.folder / "cluster-map.npz") as expected,
    ):
        assert found["centroids"].tobytes() == expected["centroids"].tobytes()
        assert found["item_weights"].tobytes() == expected["item_weights"].tobytes()

    record = read_server_record(broken.folder / HEADS)
    assert len(record.rounds) == PHASES
    for path in (broken.folder / "ledgers").glob("*.sqlite"):
        assert audit_ledger(path, heads=record.heads).faults == []
        assert [entry.state for entry in read_account(path).entries.values()] == (
            ["committed"] * PHASES
        )
