"""Where disk, lock or clock fail, nothing leaves, no charge is lost, and later it goes on."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

import pytest

from privacy.door import Door
from privacy.errors import LedgerError
from privacy.ledger_check import verify_ledger
from privacy.query import Contributions
from privacy.release import LEDGER_UNUSABLE, Answer, Refusal, Release
from privacy.renewal import CLOCK_TOLERANCE
from privacy.window import Window
from tests.privacy.examples import SetClock, a_door, a_query, forbidden, giving
from tests.privacy.sick_disk_client import PEOPLE, Case, Look

ROOT = Path(__file__).parents[2]
MORE_THAN_TOLERANCE = -2 * CLOCK_TOLERANCE / timedelta(days=1)
LESS_THAN_TOLERANCE = -0.5 * CLOCK_TOLERANCE / timedelta(days=1)


@pytest.fixture(scope="module")
def cases() -> dict[str, list[Case]]:
    """Return what clients on sick disks said, in a folder that every user can reach."""
    with TemporaryDirectory(prefix="sick-disk-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        command = [sys.executable, "-m", "tests.privacy.sick_disk_client", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return {
        name: [
            Case(
                name=case["name"],
                sick=Look(**case["sick"]),
                again=Look(**case["again"]),
                further=Look(**case["further"]),
                faults=case["faults"],
            )
            for case in found
        ]
        for name, found in json.loads(done.stdout).items()
    }


def cases_of(cases: Mapping[str, list[Case]], name: str) -> list[Case]:
    if not cases[name]:
        pytest.skip("needs the rights of root")
    return cases[name]


def assert_refused(look: Look, *, touched: bool, charged: int) -> None:
    assert (look.answer, look.reason) == ("Refusal", LEDGER_UNUSABLE)
    assert (look.touched, look.charged) == (touched, charged)


def assert_released(look: Look, *, charged: int, as_before: bool = False) -> None:
    assert (look.answer, look.recorded, look.touched) == ("Release", True, not as_before)
    assert look.charged == charged


# Disks. Round 1 was answered before; round 2 is asked while the disk is sick.


@pytest.mark.parametrize("name", ["reserve", "unwritable folder", "unwritable ledger", "read-only"])
def test_disk_that_takes_no_reservation_costs_nothing_but_the_answer(
    cases: dict[str, list[Case]], name: str
) -> None:
    for case in cases_of(cases, name):
        assert_refused(case.sick, touched=False, charged=1)
        assert not case.sick.recorded
        assert_released(case.again, charged=2)
        assert_released(case.further, charged=3)
        assert case.faults == []


def test_disk_full_after_the_reservation_sends_nothing_and_stays_charged(
    cases: dict[str, list[Case]],
) -> None:
    for case in cases["commit"]:
        assert_refused(case.sick, touched=True, charged=2)
        assert (case.again.reason, case.again.recorded) == ("already-charged", True), case.name
        assert (case.again.touched, case.again.charged) == (False, 2), case.name
        assert_released(case.further, charged=3)
        assert case.faults == []


@pytest.mark.parametrize("name", ["witness", "unwritable witness"])
def test_answer_leaves_only_after_its_witness(cases: dict[str, list[Case]], name: str) -> None:
    for case in cases_of(cases, name):
        assert_refused(case.sick, touched=True, charged=2)
        assert_released(case.again, charged=2, as_before=True)
        assert_released(case.further, charged=3)
        assert case.faults == []


def test_witness_that_cannot_be_begun_costs_nothing(cases: dict[str, list[Case]]) -> None:
    (case,) = cases["first witness"]
    assert_refused(case.sick, touched=False, charged=0)
    assert_released(case.again, charged=1)
    assert_released(case.further, charged=2)


@pytest.mark.parametrize("name", ["begin", "unwritable begin"])
def test_ledger_that_could_not_be_begun_can_be_begun_later(
    cases: dict[str, list[Case]], name: str
) -> None:
    sick = cases_of(cases, name)
    assert any(case.sick.answer == "Refusal" for case in sick)
    for case in sick:
        if case.sick.answer == "Refusal":
            assert_refused(case.sick, touched=False, charged=-1)
            assert not case.sick.recorded
        assert (case.again.answer, case.again.charged) == ("Release", 1), case.name
        assert_released(case.further, charged=2)
        assert case.faults == []


def test_small_disk_that_is_full_sends_nothing_that_is_not_charged(
    cases: dict[str, list[Case]],
) -> None:
    small = cases_of(cases, "small")
    assert {case.sick.answer for case in small} == {"Refusal", "Release"}
    for case in small:
        if case.sick.answer == "Release":
            assert_released(case.sick, charged=2)
        else:
            assert case.sick.reason == LEDGER_UNUSABLE
        # What had touched users was charged, and is not computed again.
        assert case.again.touched is not case.sick.touched, case.name
        assert case.again.charged == 2, case.name
        assert_released(case.further, charged=3)
        assert case.faults == []


def test_disks_were_sick_in_many_ways(cases: dict[str, list[Case]]) -> None:
    assert all(len(cases[name]) >= 10 for name in ("reserve", "commit", "witness", "begin"))
    if os.geteuid() == 0:
        assert all(cases[name] for name in cases if name.startswith("unwritable"))


# Locks.


def answered(door: Door, round_number: int) -> Answer:
    """Ask for a round whose users may be touched."""
    return door.answer(a_query(round_number=round_number), giving(PEOPLE))


def refused(door: Door, round_number: int = 2) -> Refusal:
    """Ask for a round whose users must not be touched."""
    answer = door.answer(a_query(round_number=round_number), forbidden())
    assert isinstance(answer, Refusal)
    return answer


@contextmanager
def locked(path: Path) -> Iterator[None]:
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        blocker.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.ledger_file.BUSY_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
def test_locked_ledger_answers_nothing_until_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door = a_door(tmp_path)
    answered(door, 1)
    with locked(door.ledger.path):
        refusal = refused(door)
    assert (refusal.reason, refusal.head) == (LEDGER_UNUSABLE, None)
    assert "locked" in caplog.text
    assert str(tmp_path) not in refusal.sentence
    assert len(door.ledger.entries()) == 1
    assert isinstance(answered(door, 2), Release)


@pytest.mark.usefixtures("impatient")
def test_ledger_locked_after_the_reservation_sends_nothing_and_stays_charged(
    tmp_path: Path,
) -> None:
    door = a_door(tmp_path)
    lock = locked(door.ledger.path)

    def contribute(window: Window) -> Mapping[str, Contributions]:
        lock.__enter__()
        return PEOPLE

    answer = door.answer(a_query(), contribute)
    lock.__exit__(None, None, None)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.head) == (LEDGER_UNUSABLE, None)
    assert [entry.state for entry in door.ledger.entries()] == ["reserved"]
    assert refused(door, 1).reason == "already-charged"
    assert isinstance(answered(door, 2), Release)


@pytest.mark.usefixtures("impatient")
def test_client_that_fails_while_its_ledger_is_locked_fails_as_it_does_otherwise(
    tmp_path: Path,
) -> None:
    door = a_door(tmp_path)
    lock = locked(door.ledger.path)

    def contribute(window: Window) -> Mapping[str, Contributions]:
        lock.__enter__()
        raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            door.answer(a_query(), contribute)
    finally:
        lock.__exit__(None, None, None)
    assert [entry.state for entry in door.ledger.entries()] == ["reserved"]
    assert refused(door, 1).reason == "already-charged"


def test_ledger_that_is_locked_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    answered(door, 1)
    blocker = sqlite3.connect(door.ledger.path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN EXCLUSIVE")
    timer = Timer(0.2, blocker.close)
    timer.start()
    assert isinstance(answered(door, 2), Release)
    timer.join()


@pytest.mark.usefixtures("impatient")
def test_reader_of_a_ledger_does_not_hold_its_client_up(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    answered(door, 1)
    reader = sqlite3.connect(door.ledger.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM records").fetchone()
    assert isinstance(answered(door, 2), Release)
    reader.close()


@pytest.mark.usefixtures("impatient")
def test_ledger_that_another_program_keeps_to_itself_cannot_be_verified(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    answered(door, 1)
    owner = sqlite3.connect(door.ledger.path, isolation_level=None)
    owner.execute("PRAGMA locking_mode = EXCLUSIVE")
    owner.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="locked"):
        verify_ledger(door.ledger.path)
    assert refused(door).head is None
    owner.close()
    assert verify_ledger(door.ledger.path).holds


# Clocks.


def test_clock_that_jumps_back_stops_answers_until_it_is_right_again(tmp_path: Path) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock)
    answered(door, 1)
    clock.pass_days(MORE_THAN_TOLERANCE)
    refusal = refused(door)
    assert refusal.reason == "clock-went-back"
    assert refusal.is_genuine
    assert len(door.ledger.entries()) == 1
    clock.pass_days(-MORE_THAN_TOLERANCE)
    assert isinstance(answered(door, 2), Release)
    assert verify_ledger(door.ledger.path).holds


def test_clock_that_is_set_back_a_little_changes_nothing(tmp_path: Path) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock)
    answered(door, 1)
    clock.pass_days(LESS_THAN_TOLERANCE)
    assert isinstance(answered(door, 2), Release)
    first, second = door.ledger.entries()
    assert first.time <= second.time
    assert verify_ledger(door.ledger.path).holds


def test_clock_that_is_set_back_a_little_many_times_does_not_go_back_in_sum(
    tmp_path: Path,
) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock)
    answered(door, 1)
    for _ in range(3):
        clock.pass_days(LESS_THAN_TOLERANCE)
        answer = door.answer(a_query(), forbidden())  # what was answered is sent again
        assert isinstance(answer, Release)
    assert refused(door).reason == "clock-went-back"


def test_clock_that_jumps_back_while_an_answer_is_computed_loses_no_charge(tmp_path: Path) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock)

    def contribute(window: Window) -> Mapping[str, Contributions]:
        clock.pass_days(-1000)
        return PEOPLE

    assert isinstance(door.answer(a_query(), contribute), Release)
    assert [entry.state for entry in door.ledger.entries()] == ["committed"]
    assert verify_ledger(door.ledger.path).holds


@pytest.mark.parametrize("days", [0.5, 20], ids=["same window", "two windows on"])
def test_clock_that_jumps_forward_and_returns_stops_answers_until_it_is_that_late(
    tmp_path: Path, days: float
) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock)
    answered(door, 1)
    clock.pass_days(days)
    assert isinstance(answered(door, 2), Release)
    clock.pass_days(-days)
    assert refused(door, 3).reason == "clock-went-back"
    assert len(door.ledger.entries()) == 2
    clock.pass_days(days)
    assert isinstance(answered(door, 3), Release)
    assert verify_ledger(door.ledger.path).holds


def test_clock_that_jumps_to_and_fro_never_renews_a_window_twice(tmp_path: Path) -> None:
    clock = SetClock()
    one = a_door(tmp_path / "price", clock=clock)
    answered(one, 1)
    price = one.ledger.spent_epsilon() * (1 + 1e-9)
    door = a_door(tmp_path / "jumps", clock=clock, epsilon=price, lifetime_epsilon=2 * price)
    reasons: list[str] = []
    for round_number, days in enumerate([0, 10, -10, 10, 0, -20, 40, -40, 40, 10], start=1):
        clock.pass_days(days)
        answer = answered(door, round_number)
        reasons.append(answer.reason if isinstance(answer, Refusal) else "released")
    account = door.ledger.account()
    windows = [entry.window for entry in account.entries.values()]
    assert len(windows) == len(set(windows)) == reasons.count("released")
    assert reasons.count("released") == 3  # three windows' releases compose to less than two
    assert set(reasons) == {
        "released",
        "clock-went-back",
        "budget-exhausted",
        "lifetime-exhausted",
    }
