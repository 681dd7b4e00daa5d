from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from privacy.accountant import GaussianEvent, compose, epsilon_of
from privacy.errors import LedgerError, RefusalError
from privacy.ledger import Ledger
from privacy.query import NoiseKind, SumQuery
from tests.privacy.examples import a_block, a_ledger, a_policy, a_query

FLOAT = NoiseKind.FLOAT
REPLY = b"the bytes of a release"


def cost_of(releases: int, sigma: float = 2.0) -> float:
    return epsilon_of(compose([GaussianEvent(1.0, sigma)] * releases), 1e-6)


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


def test_cancelling_takes_the_charge_back(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.cancel(ledger.reserve(a_query(), FLOAT).entry)
    assert ledger.spent_epsilon() == 0
    assert ledger.entries() == []


def test_entry_records_the_mechanism_that_was_asked_for(tmp_path: Path) -> None:
    query = a_query(a_block(clipping_norm=0.6), a_block("counts", clipping_norm=0.8), sigma=3.0)
    ledger = a_ledger(tmp_path)
    ledger.reserve(query, NoiseKind.SEEDED)
    (entry,) = ledger.entries()
    assert entry.event == GaussianEvent(query.sensitivity, 3.0)
    assert entry.clipping_norm == 0.8
    assert entry.fingerprint == query.fingerprint()
    assert (entry.window, entry.noise, entry.trust_model) == ("2017", "seeded", "local")


def test_number_of_a_cancelled_entry_is_never_used_again(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    first = ledger.reserve(a_query(), FLOAT).entry
    ledger.cancel(first)
    assert a_ledger(tmp_path).reserve(a_query(), FLOAT).entry > first


@pytest.mark.parametrize("finish", ["commit", "cancel"])
def test_finished_entry_cannot_be_finished_again(tmp_path: Path, finish: str) -> None:
    ledger = a_ledger(tmp_path)
    entry = ledger.reserve(a_query(), FLOAT).entry
    ledger.commit(entry, REPLY) if finish == "commit" else ledger.cancel(entry)
    with pytest.raises(LedgerError, match=f"entry {entry} is not reserved"):
        ledger.cancel(entry)
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
    for number in (f"{cost_of(1):.4f}", f"{cost_of(2):.4f}", "2.5", "2017", "1e-06"):
        assert number in sentence


def test_budget_can_be_spent_to_the_last_release_and_not_beyond(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, epsilon=cost_of(3) * (1 + 1e-9))
    for round_number in (1, 2, 3):
        ledger.reserve(a_query(round_number=round_number), FLOAT)
    assert refusal_of(ledger, a_query(round_number=4)).reason == "budget-exhausted"
    assert ledger.spent_epsilon() <= ledger.policy.epsilon


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


def test_another_window_has_a_budget_of_its_own(tmp_path: Path) -> None:
    limit = cost_of(1) + 0.01
    a_ledger(tmp_path, epsilon=limit).reserve(a_query(), FLOAT)
    ledger = a_ledger(tmp_path, epsilon=limit, window="2018")
    assert ledger.spent_epsilon() == 0
    ledger.reserve(a_query(run="run-2"), FLOAT)
    assert len(ledger.entries()) == 2


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
    tmp_path: Path, change: dict[str, object]
) -> None:
    ledger = a_ledger(tmp_path)
    ledger.commit(ledger.reserve(a_query(), FLOAT).entry, REPLY)
    changed = replace(a_query(), **change)  # type: ignore[arg-type]
    assert refusal_of(ledger, changed).reason == "another-question-in-this-round"
    assert len(ledger.entries()) == 1


def test_cancelled_round_can_be_asked_again(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.cancel(ledger.reserve(a_query(), FLOAT).entry)
    assert ledger.reserve(a_query(nonce="other"), FLOAT).reply is None


def test_run_that_asks_too_often_is_refused(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, most_releases_per_run=2, epsilon=100.0)
    for round_number in (1, 2):
        ledger.reserve(a_query(round_number=round_number), FLOAT)
    assert refusal_of(ledger, a_query(round_number=3)).reason == "too-many-releases"
    ledger.reserve(a_query(run="run-2"), FLOAT)


def test_refusals_are_recorded(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.record_refusal(a_query(), "too-little-noise", "More noise, please.")
    (refusal,) = a_ledger(tmp_path).refusals()
    assert (refusal.run, refusal.round_number) == ("run-1", 1)
    assert (refusal.reason, refusal.sentence) == ("too-little-noise", "More noise, please.")


@pytest.mark.parametrize("change", [{"region": "south"}, {"delta": 1e-7}])
def test_ledger_of_another_region_or_delta_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    a_ledger(tmp_path)
    (key,) = change
    with pytest.raises(LedgerError, match=f"has {key}"):
        a_ledger(tmp_path, **change)


def test_file_that_is_not_a_database_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"shopping list: milk, eggs, differential privacy" * 50)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        a_ledger(tmp_path)
    assert path.read_bytes() == before


def test_another_programs_database_is_an_error(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    database.execute("CREATE TABLE songs (title TEXT)")
    database.close()
    with pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        a_ledger(tmp_path)


def test_damaged_ledger_is_an_error(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.reserve(a_query(), FLOAT)
    content = bytearray(ledger.path.read_bytes())
    content[20:4000] = bytes(3980)
    ledger.path.write_bytes(content)
    with pytest.raises(LedgerError):
        a_ledger(tmp_path)


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LedgerError, match="Nothing was sent"):
        a_ledger(tmp_path / "file")


def test_ledger_that_vanished_is_an_error_and_not_begun_anew(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.path.unlink()
    with pytest.raises(LedgerError):
        ledger.reserve(a_query(), FLOAT)
    with pytest.raises(LedgerError):
        ledger.spent_epsilon()


def test_locked_ledger_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privacy.ledger.BUSY_SECONDS", 0.05)
    ledger = a_ledger(tmp_path)
    blocker = sqlite3.connect(ledger.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        ledger.reserve(a_query(), FLOAT)
    blocker.close()


@pytest.mark.parametrize("shared", [True, False], ids=["one object", "one object each"])
def test_threads_that_reserve_at_once_never_pass_the_budget(tmp_path: Path, shared: bool) -> None:
    policy = a_policy(epsilon=cost_of(5) * (1 + 1e-9), most_releases_per_run=1000)
    path = tmp_path / "ledger.sqlite"
    common = Ledger(path, policy)
    barrier = Barrier(8)

    def reserve_some(thread: int) -> int:
        ledger = common if shared else Ledger(path, policy)
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
    assert common.spent_epsilon() <= policy.epsilon


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


def test_schema_has_no_place_for_user_identifiers(tmp_path: Path) -> None:
    database = sqlite3.connect(a_ledger(tmp_path).path)
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master").fetchall()]
    columns = [
        name
        for table in tables
        for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))
    ]
    database.close()
    assert {"sensitivity", "sigma"} <= set(columns)
    people = re.compile("user|person|people|customer|member|household|subject|device", re.I)
    assert [name for name in columns + tables if people.search(name)] == []
