"""However many ask at once, in threads and in processes, the budget holds and nobody is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from privacy.accountant import Adjacency, GaussianEvent, compose, epsilon_of
from privacy.ledger_check import Verification, check_signature, verify_ledger
from privacy.query import NoiseKind
from privacy.release import LEDGER_UNUSABLE
from privacy.signed_head import SignedHead
from tests.privacy.crowd_client import BLOCK, SERVERS, SHARED_ROUND, a_member, asked, told
from tests.privacy.examples import a_query

ROOT = Path(__file__).parents[2]
PROCESSES, THREADS = 4, 50
AFFORDED = 70
"""Releases that the budget allows."""
QUERY = a_query(BLOCK)


def epsilon_after(events: list[GaussianEvent]) -> float:
    return epsilon_of(compose(events, Adjacency.ADD_OR_REMOVE_ONE), 1e-6)


BUDGET = epsilon_after([GaussianEvent(QUERY.sensitivity, QUERY.sigma)] * AFFORDED) * (1 + 1e-9)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a ledger that a crowd has been at."""
    folder = tmp_path_factory.mktemp("crowd")
    arguments = [str(folder), str(PROCESSES), str(THREADS), str(BUDGET)]
    command = [sys.executable, "-m", "tests.privacy.crowd_client", *arguments]
    subprocess.run(command, cwd=ROOT, check=True, timeout=240)
    return folder


@pytest.fixture(scope="module")
def answers(site: Path) -> list[dict[str, Any]]:
    files = sorted(site.glob("answers-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def verified(site: Path, answers: list[dict[str, Any]]) -> Verification:
    heads = [SignedHead.from_json(answer["head"]) for answer in answers if answer["head"]]
    return verify_ledger(site / "ledger.sqlite", witness=site / "witness.jsonl", heads=heads)


def releases(answers: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return by its entry each release that anybody received."""
    return {answer["entry"]: answer for answer in answers if answer["type"] == "Release"}


def event_of(answer: dict[str, Any]) -> GaussianEvent:
    step = QUERY.step if answer["noise"] == NoiseKind.DISCRETE else 0.0
    return GaussianEvent(answer["sensitivity"], answer["sigma"], step)


def test_everybody_in_a_crowd_gets_an_answer(answers: list[dict[str, Any]]) -> None:
    kinds = Counter(answer["type"] for answer in answers)
    assert [one for one in answers if one["type"] not in ("Release", "Refusal")][:3] == []
    assert set(kinds) == {"Release", "Refusal"}
    assert kinds.total() == 2 * PROCESSES * THREADS
    assert all(answer["genuine"] for answer in answers if answer["head"])
    reasons = Counter(answer["reason"] for answer in answers if answer["type"] == "Refusal")
    assert set(reasons) <= {"budget-exhausted", "already-charged", LEDGER_UNUSABLE}, reasons
    assert reasons["budget-exhausted"] > 20


def test_what_a_crowd_received_never_passes_the_budget(answers: list[dict[str, Any]]) -> None:
    received = releases(answers)
    assert len(received) > AFFORDED / 2
    assert epsilon_after([event_of(answer) for answer in received.values()]) <= BUDGET


def test_ledger_holds_after_a_crowd(verified: Verification) -> None:
    assert verified.faults == []
    assert verified.unchecked == []


def test_ledger_counts_what_a_crowd_received_and_what_it_reserved(
    verified: Verification, answers: list[dict[str, Any]]
) -> None:
    assert verified.account is not None
    entries = verified.account.entries
    states = Counter(entry.state for entry in entries.values())
    received = releases(answers)
    assert states["committed"] + states["reserved"] == len(entries) == AFFORDED
    assert {entries[number].state for number in received} == {"committed"}
    unusable = sum(answer.get("reason") == LEDGER_UNUSABLE for answer in answers)
    assert len(entries) - len(received) <= unusable
    for entry, answer in received.items():
        charged = entries[entry]
        assert (charged.run, charged.round_number) == (answer["run"], answer["round"])
        assert charged.event == event_of(answer)


def test_two_servers_runs_share_one_budget(answers: list[dict[str, Any]]) -> None:
    runs = Counter(answer["run"] for answer in releases(answers).values())
    assert set(runs) == set(SERVERS)
    assert runs.total() <= AFFORDED


def test_round_that_a_whole_crowd_asks_for_is_charged_once_and_released_once(
    verified: Verification, answers: list[dict[str, Any]]
) -> None:
    """Its charge stays without a release where the file was not had in time to commit it."""
    shared = [answer for answer in answers if answer["round"] == SHARED_ROUND]
    assert len(shared) == PROCESSES * THREADS
    assert verified.account is not None
    place = (SERVERS[0], SHARED_ROUND)
    (charged,) = [
        (number, entry.state)
        for number, entry in verified.account.entries.items()
        if (entry.run, entry.round_number) == place
    ]
    released = [answer for answer in shared if answer["type"] == "Release"]
    assert {answer["entry"] for answer in released} <= {charged[0]}
    assert len({answer["digest"] for answer in released}) == (charged[1] == "committed")
    assert released or any(answer.get("reason") == LEDGER_UNUSABLE for answer in shared)


def test_ledger_that_answers_while_it_is_verified_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = a_member(tmp_path, 0, BUDGET)
    told(door, asked(0, 0, 1)[0])

    def answer_meanwhile(*arguments: Any) -> None:
        told(door, asked(0, 0, 1)[1])
        check_signature(*arguments)

    monkeypatch.setattr("privacy.ledger_check.check_signature", answer_meanwhile)
    found = verify_ledger(tmp_path / "ledger.sqlite", witness=tmp_path / "witness.jsonl")
    assert found.faults == []
    assert len(door.ledger.entries()) == 2
