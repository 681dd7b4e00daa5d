from __future__ import annotations

import json
import sqlite3
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployment.enrolment import intake as intake_module
from deployment.enrolment import store as store_module
from deployment.enrolment.decisions import refusals
from deployment.enrolment.enrolling import Agent
from deployment.enrolment.errors import StoreError
from deployment.enrolment.request import LONGEST_BODY
from deployment.enrolment.token import Token
from tests.deployment.enrolment.examples import Setting, an_agent, written


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def test_a_good_request_waits_and_uses_the_token_up(setting: Setting) -> None:
    outcome = setting.ask(an_agent(), setting.token())
    assert (outcome.state, outcome.is_new) == ("waiting", True)
    assert setting.waiting() == ["north"]
    assert setting.unused_tokens() == 0
    assert setting.refused() == {}


def test_the_same_agent_that_asks_again_is_told_how_it_stands(setting: Setting) -> None:
    agent, token = an_agent(), setting.token()
    setting.ask(agent, token)
    setting.now += timedelta(days=30)  # the token's own time is over, the request stands
    outcome = setting.ask(agent, token)
    assert (outcome.state, outcome.is_new) == ("waiting", False)
    assert setting.waiting() == ["north"]
    assert setting.refused() == {}


def test_a_token_used_twice_is_refused_and_an_incident(setting: Setting) -> None:
    token = setting.token()
    setting.ask(an_agent(), token)
    first = setting.waiting()
    assert setting.ask(an_agent(), token).state == ""
    assert setting.waiting() == first
    (found,) = refusals(setting.store, "2026-11-26")
    assert (found.reason, found.region, found.is_incident) == ("token-used-twice", "north", True)


@pytest.mark.parametrize("kept", ["node", "ledger"])
def test_one_of_the_two_keys_is_not_enough_to_be_told(setting: Setting, kept: str) -> None:
    agent, other, token = an_agent(), an_agent(), setting.token()
    setting.ask(agent, token)
    if kept == "node":
        mixed = type(agent)("north", other.ledger_key, other.sign_as_ledger, agent.node_key)
    else:
        mixed = type(agent)("north", agent.ledger_key, agent.sign_as_ledger, other.node_key)
    assert setting.ask(mixed, token).state == ""
    assert setting.refused() == {"token-used-twice": 1}


def test_a_replayed_request_is_refused_and_an_incident(setting: Setting) -> None:
    body = setting.signed(an_agent(), setting.token()).write()
    assert setting.intake.take(body).state == "waiting"
    assert setting.intake.take(body).state == ""
    (found,) = refusals(setting.store, "2026-11-26")
    assert (found.reason, found.is_incident) == ("request-replayed", True)


def test_a_replay_is_noticed_for_as_long_as_its_time_would_pass(setting: Setting) -> None:
    agent, token = an_agent(), setting.token()
    body = setting.signed(agent, token, seconds=299).write()
    setting.intake.take(body)
    setting.now += timedelta(seconds=598)
    setting.ask(agent, token)  # forgets what is old
    assert setting.intake.take(body).state == ""
    assert setting.refused() == {"request-replayed": 1}


@pytest.mark.parametrize("late", [-301.0, 301.0, 86400.0, -86400.0])
def test_a_request_of_another_time_is_refused(setting: Setting, late: float) -> None:
    assert setting.ask(an_agent(), setting.token(), seconds=late).state == ""
    assert setting.refused() == {"time-out-of-range": 1}
    assert setting.unused_tokens() == 1


@pytest.mark.parametrize("late", [-299.0, 299.0])
def test_clocks_may_be_minutes_apart(setting: Setting, late: float) -> None:
    assert setting.ask(an_agent(), setting.token(), seconds=late).state == "waiting"


def test_an_expired_token_is_refused(setting: Setting) -> None:
    token = setting.token(hours=1)
    setting.now += timedelta(hours=1)
    assert setting.ask(an_agent(), token).state == ""
    assert setting.refused() == {"token-expired": 1}
    setting.now -= timedelta(milliseconds=1)
    assert setting.ask(an_agent(), token).state == "waiting"


def test_a_newer_token_replaces_the_older_one(setting: Setting) -> None:
    older, newer = setting.token(), setting.token()
    assert setting.ask(an_agent(), older).state == ""
    assert setting.refused() == {"token-replaced": 1}
    assert setting.ask(an_agent(), newer).state == "waiting"


