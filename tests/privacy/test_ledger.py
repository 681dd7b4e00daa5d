from __future__ import annotations

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from privacy.accountant import Adjacency, GaussianEvent, compose, epsilon_of
from privacy.errors import DamagedLedgerError, LedgerError, RefusalError
from privacy.ledger import REFUSALS_A_DAY, Ledger
from privacy.ledger_check import read_account, verify_ledger
from privacy.query import NoiseKind, SumQuery
from privacy.records import RecordKind, append, make_record
from privacy.window import Renewal
from tests.privacy.examples import NOW, SetClock, a_block, a_ledger, a_policy, a_query

FLOAT = NoiseKind.FLOAT
REPLY = b"the bytes of a release"


def cost_of(releases: int, sigma: float = 2.0) -> float:
    events = [GaussianEvent(1.0, sigma)] * releases
    return epsilon_of(compose(events, Adjacency.ADD_OR_REMOVE_ONE), 1e-6)


def refusal_of(ledger: Ledger, query: SumQuery) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        ledger.reserve(query, FLOAT)
    return caught.value


def test_reserving_charges_at_once(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.reserve(a_query(), FLOAT)
    assert ledger.spent_epsilon() == pytest.approx(cost_of(1))
    assert [entry.state for entry in ledger.entries()] == ["reserved"]


def test_committing_keeps_the_charge(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.commit(ledger.reserve(a_query(), FLOAT).entry, REPLY)
    assert ledger.spent_epsilon() == pytest.approx(cost_of(1))
    assert [entry.state for entry in ledger.entries()] == ["committed"]


def test_failing_keeps_the_charge_and_says_nothing_more(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.fail(ledger.reserve(a_query(), FLOAT).entry)
    assert ledger.spent_epsilon() == pytest.approx(cost_of(1))
    assert [entry.state for entry in ledger.entries()] == ["failed"]
    assert contents_of(ledger)[-1] == '{"entry":1}'


def test_entry_records_the_mechanism_that_was_asked_for(tmp_path: Path) -> None:
    query = a_query(a_block(clipping_norm=0.6), a_block("counts", clipping_norm=0.8), sigma=3.0)
    ledger = a_ledger(tmp_path)
    ledger.reserve(query, NoiseKind.SEEDED)
    (entry,) = ledger.entries()
    assert entry.event == GaussianEvent(query.sensitivity, 3.0)
    assert entry.clipping_norm == 0.8
    assert entry.fingerprint == query.fingerprint()
    assert (entry.noise, entry.trust_model) == ("seeded", "local")
    assert entry.window == "2026-03-01T12:00:00Z/2026-03-11T12:00:00Z"


def test_discrete_noise_is_charged_with_its_lattice(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    query = a_query()
    ledger.reserve(query, NoiseKind.DISCRETE)
    (entry,) = ledger.entries()
    assert entry.event == GaussianEvent(query.sensitivity, query.sigma, query.step)


def test_entry_records_who_asked_what_ran_and_by_which_rules(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    query = a_query(participants=5, encoder="e" * 64, server_key="a" * 64)
    ledger.reserve(query, FLOAT, "c" * 64)
    (entry,) = ledger.entries()
    assert (entry.participants, entry.encoder, entry.server_key) == (5, "e" * 64, "a" * 64)
    assert (entry.code, entry.policy) == ("c" * 64, ledger.policy.digest())


@pytest.mark.parametrize("finish", ["commit", "fail"])
def test_finished_entry_cannot_be_finished_again(tmp_path: Path, finish: str) -> None:
    ledger = a_ledger(tmp_path)
    entry = ledger.reserve(a_query(), FLOAT).entry
    ledger.commit(entry, REPLY) if finish == "commit" else ledger.fail(entry)
    with pytest.raises(LedgerError, match=f"entry {entry} is not reserved"):
        ledger.fail(entry)
    with pytest.raises(LedgerError, match=f"entry {entry} is not reserved"):
        ledger.commit(entry, b"other bytes")


def test_refused_request_leaves_ledger_unchanged(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, epsilon=cost_of(1) + 0.01)
    ledger.commit(ledger.reserve(a_query(), FLOAT).entry, REPLY)
    before = ledger.entries()
    refusal = refusal_of(ledger, a_query(round_number=2))
    assert refusal.reason == "budget-exhausted"
    assert ledger.entries() == before


def test_refusal_tells_what_it_would_have_cost_and_the_limit(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, epsilon=2.5)
    ledger.reserve(a_query(), FLOAT)
    sentence = refusal_of(ledger, a_query(round_number=2)).sentence
    for number in (f"{cost_of(1):.4f}", f"{cost_of(2):.4f}", "2.5", "2026-03-01", "1e-06"):
        assert number in sentence


def test_budget_can_be_spent_to_the_last_release_and_not_beyond(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, epsilon=cost_of(3) * (1 + 1e-9))
    for round_number in (1, 2, 3):
        ledger.reserve(a_query(round_number=round_number), FLOAT)
    assert refusal_of(ledger, a_query(round_number=4)).reason == "budget-exhausted"
    assert ledger.spent_epsilon() <= ledger.policy.budget.epsilon


def test_budget_is_one_for_all_runs(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, epsilon=cost_of(1) + 0.01)
    ledger.reserve(a_query(run="one server's"), FLOAT)
    assert refusal_of(ledger, a_query(run="another's")).reason == "budget-exhausted"


def test_budget_persists_over_reopening(tmp_path: Path) -> None:
    limit = cost_of(1) + 0.01
    ledger = a_ledger(tmp_path, epsilon=limit)
    ledger.commit(ledger.reserve(a_query(), FLOAT).entry, REPLY)
    again = a_ledger(tmp_path, epsilon=limit)
    assert again.spent_epsilon() == pytest.approx(cost_of(1))
    assert refusal_of(again, a_query(round_number=2)).reason == "budget-exhausted"


# Windows.


def test_next_window_has_a_budget_of_its_own(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock, epsilon=cost_of(1) + 0.01)
    ledger.reserve(a_query(), FLOAT)
    clock.pass_days(10)
    ledger.reserve(a_query(run="run-2"), FLOAT)
    assert ledger.spent_epsilon() == pytest.approx(cost_of(1))
    assert [window.name for window in ledger.account().windows] == [
        "2026-03-01T12:00:00Z/2026-03-11T12:00:00Z",
        "2026-03-11T12:00:00Z/2026-03-21T12:00:00Z",
    ]


def test_windows_together_never_pass_the_lifetimes_budget(tmp_path: Path) -> None:
    clock = SetClock()
    limits: dict[str, Any] = {"epsilon": cost_of(1) + 0.01, "lifetime_epsilon": cost_of(2) + 0.01}
    ledger = a_ledger(tmp_path, clock=clock, **limits)
    for run in ("run-1", "run-2"):
        ledger.reserve(a_query(run=run), FLOAT)
        clock.pass_days(10)
    assert refusal_of(ledger, a_query(run="run-3")).reason == "lifetime-exhausted"
    assert len(ledger.entries()) == 2


def test_window_that_only_its_operator_renews_stays_shut_until_then(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock, renewal=Renewal.BY_OPERATOR)
    ledger.reserve(a_query(), FLOAT)
    clock.pass_days(25)
    assert refusal_of(ledger, a_query(round_number=2)).reason == "window-over"
    window = ledger.renew()
    assert clock.now in window
    ledger.reserve(a_query(round_number=2), FLOAT)
    assert "operator" in contents_of(ledger)[-2]


def test_window_in_force_cannot_be_renewed(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, renewal=Renewal.BY_OPERATOR)
    ledger.reserve(a_query(), FLOAT)
    with pytest.raises(LedgerError, match="is not over"):
        ledger.renew()


def test_nothing_is_charged_before_the_first_window(tmp_path: Path) -> None:
    clock = SetClock(NOW - timedelta(days=2))
    ledger = a_ledger(tmp_path, clock=clock)
    assert refusal_of(ledger, a_query()).reason == "window-not-begun"


@pytest.mark.parametrize("days", [1, 3, 7, 30])
def test_shorter_or_longer_windows_begin_when_the_one_in_force_is_over(
    tmp_path: Path, days: int
) -> None:
    clock = SetClock()
    limit = cost_of(1) + 0.01
    a_ledger(tmp_path, clock=clock, epsilon=limit).reserve(a_query(), FLOAT)
    changed = a_ledger(tmp_path, clock=clock, epsilon=limit, days=days)
    assert refusal_of(changed, a_query(round_number=2)).reason == "budget-exhausted"
    clock.pass_days(9.5)
    changed.reserve(a_query(round_number=2), FLOAT)
    first, second = changed.account().windows
    assert first.end <= second.start <= clock.now < second.end


def test_clock_that_went_back_is_refused_until_it_has_caught_up(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock)
    ledger.reserve(a_query(), FLOAT)
    clock.pass_days(-0.5)
    assert refusal_of(ledger, a_query(round_number=2)).reason == "clock-went-back"
    clock.pass_days(0.5)
    ledger.reserve(a_query(round_number=2), FLOAT)


def test_clock_set_back_by_seconds_leaves_times_in_order(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock)
    ledger.reserve(a_query(), FLOAT)
    clock.now -= timedelta(seconds=30)
    ledger.reserve(a_query(round_number=2), FLOAT)
    times = [entry.time for entry in ledger.entries()]
    assert times == sorted(times)


def test_replaced_users_cost_twice_the_loss(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, adjacency=Adjacency.REPLACE_ONE)
    ledger.reserve(a_query(), FLOAT)
    assert ledger.spent_epsilon() == pytest.approx(epsilon_of(2 * 1 / 2.0, 1e-6))


# Asking again.


def test_reserved_entry_that_was_never_committed_stays_charged(tmp_path: Path) -> None:
    a_ledger(tmp_path).reserve(a_query(), FLOAT)
    again = a_ledger(tmp_path)
    assert again.spent_epsilon() == pytest.approx(cost_of(1))
    assert refusal_of(again, a_query()).reason == "already-charged"


def test_same_request_gets_the_same_bytes_and_no_new_charge(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    first = ledger.reserve(a_query(), FLOAT)
    ledger.commit(first.entry, REPLY)
    again = a_ledger(tmp_path).reserve(a_query(), FLOAT)
    assert (again.entry, again.reply) == (first.entry, REPLY)
    assert len(ledger.entries()) == 1


def test_same_request_gets_its_bytes_even_when_the_budget_is_spent(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, epsilon=cost_of(1) + 0.01)
    ledger.commit(ledger.reserve(a_query(), FLOAT).entry, REPLY)
    assert ledger.reserve(a_query(), FLOAT).reply == REPLY


def test_committed_request_without_bytes_is_not_answered_again(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.commit(ledger.reserve(a_query(), FLOAT).entry, None)
    assert refusal_of(ledger, a_query()).reason == "already-charged"


@pytest.mark.parametrize(
    "change", [{"nonce": "other"}, {"sigma": 3.0}, {"purpose": "lloyd-2"}, {"kind": "moments"}]
)
def test_another_question_in_the_same_round_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    ledger = a_ledger(tmp_path)
    ledger.commit(ledger.reserve(a_query(), FLOAT).entry, REPLY)
    changed = replace(a_query(), **change)
    assert refusal_of(ledger, changed).reason == "another-question-in-this-round"
    assert len(ledger.entries()) == 1


def test_failed_round_is_not_tried_again(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.fail(ledger.reserve(a_query(), FLOAT).entry)
    assert refusal_of(ledger, a_query()).reason == "already-charged"


def test_repeated_request_comes_with_the_head_that_it_had(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    head = ledger.commit(ledger.reserve(a_query(), FLOAT).entry, REPLY)
    ledger.reserve(a_query(round_number=2), FLOAT)
    assert a_ledger(tmp_path).reserve(a_query(), FLOAT).head == head


def test_old_replies_are_dropped_and_then_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privacy.ledger_file.REPLIES_KEPT", 2)
    ledger = a_ledger(tmp_path, epsilon=100.0)
    for number in (1, 2, 3):
        ledger.commit(ledger.reserve(a_query(round_number=number), FLOAT).entry, REPLY)
    assert refusal_of(ledger, a_query(round_number=1)).reason == "already-charged"
    assert ledger.reserve(a_query(round_number=2), FLOAT).reply == REPLY
    assert verify_ledger(ledger.path).holds


def test_run_that_asks_too_often_is_refused(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, most_releases_per_run=2, epsilon=100.0)
    for round_number in (1, 2):
        ledger.reserve(a_query(round_number=round_number), FLOAT)
    assert refusal_of(ledger, a_query(round_number=3)).reason == "too-many-releases"
    ledger.reserve(a_query(run="run-2"), FLOAT)


def test_refusals_are_recorded(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.refuse(a_query(), "too-little-noise", "More noise, please.")
    (refusal,) = a_ledger(tmp_path).refusals()
    assert (refusal.run, refusal.round_number) == ("run-1", 1)
    assert (refusal.reason, refusal.sentence) == ("too-little-noise", "More noise, please.")


def test_asking_in_vain_does_not_fill_the_disk(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock)
    heads = [
        ledger.refuse(a_query(round_number=number), "too-little-noise", "No.")
        for number in range(REFUSALS_A_DAY + 5)
    ]
    assert len(ledger.refusals()) == REFUSALS_A_DAY
    assert heads[-1] == heads[REFUSALS_A_DAY - 1]
    clock.pass_days(1)
    ledger.refuse(a_query(), "too-little-noise", "No.")
    assert len(ledger.refusals()) == REFUSALS_A_DAY + 1


def test_strangers_cannot_hide_other_refusals(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    for number in range(REFUSALS_A_DAY + 5):
        ledger.refuse(a_query(round_number=number), "server-not-trusted", "Who is it?")
    ledger.refuse(a_query(), "too-little-noise", "No.")
    reasons = [refusal.reason for refusal in ledger.refusals()]
    assert reasons.count("server-not-trusted") == REFUSALS_A_DAY // 2
    assert reasons[-1] == "too-little-noise"


def test_refusal_under_a_wrong_clock_does_not_close_the_ledger(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock)
    ledger.reserve(a_query(), FLOAT)
    clock.pass_days(3000)
    ledger.refuse(a_query(round_number=2), "too-little-noise", "No.")
    clock.pass_days(-3000)
    ledger.reserve(a_query(round_number=2), FLOAT)
    assert verify_ledger(ledger.path).holds


def test_one_servers_rounds_are_not_anothers(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, most_releases_per_run=1)
    ledger.reserve(a_query(server_key="a" * 64), FLOAT)
    assert ledger.reserve(a_query(server_key="b" * 64, nonce="other"), FLOAT).entry == 2


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER forget AFTER INSERT ON checkpoints BEGIN DELETE FROM records; END",
        "DROP TRIGGER records_are_not_changed",
        "CREATE TABLE more (words TEXT)",
        "CREATE INDEX faster ON records (time)",
        "CREATE VIEW one AS SELECT 1",
    ],
)
def test_ledger_whose_tables_or_triggers_were_changed_is_an_error(
    tmp_path: Path, statement: str
) -> None:
    ledger = a_ledger(tmp_path)
    ledger.reserve(a_query(), FLOAT)
    database = sqlite3.connect(ledger.path)
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(LedgerError, match="tables or triggers"):
        a_ledger(tmp_path).account()
    assert not verify_ledger(ledger.path).holds


@pytest.mark.parametrize(
    "change",
    [
        {"region": "south"},
        {"delta": 1e-7},
        {"lifetime_delta": 1e-7},
        {"adjacency": Adjacency.REPLACE_ONE},
    ],
)
def test_ledger_of_another_region_or_promise_is_refused(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    a_ledger(tmp_path).account()
    (key,) = change
    with pytest.raises(LedgerError, match=f"has {key}"):
        a_ledger(tmp_path, **change).account()


def test_simulated_ledger_is_not_used_for_real(tmp_path: Path) -> None:
    a_ledger(tmp_path).account()
    with pytest.raises(LedgerError, match="has simulated True"):
        Ledger(tmp_path / "ledger.sqlite", a_policy(), clock=SetClock()).account()


def test_file_that_is_not_a_database_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"shopping list: milk, eggs, differential privacy" * 50)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        a_ledger(tmp_path).account()
    assert path.read_bytes() == before


def test_another_programs_database_is_an_error(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    database.execute("CREATE TABLE songs (title TEXT)")
    database.close()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        a_ledger(tmp_path).account()


def test_damaged_ledger_is_an_error(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.reserve(a_query(), FLOAT)
    content = bytearray(ledger.path.read_bytes())
    content[20:4000] = bytes(3980)
    ledger.path.write_bytes(content)
    with pytest.raises(LedgerError):
        a_ledger(tmp_path).account()


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LedgerError, match="Nothing was sent"):
        a_ledger(tmp_path / "file").account()


def test_ledger_that_vanished_is_an_error_and_not_begun_anew(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.account()
    ledger.path.unlink()
    with pytest.raises(LedgerError):
        ledger.reserve(a_query(), FLOAT)
    with pytest.raises(LedgerError):
        ledger.spent_epsilon()
    with pytest.raises(LedgerError, match="is gone, but its key"):
        a_ledger(tmp_path).account()


def test_locked_ledger_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.ledger_file.BUSY_SECONDS", 0.05)
    ledger = a_ledger(tmp_path)
    ledger.account()
    blocker = sqlite3.connect(ledger.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        ledger.reserve(a_query(), FLOAT)
    blocker.close()


@pytest.mark.parametrize("shared", [True, False], ids=["one object", "one object each"])
def test_threads_that_reserve_at_once_never_pass_the_budget(tmp_path: Path, shared: bool) -> None:
    policy = a_policy(epsilon=cost_of(5) * (1 + 1e-9), most_releases_per_run=1000)
    path = tmp_path / "ledger.sqlite"
    common = Ledger(path, policy, clock=SetClock())
    barrier = Barrier(8)

    def reserve_some(thread: int) -> int:
        ledger = common if shared else Ledger(path, policy, clock=SetClock())
        barrier.wait()
        granted = 0
        for round_number in range(4):
            try:
                ledger.reserve(a_query(run=f"run-{thread}", round_number=round_number), FLOAT)
                granted += 1
            except RefusalError:
                continue
        return granted

    with ThreadPoolExecutor(8) as pool:
        granted = sum(pool.map(reserve_some, range(8)))
    assert granted == len(common.entries()) == 5
    assert common.spent_epsilon() <= policy.budget.epsilon


def test_threads_that_ask_the_same_thing_at_once_are_charged_once(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    barrier = Barrier(8)

    def reserve(_: int) -> str:
        barrier.wait()
        try:
            return str(ledger.reserve(a_query(), FLOAT).entry)
        except RefusalError as refusal:
            return refusal.reason

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(reserve, range(8))) == ["1", *["already-charged"] * 7]
    assert len(ledger.entries()) == 1


def test_threads_that_open_a_new_ledger_at_once_all_succeed(tmp_path: Path) -> None:
    barrier = Barrier(8)

    def open_and_reserve(thread: int) -> None:
        barrier.wait()
        a_ledger(tmp_path).reserve(a_query(run=f"run-{thread}", sigma=10.0), FLOAT)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_reserve, range(8)))
    assert len(a_ledger(tmp_path).entries()) == 8


def test_nothing_in_a_ledger_is_about_users(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    entry = ledger.reserve(a_query(), FLOAT).entry
    ledger.commit(entry, REPLY)
    ledger.refuse(a_query(round_number=2), "budget-exhausted", "No.")
    names = {name for content in contents_of(ledger) for name in json.loads(content)}
    assert {"sensitivity", "sigma"} <= names
    people = re.compile("user|person|people|customer|member|household|subject|device", re.I)
    assert [name for name in names if people.search(name)] == []


def contents_of(ledger: Ledger) -> list[str]:
    """Return the contents of all records, as they stand in the file."""
    database = sqlite3.connect(ledger.path)
    rows = database.execute("SELECT content FROM records ORDER BY sequence").fetchall()
    database.close()
    return [content for (content,) in rows]


@pytest.mark.parametrize(
    ("time", "content"),
    [
        ("2026-04-01T00:00:00.000+00:00", [["run", "x"], ["reason", "none"]]),
        ("2026-04-01T00:00:00.000+00:00", "text"),
        ("2026-04-01T00:00:00.000+23:59", {"file": "x", "reason": "moved"}),
        ("2026-04-01T00:00:00.000", {"file": "x", "reason": "moved"}),
    ],
)
def test_record_of_no_object_or_of_another_zone_makes_no_sense(
    tmp_path: Path, time: str, content: Any
) -> None:
    ledger = a_ledger(tmp_path)
    ledger.reserve(a_query(), NoiseKind.DISCRETE)
    account = read_account(ledger.path)
    good = make_record(account, "2026-04-01T00:00:00.000+00:00", RecordKind.ADOPTED, {})
    assert good.time > account.time
    record = make_record(account, time, RecordKind.ADOPTED, content)
    with pytest.raises(DamagedLedgerError, match="makes no sense"):
        append(account, record)
