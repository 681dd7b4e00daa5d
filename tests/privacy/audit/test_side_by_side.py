"""Ledgers are compared with each other, and with what their servers kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy import ledger_check
from privacy.accountant import Adjacency, GaussianEvent, compose, epsilon_of
from privacy.audit.accounts import MOST_DISTRIBUTIONS, check_the_sum, combine, count_by_release
from privacy.audit.auditing import IN_ONE_PROCESS, Audit, audit
from privacy.audit.claims import claim
from privacy.audit.evidence import EvidenceError, find_evidence
from privacy.audit.ledger_audit import TRIES, Verdict
from privacy.audit.side_by_side import near_limit
from privacy.door import Door
from privacy.ledger import Ledger, witness_beside
from privacy.ledger_file import LedgerFile
from privacy.policy import write_default_policy
from privacy.query import NoiseKind
from privacy.server_record import HEADS, write_server_record
from privacy.signed_head import SignedHead, sign_head
from privacy.signing import SigningKey
from simulations.benchmarks.many_ledgers import Manner, make_ledger
from tests.privacy.audit.runs import PEOPLE, a_record, a_report, a_run
from tests.privacy.examples import SetClock, a_noise, a_policy, a_query, giving
from tests.privacy.test_copies import damages

ADD = Adjacency.ADD_OR_REMOVE_ONE


def test_ledgers_that_fit_their_server_pass(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path))
    for path in (tmp_path, tmp_path / "ledgers"):
        found = audit([path])
        assert found.verdict is Verdict.PASS
        assert (found.comparison.faults, found.comparison.unchecked) == ([], [])
        assert [one.region for one in found.ledgers] == ["east", "west"]


def test_region_that_the_server_knows_and_whose_ledger_is_missing_fails(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path))
    (tmp_path / "ledgers" / "west.sqlite").unlink()
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert "heads of west" in found.comparison.faults[0]
    assert "west" in found.comparison.disagreeing
    alone = audit([tmp_path / "ledgers" / "east.sqlite"])
    assert alone.verdict is Verdict.PASS
    assert "heads of west" in alone.comparison.unchecked[0]


def test_more_answers_than_charges_are_a_release_without_an_entry(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path), answered=3)
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert "released without an entry" in found.comparison.faults[0]


def test_copy_of_a_ledger_pays_for_no_missing_charge(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path), answered=3)
    folder = tmp_path / "ledgers"
    shutil.copy(folder / "east.sqlite", folder / "east (copy).sqlite")
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert "released without an entry" in found.comparison.faults[0]
    assert [one.region for one in found.comparison.counting] == ["east", "west"]
    a_record(tmp_path, [], answered=2)
    told = claim(audit([tmp_path]))
    assert "any one of 2 regions" in told


def test_heads_beside_ledgers_count_whatever_else_is_given(tmp_path: Path) -> None:
    heads = a_run(tmp_path)
    older = replace(heads[0])
    a_record(tmp_path, heads, answered=3)
    write_server_record(tmp_path / "other.json", [older], run="run-1")
    assert audit([tmp_path], heads=[tmp_path / "other.json"]).verdict is Verdict.FAIL
    links = tmp_path / "links"
    links.mkdir()
    for name in ("east.sqlite", "west.sqlite"):
        (links / name).symlink_to(tmp_path / "ledgers" / name)
    shutil.copy(tmp_path / "ledgers" / HEADS, links / HEADS)
    assert audit([links]).verdict is Verdict.FAIL


def test_ledgers_named_one_by_one_tell_that_rounds_were_not_compared(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path), answered=3)
    folder = tmp_path / "ledgers"
    found = audit([folder / "east.sqlite", folder / "west.sqlite"])
    assert found.verdict is Verdict.PASS
    assert any("named one by one" in told for told in found.comparison.unchecked)


def test_every_named_witness_counts_and_unmatched_evidence_is_told(tmp_path: Path) -> None:
    (east, west), folder = a_run(tmp_path), tmp_path / "ledgers"
    key = SigningKey.load(folder / "east.key")
    later = sign_head(key, "east", east.sequence + 5, "ab" * 32)
    unsigned = replace(east, signature="00")
    for name, head in (("old", east), ("new", later), ("foreign", west), ("forged", unsigned)):
        (tmp_path / name).write_text(f"\n{json.dumps(asdict(head), sort_keys=True)}\n")
    one = [folder / "east.sqlite"]
    assert audit(one, witnesses=[tmp_path / "old"]).verdict is Verdict.PASS
    both = audit(one, witnesses=[tmp_path / "old", tmp_path / "new"])
    assert both.verdict is Verdict.FAIL  # nobody but its owner could have signed that head
    foreign = audit(one, witnesses=[tmp_path / "foreign"])
    assert any("no head of any ledger" in told for told in foreign.comparison.unchecked)
    with pytest.raises(EvidenceError, match="Nothing was audited"):
        audit(one, witnesses=[tmp_path / "nowhere"])
    with pytest.raises(EvidenceError, match="its key did not sign"):
        audit(one, witnesses=[tmp_path / "forged"])
    (tmp_path / "empty").touch()
    with pytest.raises(EvidenceError, match="is empty"):
        audit(one, witnesses=[tmp_path / "empty"])
    write_default_policy(tmp_path / "south.toml", "south")
    approved = audit(one, policies=[tmp_path / "south.toml"])
    assert any("policy of south" in told for told in approved.comparison.unchecked)


def a_witness(path: Path, *heads: SignedHead) -> None:
    lines = [f"\n{json.dumps(asdict(head), sort_keys=True)}\n" for head in heads]
    path.write_text("".join(lines))


def test_witness_that_saw_the_last_release_only_shows_that_nothing_was_rolled_back(
    tmp_path: Path,
) -> None:
    (head,) = a_run(tmp_path, ("east",))
    path = tmp_path / "ledgers" / "east.sqlite"
    key = SigningKey.load(path.with_suffix(".key"))
    with LedgerFile(path).reading() as rows:
        first = sign_head(key, "east", 1, rows.records()[0].hash)
    for kept, told in ((head, False), (first, True)):
        a_witness(tmp_path / "named", kept)
        for found in (
            audit([path], witnesses=[tmp_path / "named"]),
            audit_beside(path, kept),
        ):
            assert found.verdict is Verdict.PASS
            rollback = [one for one in found.ledgers[0].unchecked if one.startswith("Rollback")]
            assert bool(rollback) is told
    assert audit_beside(path, replace(head, signature="00")).verdict is Verdict.FAIL


def audit_beside(path: Path, kept: SignedHead) -> Audit:
    """Audit a ledger with a witness beside it."""
    a_witness(witness_beside(path), kept)
    try:
        return audit([path])
    finally:
        witness_beside(path).unlink()


@pytest.mark.parametrize("of", ["copy", "later copy", "dots", "link"])
def test_run_that_was_copied_or_is_reached_in_two_ways_is_one_run(tmp_path: Path, of: str) -> None:
    run = tmp_path / "run"
    a_record(run, a_run(run))
    other = {
        "copy": tmp_path / "backup",
        "later copy": tmp_path / "backup",
        "dots": run / ".." / "run" / "ledgers" / "east.sqlite",
        "link": tmp_path / "link" / "ledgers" / "east.sqlite",
    }[of]
    if "copy" in of:
        shutil.copytree(run, other)
    if of == "link":
        (tmp_path / "link").symlink_to(run)
    if of == "later copy":
        path = run / "ledgers" / "east.sqlite"
        ledger = Ledger(path, a_policy(region="east"), clock=SetClock(), simulated=True)
        ledger.refuse(a_query(run="run-2"), "no", "No.")
    for paths in ([run, other], [other, run]):
        found = audit(paths)
        assert found.comparison.faults == []
        assert found.verdict is Verdict.PASS
        assert len(found.counting) == 2


ALIKE = ["east ", "East", "\u0435ast", "\uff45ast", "east\ufe0f", "east\u3164", "ea\u0455t"]


@pytest.mark.parametrize("other", ALIKE)
def test_regions_that_look_alike_are_told(tmp_path: Path, other: str) -> None:
    a_run(tmp_path, ("east", other, "eastern"))
    told = [one for one in audit([tmp_path]).comparison.unchecked if "look alike" in one]
    assert len(told) == 1
    assert repr(other) in told[0]
    assert "eastern" not in told[0]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ill", "iIl", True),
        ("shop-1", "shop\u20101", True),
        ("hall-O", "hall-0", True),
        ("Gr\u00f6sse", "Gr\u00f6\u00dfe", False),
        ("shop-1-11", "shop-11-1", False),
        ("north", "nord", False),
    ],
)
def test_names_are_compared_as_they_look(tmp_path: Path, one: str, other: str, alike: bool) -> None:
    a_run(tmp_path, (one, other))
    told = audit([tmp_path]).comparison.unchecked
    assert any("look alike" in sentence for sentence in told) is alike


def test_ledger_that_cannot_be_read_accuses_nobody(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path))
    a_report(tmp_path)
    assert audit([tmp_path]).verdict is Verdict.PASS
    west = tmp_path / "ledgers" / "west.sqlite"
    database = sqlite3.connect(west, isolation_level=None)
    with closing(database):
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("privacy.ledger_file.BUSY_SECONDS", 0.1)
            found = audit([tmp_path])
    assert found.verdict is Verdict.UNUSABLE
    assert found.comparison.faults == []
    told = " ".join(found.comparison.unchecked)
    assert "1 ledgers charge for one, of those that could be read" in told
    assert "the ledgers 1, of those that could be read" in told


@pytest.mark.parametrize("where", [".", "ledgers"])
def test_unread_file_accounts_for_one_answer_only(tmp_path: Path, where: str) -> None:
    run = tmp_path / "run"
    a_record(run, a_run(run), answered=3)
    (tmp_path / where).mkdir(exist_ok=True)
    (tmp_path / where / "x.sqlite").write_text("an old song")
    elsewhere = audit([run, tmp_path / where / "x.sqlite"])
    assert elsewhere.verdict is Verdict.FAIL  # it lies with another run
    (run / "ledgers" / "x.sqlite").write_text("an old song")
    assert audit([run]).verdict is Verdict.UNUSABLE
    a_record(run, [], answered=4)
    assert audit([run]).verdict is Verdict.FAIL


def test_link_to_a_ledger_shows_what_is_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(tmp_path, ("east",))
    path = tmp_path / "ledgers" / "east.sqlite"
    copied = tmp_path / "copied"
    copied.mkdir()
    with closing(sqlite3.connect(path)) as holding:  # so that the log stays
        holding.execute("SELECT count(*) FROM records").fetchone()
        ledger = Ledger(path, a_policy(region="east"), clock=SetClock(), simulated=True)
        ledger.reserve(a_query(round_number=2), NoiseKind.DISCRETE)
        link = copied / "east.sqlite"
        link.symlink_to(path)
        monkeypatch.setattr("os.access", lambda *_: False)
        assert [audit([one]).ledgers[0].releases for one in (path, link)] == [2, 2]


def test_worker_that_is_killed_is_an_error_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(tmp_path, tuple(f"region-{place:02d}" for place in range(IN_ONE_PROCESS + 1)))
    monkeypatch.setattr("privacy.audit.auditing._take", die)
    with pytest.raises(EvidenceError, match="was killed"):
        audit([tmp_path])


def die(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_who_may_not_write_never_sees_half_of_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "east.sqlite"
    ledger = Ledger(path, a_policy(region="east"), clock=SetClock(), simulated=True)
    door = Door(ledger, a_noise(NoiseKind.DISCRETE))
    door.answer(a_query(), giving(PEOPLE))
    monkeypatch.setattr("os.access", lambda *_: False)
    others = iter(range(2, 30))
    whole, writes = ledger_check.check_all_replies, [1, 1, 40]

    def interrupted(*args: Any) -> None:
        if writes:
            writes.pop()
            door.answer(a_query(round_number=next(others)), giving(PEOPLE))
        whole(*args)

    monkeypatch.setattr(ledger_check, "check_all_replies", interrupted)
    found = audit([path])
    assert found.verdict is Verdict.PASS
    assert found.ledgers[0].releases == 4
    writes += [1] * TRIES
    always = audit([path])
    assert always.verdict is Verdict.UNUSABLE
    assert "changes while it is read" in always.ledgers[0].unchecked[0]


def test_path_that_cannot_be_opened_is_an_error_and_a_pipe_no_ledger(tmp_path: Path) -> None:
    a_run(tmp_path)
    loop = tmp_path / "ledgers" / "loop.sqlite"
    loop.symlink_to(loop)
    for path in (loop, Path("a" * 300)):
        with pytest.raises(EvidenceError, match="Nothing was audited"):
            audit([path])
    assert audit([tmp_path]).verdict is Verdict.UNUSABLE  # of the others it hides nothing
    east = tmp_path / "ledgers" / "east.sqlite"
    whole = east.read_bytes()
    east.write_bytes(whole.replace(b"lloyd-1", b"lloyd-2"))
    assert audit([tmp_path]).verdict is Verdict.FAIL
    east.write_bytes(whole)
    loop.unlink()
    os.mkfifo(tmp_path / "ledgers" / "pipe.sqlite")
    assert audit([tmp_path]).verdict is Verdict.UNUSABLE


def test_folder_and_a_ledger_of_another_run_are_kept_apart(tmp_path: Path) -> None:
    for name in ("one", "other"):
        heads = a_run(tmp_path / name, ("east", "west") if name == "one" else ("north", "south"))
        a_record(tmp_path / name, heads)
        a_report(tmp_path / name)
    found = audit([tmp_path / "one", tmp_path / "other" / "ledgers" / "north.sqlite"])
    assert found.verdict is Verdict.PASS


def test_without_heads_rollback_and_key_are_told_as_unchecked(tmp_path: Path) -> None:
    a_run(tmp_path)
    found = audit([tmp_path])
    assert found.verdict is Verdict.PASS
    told = " ".join(found.ledgers[0].unchecked)
    assert "Rollback" in told
    assert "Exchange of the key" in told


def test_who_is_near_a_limit_is_named(tmp_path: Path) -> None:
    mu = 1 / a_query().noise_multiplier
    epsilon = epsilon_of(mu, 1e-6)
    (tmp_path / "ledgers").mkdir()
    for name, limit in (("near", 1.02 * epsilon), ("far", 5 * epsilon)):
        policy = a_policy(region=name, epsilon=limit, lifetime_epsilon=1e6)
        ledger = Ledger(
            tmp_path / "ledgers" / f"{name}.sqlite", policy, clock=SetClock(), simulated=True
        )
        ledger.reserve(a_query(), NoiseKind.DISCRETE)
    found = audit([tmp_path])
    assert {one.region for one, _, _ in near_limit(found.ledgers)} == {"near"}


# What there is to look at.


@pytest.mark.parametrize("make", ["text", "another", "empty"])
def test_what_is_no_ledger_is_unusable(tmp_path: Path, make: str) -> None:
    path = tmp_path / "ledger.sqlite"
    if make == "another":
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE songs (title)")
    else:
        path.write_text("an old song" if make == "text" else "")
    found = audit([path])
    assert found.verdict is Verdict.UNUSABLE
    assert str(path) in found.ledgers[0].unchecked[0]


def test_what_a_server_keeps_without_ledgers_is_compared_with_the_regions(tmp_path: Path) -> None:
    """At a deployed server, a run's folder holds heads and a report; ledgers are at the regions."""
    server, east = tmp_path / "server", tmp_path / "east"
    heads = a_run(tmp_path / "run", ("east",))
    (server / "ledgers").mkdir(parents=True)
    a_record(server, heads, answered=1)
    shutil.copytree(tmp_path / "run" / "ledgers", east)
    assert audit([server, east]).verdict is Verdict.PASS
    other = a_run(tmp_path / "rolled-back", ("east",))
    assert other != heads
    shutil.copytree(tmp_path / "rolled-back" / "ledgers", tmp_path / "back" / "east")
    assert audit([server, tmp_path / "back" / "east"]).verdict is Verdict.FAIL