def test_an_unknown_token_is_refused_and_names_no_region(setting: Setting) -> None:
    setting.token()
    assert setting.ask(an_agent(), Token.create()).state == ""
    (found,) = refusals(setting.store, "2026-11-26")
    assert (found.reason, found.region, found.is_incident) == ("unknown-token", "", False)


def test_a_token_serves_its_own_region_alone(setting: Setting) -> None:
    token = setting.token("south")
    assert setting.ask(an_agent("north"), token).state == ""
    (found,) = refusals(setting.store, "2026-11-26")
    assert (found.reason, found.region) == ("token-of-another-region", "south")
    assert setting.ask(an_agent("south"), token).state == "waiting"


def test_a_node_key_is_taken_once(setting: Setting) -> None:
    agent = an_agent()
    setting.ask(agent, setting.token())
    other = an_agent("south")
    copied = type(agent)("south", other.ledger_key, other.sign_as_ledger, agent.node_key)
    assert setting.ask(copied, setting.token("south")).state == ""
    assert setting.refused() == {"node-key-seen-before": 1}


def test_a_ledger_key_belongs_to_one_region(setting: Setting) -> None:
    agent, other = an_agent(), an_agent("south")
    setting.ask(agent, setting.token())
    copied = type(agent)("south", agent.ledger_key, agent.sign_as_ledger, other.node_key)
    assert setting.ask(copied, setting.token("south")).state == ""
    assert setting.refused() == {"ledger-key-of-another-region": 1}


def test_a_key_of_somebody_else_cannot_be_presented(setting: Setting) -> None:
    """Without the private key the proof does not hold, whatever the token."""
    agent, victim = an_agent(), an_agent()
    content = json.loads(setting.signed(agent, setting.token()).write())
    content["request"]["ledger-key"] = victim.ledger_key
    assert setting.intake.take(written(content)).state == ""
    assert setting.refused() == {"token-proof-broken": 1}


def test_of_two_at_the_same_moment_one_wins(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = intake_module._check_nonce

    def slowly(*given: Any) -> None:
        """Between reading the token and writing: whoever could overtake does it here."""
        time.sleep(0.03)
        check(*given)

    monkeypatch.setattr(intake_module, "_check_nonce", slowly)
    token = setting.token()
    bodies = [setting.signed(an_agent(), token).write() for _ in range(8)]
    together = threading.Barrier(len(bodies))
    states: list[str] = []

    def ask(body: bytes) -> None:
        together.wait()
        states.append(setting.intake.take(body).state)

    threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == [""] * 7 + ["waiting"]
    assert setting.waiting() == ["north"]
    assert setting.refused() == {"token-used-twice": 7}


def test_a_full_queue_refuses_and_keeps_the_token(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "LONGEST_QUEUE", 3)
    for i in range(3):
        assert setting.ask(an_agent(f"r{i}"), setting.token(f"r{i}")).state == "waiting"
    token = setting.token("late")
    assert setting.ask(an_agent("late"), token).state == ""
    assert setting.refused() == {"queue-full": 1}
    with setting.store.writing() as db:
        db.execute("UPDATE enrolments SET state = 'declined' WHERE region = 'r0'")
    assert setting.ask(an_agent("late"), token).state == "waiting"


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"x" * (LONGEST_BODY + 1), "too-long"), (b"x" * LONGEST_BODY, "malformed")],
)
def test_nonsense_is_counted_by_reason(setting: Setting, body: bytes, reason: str) -> None:
    for _ in range(3):
        assert setting.intake.take(body).state == ""
    assert setting.refused() == {reason: 3}


def test_a_locked_record_takes_nothing_and_uses_no_token_up(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    agent, token = an_agent(), setting.token()
    holder = sqlite3.connect(setting.store.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        setting.ask(agent, token)
    holder.execute("ROLLBACK")
    holder.close()
    assert setting.ask(agent, token).state == "waiting"


def test_a_full_disk_takes_nothing_and_uses_no_token_up(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = [(an_agent(f"r{i}"), setting.token(f"r{i}")) for i in range(10)]
    connect = setting.store._connect

    def full() -> sqlite3.Connection:
        connection = connect()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(setting.store, "_connect", full)
        with pytest.raises(StoreError, match="full"):
            _ask_all(setting, asking)
    taken = len(setting.waiting())
    assert setting.waiting() == [f"r{i}" for i in range(taken)]
    assert setting.unused_tokens() == len(asking) - taken
    assert setting.ask(*asking[taken]).state == "waiting"


def _ask_all(setting: Setting, asking: list[tuple[Agent, Token]]) -> None:
    for agent, token in asking:
        setting.ask(agent, token)
