"""A client that dies at any instruction may charge for nothing, but never misses a charge."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from privacy.accountant import Adjacency, GaussianEvent, compose
from privacy.errors import LedgerError
from privacy.ledger_check import Verification, read_account, verify_ledger
from privacy.query import NoiseKind
from privacy.release import LEDGER_UNUSABLE, Refusal, Release
from privacy.signed_head import SignedHead, Witness
from tests.privacy.examples import a_query, forbidden, giving
from tests.privacy.killed_client import PEOPLE, STAGES, Site, asked, spelled

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> list[Site]:
    """Return where clients died."""
    folder = tmp_path_factory.mktemp("crashes")
    command = [sys.executable, "-m", "tests.privacy.killed_client", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    found = [Site(**json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    return [site for site in found if site.way != "probe"]


@pytest.fixture(scope="module")
def begun(sites: list[Site]) -> list[Site]:
    """Return the sites that had come so far that there is a ledger, and a witness if any."""
    return [site for site in sites if not why_not_opened(site)]


def why_not_opened(site: Site) -> str:
    try:
        verify_ledger(site.ledger, witness=site.witness)
    except LedgerError as error:
        return str(error)
    return ""


def entries_in(ledger: Path) -> int | None:
    """Count the charges in a ledger; None if it has not been begun."""
    try:
        return len(read_account(ledger).entries)
    except LedgerError:
        return None


def sent_releases(site: Site) -> dict[int, str]:
    """Return by its entry each release that had left."""
    answers = [(json.loads(line), line) for line in site.sent]
    return {told["entry"]: line for told, line in answers if told["type"] == "Release"}


def verified(site: Site) -> Verification:
    told = [json.loads(line)["head"] for line in site.sent]
    heads = [SignedHead.from_json(head) for head in told if head]
    return verify_ledger(site.ledger, witness=site.witness, heads=heads)


def cost_of(events: Sequence[GaussianEvent]) -> float:
    return compose(events, Adjacency.ADD_OR_REMOVE_ONE) ** 2


def event_of(site: Site) -> GaussianEvent:
    query = a_query()
    step = query.step if site.noise == NoiseKind.DISCRETE else 0.0
    return GaussianEvent(query.sensitivity, query.sigma, step)


def test_clients_were_killed_often_and_at_every_stage_of_an_answer(sites: list[Site]) -> None:
    ways = Counter(site.way for site in sites)
    assert ways["line"] >= 200
    assert min(ways["moment"], ways["write"]) >= 30
    stages = Counter(site.stage for site in sites if site.way == "line")
    assert all(stages[stage] >= 8 for stage in STAGES.values()), stages
    assert len({len(site.sent) for site in sites if site.way != "line"}) > 3


def test_client_that_had_sent_something_has_a_ledger(sites: list[Site], begun: list[Site]) -> None:
    unopened = [site for site in sites if site not in begun]
    assert len(unopened) < len(sites) / 4
    assert [site for site in unopened if site.sent] == []


def test_client_killed_while_it_began_starts_or_says_why_not(
    sites: list[Site], begun: list[Site], caplog: pytest.LogCaptureFixture
) -> None:
    ends: Counter[str] = Counter()
    for site in sites:
        if site in begun:
            continue
        caplog.clear()
        key, charged = site.ledger.with_suffix(".key"), entries_in(site.ledger)
        lost = key.exists() and charged is None
        answer = site.door().answer(asked(1), forbidden() if lost else giving(PEOPLE))
        if isinstance(answer, Release):
            assert not charged, site
        else:
            assert isinstance(answer, Refusal), site
            assert (answer.reason, answer.head) == (LEDGER_UNUSABLE, None), site
            assert "Nothing was sent" in caplog.text
            assert f"{key if lost else site.witness}" in caplog.text
        ends[type(answer).__name__] += 1
    assert min(ends["Release"], ends["Refusal"]) >= 5, ends


def test_killed_client_leaves_a_whole_file(begun: list[Site]) -> None:
    for site in begun:
        database = sqlite3.connect(site.ledger)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], site
        database.close()


def test_killed_client_leaves_a_chain_that_holds(begun: list[Site]) -> None:
    assert {site.folder: verified(site).faults for site in begun if verified(site).faults} == {}


def test_everything_that_was_sent_is_charged(begun: list[Site]) -> None:
    for site in begun:
        account = verified(site).account
        assert account is not None
        sent = sent_releases(site)
        assert cost_of([event_of(site)] * len(sent)) <= cost_of(account.events()), site
        assert set(sent) <= set(account.answers), site
        assert {entry.event for entry in account.entries.values()} <= {event_of(site)}, site


def test_at_most_one_answer_is_charged_and_not_sent(begun: list[Site]) -> None:
    for site in begun:
        account = verified(site).account
        assert account is not None
        assert len(account.entries) - len(sent_releases(site)) in (0, 1), site


def test_witness_had_seen_every_head_before_it_was_sent(begun: list[Site]) -> None:
    witnessed = [(site, site.witness) for site in begun if site.witness and site.sent]
    assert witnessed
    for site, witness in witnessed:
        seen = [head.sequence for head in Witness(witness).heads()]
        assert {json.loads(line)["head"]["sequence"] for line in site.sent} <= set(seen), site


def test_round_is_answered_after_a_crash_to_the_last_byte_as_before_or_not_at_all(
    begun: list[Site],
) -> None:
    seen: Counter[str] = Counter()
    for site in begun:
        door, sent = site.door(), sent_releases(site)
        for entry in door.ledger.entries():
            answer = door.answer(asked(entry.round_number), forbidden())
            if entry.state == "committed":
                assert isinstance(answer, Release), site
                assert spelled(answer) == sent.get(entry.entry, spelled(answer)), site
            else:
                assert isinstance(answer, Refusal), site
                assert answer.reason == "already-charged", site
            seen["sent" if entry.entry in sent else entry.state] += 1
    assert set(seen) == {"sent", "committed", "reserved"}
    assert seen["reserved"] > 20


def test_killed_client_goes_on(begun: list[Site]) -> None:
    for site in begun[::3]:
        door = site.door()
        before = door.ledger.account().events()
        answer: Any = door.answer(asked(1 + len(before)), giving(PEOPLE))
        assert isinstance(answer, Release), site
        assert answer.entry == 1 + len(before), site
        assert cost_of(door.ledger.account().events()) > cost_of(before), site
        assert verified(site).holds, site