def test_a_folder_in_a_ledgers_place_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").mkdir()
    with pytest.raises(EvidenceError, match="holds no ledger"):
        audit([tmp_path / "x.sqlite"])


def test_nothing_to_audit_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(EvidenceError, match="Nothing was audited"):
            find_evidence([path])


def test_heads_that_are_none_are_told(tmp_path: Path) -> None:
    a_run(tmp_path)
    (tmp_path / "ledgers" / HEADS).write_text("{}")
    with pytest.raises(EvidenceError, match=r"heads\.json does not hold"):
        audit([tmp_path])


# Costs.


def test_accountants_that_share_no_code_agree_on_every_release() -> None:
    events = [GaussianEvent(1.0, 30.0 + place % 7) for place in range(90)]
    combination = combine(events, delta=1e-6, adjacency=ADD)
    cost = count_by_release([combination])[combination]
    exact = epsilon_of(compose(events, ADD), 1e-6)
    assert cost.epsilon == pytest.approx(exact, rel=1e-9)
    assert cost.pld_by_release
    assert cost.pld is not None
    assert exact <= cost.pld <= 1.001 * exact
    assert cost.rdp is not None
    assert cost.zcdp is not None
    assert min(cost.rdp, cost.zcdp) > exact
    assert cost.agrees


