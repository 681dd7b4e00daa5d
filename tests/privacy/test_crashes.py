"""A client that dies at any instruction may charge for nothing, but never misses a charge."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from privacy.accountant import epsilon_of
from privacy.door import Door
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.release import Refusal, Release
from tests.privacy.examples import SEED, a_policy, a_query, forbidden

ROOT = Path(__file__).parents[2]
INSTANTS = ("while-computing", "before-commit", "after-commit")


@pytest.fixture(scope="module")
def crash_sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the ledger of a client killed at each instant."""
    folder = tmp_path_factory.mktemp("crashes")
    command = [sys.executable, "-m", "tests.privacy.killed_client", str(folder), *INSTANTS]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    return folder


def reopened(folder: Path, instant: str) -> Door:
    return Door(Ledger(folder / instant / "ledger.sqlite", a_policy()), NoiseSource(SEED))


@pytest.mark.parametrize("instant", INSTANTS)
def test_killed_client_stays_charged(crash_sites: Path, instant: str) -> None:
    ledger = reopened(crash_sites, instant).ledger
    assert ledger.spent_epsilon() == pytest.approx(epsilon_of(1 / 2.0, 1e-6))


@pytest.mark.parametrize("instant", INSTANTS)
def test_killed_client_leaves_a_whole_file(crash_sites: Path, instant: str) -> None:
    database = sqlite3.connect(crash_sites / instant / "ledger.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


@pytest.mark.parametrize("instant", ["while-computing", "before-commit"])
def test_release_lost_in_a_crash_is_not_drawn_again(crash_sites: Path, instant: str) -> None:
    answer = reopened(crash_sites, instant).answer(a_query(), forbidden())
    assert isinstance(answer, Refusal)
    assert answer.reason == "already-charged"


def test_release_committed_before_a_crash_is_sent_as_it_was(crash_sites: Path) -> None:
    door = reopened(crash_sites, "after-commit")
    answer = door.answer(a_query(), forbidden())
    assert isinstance(answer, Release)
    assert len(door.ledger.entries()) == 1
