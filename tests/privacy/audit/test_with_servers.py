"""Regions' ledgers are compared with servers' own ledgers, and with what servers publish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from privacy.audit.auditing import audit
from privacy.audit.claims import claim
from privacy.audit.ledger_audit import Verdict
from privacy.door import Door, ServerDoor
from privacy.ledger import Ledger
from privacy.query import NoiseKind, SumQuery, TrustModel
from privacy.release import ClippedSum
from privacy.server_record import HEADS, write_server_record
from tests.privacy.audit.runs import PEOPLE, a_record, a_report, a_run, a_server, central_run
from tests.privacy.examples import SetClock, a_noise, a_policy, a_query, giving


def test_servers_ledgers_that_contradict_each_other_are_found(tmp_path: Path) -> None:
    query = central_run(tmp_path)
    a_server(tmp_path).reserve(query, NoiseKind.DISCRETE)
    other = a_server(tmp_path / "other")
    other.reserve(query, NoiseKind.DISCRETE)
    paths = [tmp_path, tmp_path / "other" / "server-ledger.sqlite"]
    assert audit(paths).verdict is Verdict.PASS
    other.path.unlink()
    key = other.path.with_suffix(".key")
    key.unlink()
    weaker = a_server(tmp_path / "other")
    fingerprint = query.fingerprint()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SumQuery, "fingerprint", lambda self: fingerprint)
        weaker.reserve(replace(query, sigma=2 * query.sigma), NoiseKind.DISCRETE)
    assert any("different noise" in told for told in audit(paths).comparison.faults)


def test_what_a_servers_ledger_has_beyond_the_regions_and_lacks_is_told(tmp_path: Path) -> None:
    query = central_run(tmp_path)
    server = a_server(tmp_path)
    server.reserve(query, NoiseKind.DISCRETE)
    server.reserve(replace(query, run="secret"), NoiseKind.DISCRETE)
    told = audit([tmp_path]).comparison.unchecked
    assert any("first of them secret" in one for one in told)
    assert any("does not say that it released anything" in one for one in told)


def test_server_that_names_no_noise_of_its_own_is_found(tmp_path: Path) -> None:
    query = central_run(tmp_path)
    a_server(tmp_path).reserve(query, "none at all")
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert "none that a server adds" in found.servers[0].faults[0]


def test_claim_under_central_rests_on_the_servers_own_ledger(tmp_path: Path) -> None:
    query = a_query(trust_model=TrustModel.CENTRAL)
    rules = {"trust_models": {TrustModel.CENTRAL}}
    ledger = Ledger(tmp_path / "north.sqlite", a_policy(**rules), clock=SetClock(), simulated=True)
    clipped = Door(ledger, a_noise(NoiseKind.DISCRETE)).answer(query, giving(PEOPLE))
    assert isinstance(clipped, ClippedSum)
    alone = audit([tmp_path])
    assert alone.verdict is Verdict.PASS
    assert any("its word" in told for told in alone.comparison.unchecked)
    server = Ledger(tmp_path / "server-ledger.sqlite", a_policy(region="server"), clock=SetClock())
    ServerDoor(server, a_noise(NoiseKind.DISCRETE)).release(query, [clipped])
    both = audit([tmp_path])
    assert both.verdict is Verdict.PASS
    assert both.comparison.unchecked == []
    assert len(both.servers) == 1
    assert any(told.startswith("Rollback") for told in both.servers[0].unchecked)


def test_server_that_adds_less_noise_than_promised_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = a_query(trust_model=TrustModel.CENTRAL)
    rules = {"trust_models": {TrustModel.CENTRAL}}
    ledger = Ledger(tmp_path / "north.sqlite", a_policy(**rules), clock=SetClock(), simulated=True)
    Door(ledger, a_noise(NoiseKind.DISCRETE)).answer(query, giving(PEOPLE))
    server = Ledger(tmp_path / "server-ledger.sqlite", a_policy(region="server"), clock=SetClock())
    other = replace(query, nonce="another request")
    server.reserve(other, NoiseKind.DISCRETE)
    assert any("has no release" in told for told in audit([tmp_path]).comparison.unchecked)
    weaker = replace(query, sigma=query.sigma / 2, round_number=2)
    fingerprint = query.fingerprint()
    monkeypatch.setattr(SumQuery, "fingerprint", lambda self: fingerprint)
    server.reserve(weaker, NoiseKind.DISCRETE)
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert "was promised noise 2" in found.comparison.faults[0]


def test_servers_ledger_beside_a_report_without_an_entry_of_its_run_fails(tmp_path: Path) -> None:
    query = central_run(tmp_path)
    server = a_server(tmp_path)
    server.reserve(replace(query, run="another"), NoiseKind.DISCRETE)
    assert audit([tmp_path]).verdict is Verdict.PASS
    a_report(tmp_path, releases=1)
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert "charges for nothing of run run-1" in found.comparison.faults[0]
    server.reserve(query, NoiseKind.DISCRETE)
    assert audit([tmp_path]).verdict is Verdict.PASS


def test_server_that_counts_in_another_way_is_told(tmp_path: Path) -> None:
    query = central_run(tmp_path)
    policy = a_policy(region="server", delta=1e-9)
    server = Ledger(tmp_path / "server-ledger.sqlite", policy, clock=SetClock())
    server.reserve(query, NoiseKind.DISCRETE)
    told = audit([tmp_path]).comparison.unchecked
    assert any("counts with delta 1e-09, the regions' with 1e-06" in one for one in told)


def test_missing_ledger_is_not_called_a_contradiction(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path))
    (tmp_path / "ledgers" / "west.sqlite").unlink()
    assert "does not fit together" in claim(audit([tmp_path]))


def test_region_that_refused_some_rounds_is_no_fault_of_the_server(tmp_path: Path) -> None:
    rules = {"trust_models": {TrustModel.CENTRAL}}
    first = a_query(trust_model=TrustModel.CENTRAL)
    queries = [replace(first, round_number=number) for number in (1, 2, 3)]
    heads = []
    for name, answered in (("north", queries), ("south", queries[:1])):
        path = tmp_path / "ledgers" / f"{name}.sqlite"
        ledger = Ledger(path, a_policy(region=name, **rules), clock=SetClock(), simulated=True)
        for query in answered:
            clipped = Door(ledger, a_noise(NoiseKind.DISCRETE)).answer(query, giving(PEOPLE))
        assert clipped.head
        heads.append(clipped.head)
    server = a_server(tmp_path)
    for query in queries:
        server.reserve(query, NoiseKind.DISCRETE)
    write_server_record(tmp_path / "ledgers" / HEADS, heads, run="run-1")
    found = audit([tmp_path])
    assert found.comparison.faults == []
    assert found.verdict is Verdict.PASS
    server.reserve(replace(first, round_number=4), NoiseKind.DISCRETE)
    secret = audit([tmp_path])
    assert "released more than it asked for" in secret.comparison.faults[0]
    alone = audit([tmp_path / "ledgers" / "south.sqlite"])
    assert alone.verdict is Verdict.PASS
    assert any("that no ledger here has" in told for told in alone.comparison.unchecked)


def test_server_that_releases_twice_for_one_request_is_found(tmp_path: Path) -> None:
    query = central_run(tmp_path)
    server = a_server(tmp_path)
    server.reserve(query, NoiseKind.DISCRETE)
    fingerprint = query.fingerprint()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SumQuery, "fingerprint", lambda self: fingerprint)
        server.reserve(replace(query, round_number=2), NoiseKind.DISCRETE)
    assert "more than once for one" in audit([tmp_path]).comparison.faults[0]


@pytest.mark.parametrize("content", ["", "an old song"])
def test_servers_ledger_that_cannot_be_read_accuses_nobody(tmp_path: Path, content: str) -> None:
    central_run(tmp_path)
    a_report(tmp_path, releases=1)
    (tmp_path / "server-ledger.sqlite").write_text(content)
    found = audit([tmp_path])
    assert found.verdict is Verdict.UNUSABLE
    assert found.comparison.faults == []


def test_servers_ledger_in_another_runs_folder_is_not_beside_a_report(tmp_path: Path) -> None:
    query = central_run(tmp_path)
    a_report(tmp_path, releases=1)
    central_run(tmp_path / "other")
    a_server(tmp_path / "other").reserve(replace(query, run="another"), NoiseKind.DISCRETE)
    found = audit([tmp_path / "north.sqlite", tmp_path / "other" / "server-ledger.sqlite"])
    assert not any("lie together" in told for told in found.comparison.faults)