def test_wrong_claim_would_be_noticed() -> None:
    events = [GaussianEvent(1.0, 10.0)] * 5
    combination = combine(events, delta=1e-6, adjacency=ADD)
    cost = count_by_release([combination])[combination]
    assert not replace(cost, epsilon=0.9 * cost.epsilon).agrees
    assert not replace(cost, epsilon=2.0 * cost.epsilon).agrees


def test_many_different_mechanisms_are_checked_by_their_sum() -> None:
    many = [GaussianEvent(1.0, 100 + place / 7) for place in range(MOST_DISTRIBUTIONS + 1)]
    combination = combine(many, delta=1e-6, adjacency=ADD)
    counted = count_by_release([combination])[combination]
    assert not counted.pld_by_release
    assert counted.rdp is not None
    assert counted.agrees
    cost = check_the_sum(combination)
    assert (cost.pld_by_release, cost.rdp, cost.zcdp) == (False, None, None)
    assert cost.agrees
    assert not replace(cost, epsilon=0.99 * cost.epsilon).agrees
    assert not replace(cost, epsilon=1.01 * cost.epsilon).agrees


def test_equal_mechanisms_of_other_scales_count_as_one() -> None:
    events = [GaussianEvent(scale, 3.3 * scale) for scale in (1.0, 0.1, 1 / 3, 7e-5)]
    assert len(combine(events, delta=1e-6, adjacency=ADD).mechanisms) == 1


