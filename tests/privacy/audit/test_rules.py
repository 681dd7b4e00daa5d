"""A release that broke the rules in force is found, though its own agent charged and signed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from privacy.audit.ledger_audit import Verdict, audit_ledger
from privacy.ledger import Ledger
from privacy.policy import read_policy, write_default_policy
from privacy.query import NoiseKind, TrustModel
from privacy.records import LedgerEntry, RecordKind
from privacy.window import Renewal, Window
from tests.privacy.examples import NOW, SetClock, a_ledger, a_policy, a_query

Change = Callable[[LedgerEntry], LedgerEntry]


def changing(**values: Any) -> Change:
    return lambda entry: replace(entry, **values)


BROKEN: dict[str, tuple[Change, str]] = {
    "kind": (changing(kind="heights"), "not answered"),
    "trust model": (changing(trust_model="central", noise="server"), "trust model central"),
    "noise kind": (changing(noise="float", step=0.0), "float noise"),
    "too little noise": (changing(sigma=0.5), "noise multiplier 0.5"),
    "clipping norm": (changing(clipping_norm=7.0), "clipping norm 7"),
    "no lattice": (changing(step=0.0), "no lattice"),
    "alone": (changing(participants=1), "for 1 clients"),
    "another server": (changing(server_key="cd" * 32), "server that the rules do not name"),
    "another encoder": (changing(encoder="other"), "encoder that the rules do not name"),
    "another program": (changing(code="other"), "program that the rules do not name"),
    "another window": (changing(window="2020-01-01/2020-01-02"), "which was not open then"),
    "coarse lattice": (changing(step=2.0**-10), "lattice of step"),
    "odd lattice": (changing(step=0.3 * 2.0**-24), "lattice of step"),
    "too small a sensitivity": (
        changing(sensitivity=0.25, sigma=0.5, step=2.0**-26),
        "too little for clipping norm",
    ),
    "same request": (changing(fingerprint="as before"), "answers the request of entry 1 again"),
    "same round": (changing(round_number=1), "second release in round 1"),
    "beyond the budget": (changing(sigma=1.0, sensitivity=0.999), "went beyond the budget"),
}

RULES: dict[str, Any] = {
    "noise_kinds": {NoiseKind.DISCRETE},
    "fewest_participants": 2,
    "server_keys": {"ab" * 32},
    "encoders": {"encoder-1"},
    "code_hashes": {"code-1"},
    "epsilon": 3.5,
}


def charged(ledger: Ledger, round_number: int, change: Change) -> None:
    """Charge and commit as an agent that has been tampered with: rules are not looked at."""
    query = a_query(
        round_number=round_number, participants=2, encoder="encoder-1", server_key="ab" * 32
    )
    with ledger._sealed.transaction() as open_ledger:
        account = open_ledger.account
        window = ledger.policy.window.at(NOW)
        if account.window is None:
            ledger._open_window(open_ledger, window, by="calendar")
        number = len(account.entries) + 1
        entry = ledger._entry(query, number, window, NoiseKind.DISCRETE, "code-1")
        entry = change(replace(entry, fingerprint="as before") if number == 1 else entry)
        if entry.policy not in account.rules:
            content = {"policy": entry.policy, "rules": ledger.policy.rules()}
            open_ledger.append(RecordKind.RULES, content)
        told = {name: value for name, value in asdict(entry).items() if name != "time"}
        open_ledger.append(RecordKind.RESERVED, told)
    ledger.commit(number, b"a reply")


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rule_is_found_and_its_entry_named(tmp_path: Path, name: str) -> None:
    change, sentence = BROKEN[name]
    ledger = a_ledger(tmp_path, **RULES)
    charged(ledger, 1, changing())
    assert audit_ledger(ledger.path).faults == []
    charged(ledger, 2, change)
    found = audit_ledger(ledger.path)
    assert found.verdict is Verdict.FAIL
    assert any("Entry 2" in fault and sentence in fault for fault in found.faults)


def opened(ledger: Ledger, start: datetime, end: datetime, by: str) -> None:
    """Open a window as an agent that has been tampered with."""
    with ledger._sealed.transaction() as open_ledger:
        ledger._open_window(open_ledger, Window(start, end), by=by)


WINDOWS = {
    "an hour": (NOW, NOW + timedelta(hours=1), "calendar", "another one was due"),
    "a thousand years": (NOW, NOW + timedelta(days=365_000), "operator", "another one was due"),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_window_that_the_rules_do_not_have_is_found(tmp_path: Path, name: str) -> None:
    start, end, by, sentence = WINDOWS[name]
    ledger = a_ledger(tmp_path, **RULES)
    opened(ledger, start, end, by)
    charged(ledger, 1, changing())
    assert any(sentence in fault for fault in audit_ledger(ledger.path).faults)


def test_budget_that_was_renewed_early_is_found(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, **RULES)
    charged(ledger, 1, changing())
    opened(ledger, NOW, NOW + timedelta(days=10), "calendar")
    charged(ledger, 2, changing(window=Window(NOW, NOW + timedelta(days=10)).name))
    faults = audit_ledger(ledger.path).faults
    assert any("before the last one was over" in fault for fault in faults)


def test_calendar_does_not_renew_what_an_operator_has_to(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock, renewal=Renewal.BY_OPERATOR)
    ledger.reserve(a_query(sigma=4.0), NoiseKind.DISCRETE)
    clock.pass_days(10)
    first = ledger.policy.window.at(NOW)
    opened(ledger, first.end, first.end + timedelta(days=10), "calendar")
    ledger.reserve(a_query(sigma=4.0, round_number=2), NoiseKind.DISCRETE)
    assert any("no operator renewed it" in fault for fault in audit_ledger(ledger.path).faults)


def test_operator_who_renews_in_time_breaks_no_rule(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock, renewal=Renewal.BY_OPERATOR)
    ledger.reserve(a_query(sigma=4.0), NoiseKind.DISCRETE)
    clock.pass_days(10)
    ledger.renew()
    shorter = a_ledger(tmp_path, clock=clock, renewal=Renewal.BY_OPERATOR, days=5)
    shorter.reserve(a_query(sigma=4.0, round_number=2), NoiseKind.DISCRETE)
    assert audit_ledger(ledger.path).faults == []


def test_operator_who_renews_under_rules_that_no_release_was_made_under_is_found(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite"
    approved = a_policy(days=366, renewal=Renewal.BY_OPERATOR)
    secret = a_policy(days=1, renewal=Renewal.BY_OPERATOR)
    for day in range(2):
        clock = SetClock()
        clock.now = NOW + timedelta(days=day)
        Ledger(path, secret, clock=clock).renew()
        released = Ledger(path, approved, clock=clock)
        released.reserve(a_query(sigma=4.0, round_number=day + 1), NoiseKind.DISCRETE)
    found = audit_ledger(path)
    assert found.verdict is Verdict.FAIL
    assert "by the rules another one was due" in found.faults[0]


@pytest.mark.parametrize("before", range(1, 9))
def test_charge_around_midnight_is_of_one_moment(tmp_path: Path, before: int) -> None:
    clock, midnight = SetClock(), datetime(2026, 3, 3, tzinfo=UTC)
    clock.now = midnight - timedelta(milliseconds=before)

    def ticking() -> datetime:
        clock.now += timedelta(milliseconds=1)
        return clock.now

    path = tmp_path / "ledger.sqlite"
    policy = a_policy(start=midnight - timedelta(days=1), days=1)
    for number in range(1, 10):
        Ledger(path, policy, clock=ticking).reserve(
            a_query(sigma=8.0, round_number=number), NoiseKind.DISCRETE
        )
    found = audit_ledger(path)
    assert found.faults == []
    assert found.releases == 9


def test_small_clipping_norm_does_not_excuse_a_sensitivity_below_it(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    small = changing(clipping_norm=1e-3, sensitivity=29e-6, sigma=1.0, step=2.0**-40)
    charged(ledger, 1, small)
    assert any("too little for" in fault for fault in audit_ledger(ledger.path).faults)


def test_seeded_noise_in_a_real_ledger_is_found(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "real.sqlite", a_policy(), clock=SetClock())
    ledger.reserve(a_query(), NoiseKind.SEEDED)
    found = audit_ledger(ledger.path)
    assert any("seeded noise in a ledger that is not marked" in fault for fault in found.faults)


def test_more_releases_than_a_run_may_have_are_found(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, **RULES, most_releases_per_run=1)
    charged(ledger, 1, changing())
    charged(ledger, 2, changing())
    assert any("release 2 of its run" in fault for fault in audit_ledger(ledger.path).faults)


def test_rules_that_were_never_approved_are_found(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.reserve(a_query(sigma=4.0), NoiseKind.DISCRETE)
    approved = a_policy()
    assert audit_ledger(ledger.path, approved=[approved]).faults == []
    stricter = a_policy(least_noise_multiplier=3.0)
    (fault,) = audit_ledger(ledger.path, approved=[stricter]).faults
    assert "not the approved policy" in fault
    write_default_policy(tmp_path / "south.toml", "south")
    of_another_region = read_policy(tmp_path / "south.toml")
    assert audit_ledger(ledger.path, approved=[of_another_region]).faults == []


def test_changed_rules_are_kept_and_each_release_judged_by_its_own(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, least_noise_multiplier=2.0)
    ledger.reserve(a_query(sigma=2.0), NoiseKind.DISCRETE)
    stricter = a_ledger(tmp_path, least_noise_multiplier=3.0)
    stricter.reserve(a_query(sigma=3.0, round_number=2), NoiseKind.DISCRETE)
    found = audit_ledger(ledger.path)
    assert found.faults == []
    assert any("rules changed 1 times, first before entry 2" in told for told in found.incidents)


def test_windows_and_the_lifetime_are_counted_apart(tmp_path: Path) -> None:
    clock = SetClock()
    ledger = a_ledger(tmp_path, clock=clock)
    ledger.reserve(a_query(sigma=4.0), NoiseKind.DISCRETE)
    clock.now += timedelta(days=10)
    ledger.reserve(a_query(sigma=4.0, round_number=2), NoiseKind.DISCRETE)
    found = audit_ledger(ledger.path)
    assert [span.combination.releases for span in found.spans] == [1, 1, 2]
    first, second, ever = (span.combination.mu for span in found.spans)
    assert ever == pytest.approx((first**2 + second**2) ** 0.5, rel=1e-9)


def test_server_under_central_is_held_to_its_budget_only(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path, region="server")
    ledger.reserve(a_query(trust_model=TrustModel.CENTRAL), NoiseKind.DISCRETE)
    assert audit_ledger(ledger.path, of_server=True).faults == []
    assert audit_ledger(ledger.path).faults