def test_many_ledgers_are_audited_in_several_processes_alike(tmp_path: Path) -> None:
    folder = tmp_path / "ledgers"
    folder.mkdir()
    number = IN_ONE_PROCESS + 4
    heads = [
        make_ledger(folder / f"region-{place:02d}.sqlite", Manner(releases=20), seed=place)
        for place in range(number)
    ]
    write_server_record(folder / HEADS, heads, run="run-0")
    command = [sys.executable, "-m", "fedinterest", "audit", str(folder), "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["audit"]
    assert told["summary"]["by_verdict"] == {"PASS": number}
    assert [one["releases"] for one in told["ledgers"]] == [20] * number


def test_processes_find_in_bad_inputs_what_one_process_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ledgers"
    heads = a_run(tmp_path, tuple(f"region-{place:02d}" for place in range(IN_ONE_PROCESS)))
    write_server_record(folder / HEADS, heads, run="run-1")
    whole = (folder / "region-03.sqlite").read_bytes()
    (folder / "region-03.sqlite").write_bytes(whole.replace(b"lloyd-1", b"lloyd-2"))
    (folder / "region-05.sqlite").write_bytes(whole[: len(whole) // 2])
    (folder / "text.sqlite").write_text("an old song")
    (folder / "folder.sqlite").mkdir()
    (folder / "nothing.sqlite").touch()
    (folder / "gone.sqlite").symlink_to(folder / "nowhere.sqlite")
    by_several = audit([folder])
    monkeypatch.setattr("privacy.audit.auditing.IN_ONE_PROCESS", 1_000)
    by_one = audit([folder])
    assert by_several.verdict is Verdict.FAIL
    assert Counter(one.verdict for one in by_several.ledgers)[Verdict.UNUSABLE] == 4
    assert [asdict(one) for one in by_several.ledgers] == [asdict(one) for one in by_one.ledgers]
    assert by_several.comparison.faults == by_one.comparison.faults


def test_record_of_the_future_is_told(tmp_path: Path) -> None:
    clock = SetClock(datetime.now(UTC) + timedelta(minutes=50))
    path = tmp_path / "north.sqlite"
    window = {"start": clock.now - timedelta(days=1)}
    ledger = Ledger(path, a_policy(**window), clock=clock, simulated=True)
    for days, expected in enumerate((0, 1)):
        clock.pass_days(days)
        ledger.reserve(a_query(round_number=1 + days), NoiseKind.DISCRETE)
        (found,) = audit([path]).ledgers
        assert found.verdict is Verdict.PASS
        assert sum("a clock was wrong" in told for told in found.incidents) == expected


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
    database=None,
)
@given(damage=damages(), name=st.sampled_from([HEADS, "east.witness"]))
def test_damaged_evidence_is_told_and_never_a_traceback(
    kept: Path, damage: Callable[[bytes], bytes], name: str
) -> None:
    path = kept / "ledgers" / name
    whole = path.read_bytes()
    try:
        path.write_bytes(damage(whole))
        with suppress(EvidenceError):
            found = audit([kept])
            assert found.verdict is not Verdict.UNUSABLE
            assert found.verdict is Verdict.PASS or found.ledgers[0].faults
    finally:
        path.write_bytes(whole)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that a region and its server keep."""
    folder = tmp_path_factory.mktemp("kept")
    a_record(folder, a_run(folder, ("east",)), answered=1)
    record = json.loads((folder / "ledgers" / HEADS).read_text())
    line = json.dumps(record["heads"][0], sort_keys=True)
    (folder / "ledgers" / "east.witness").write_text(f"\n{line}\n")
    return folder
