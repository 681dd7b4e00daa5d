"""Regions' ledgers are compared with servers' own ledgers, and with what servers publish."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from privacy.accountant import epsilon_of
from privacy.audit.auditing import audit
from privacy.audit.claims import claim
from privacy.audit.ledger_audit import Verdict
from privacy.door import Door, ServerDoor
from privacy.ledger import Ledger
from privacy.query import NoiseKind, SumQuery, TrustModel
from privacy.release import ClippedSum
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


def test_claim_that_a_server_published_is_compared(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path))
    spent = epsilon_of(1 / a_query().noise_multiplier, 1e-6)
    a_report(tmp_path, epsilon=spent * 1.001)
    assert audit([tmp_path]).verdict is Verdict.PASS
    a_report(tmp_path, epsilon=0.9 * spent)
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert f"for run run-1 of east epsilon {0.9 * spent:.6g}" in found.comparison.faults[0]
    assert set(found.comparison.disagreeing) == {"east", "west"}
    a_report(tmp_path, epsilon=spent * 1.001, releases=3)
    assert "3 releases in run run-1, the ledgers 2" in audit([tmp_path]).comparison.faults[0]
    a_report(tmp_path, delta=0.5)
    assert "delta 0.5, its ledger's is 1e-06" in audit([tmp_path]).comparison.faults[0]
    a_report(tmp_path, adjacency="replace-one")
    assert "adjacency replace-one, its ledger's is add-or" in audit([tmp_path]).comparison.faults[0]
    a_report(tmp_path, epsilon=None)
    assert "promises nothing" in audit([tmp_path]).comparison.unchecked[0]
    a_report(tmp_path, epsilon="much")
    assert "not a run's report" in audit([tmp_path]).comparison.unchecked[0]


@pytest.mark.parametrize(
    ("privacy", "told"),
    [
        ({"statement": "a factor e^0.5, but"}, "epsilon 0.5 in its sentence"),
        ({"statement": "a factor e^9, or rather e^1e-3, but"}, "epsilon 0.001 in its sentence"),
        ({"epsilon_by_accountant": {"rdp": 9.0, "pld": 0.25}}, "epsilon 0.25 by pld"),
    ],
)
def test_other_figures_of_a_report_below_what_was_charged_are_found(
    tmp_path: Path, privacy: dict[str, object], told: str
) -> None:
    a_record(tmp_path, a_run(tmp_path))
    a_report(tmp_path, **privacy)
    found = audit([tmp_path])
    assert found.verdict is Verdict.FAIL
    assert f"{told}, its ledger charges" in found.comparison.faults[0]


def test_true_report_passes_by_every_figure(tmp_path: Path) -> None:
    a_record(tmp_path, a_run(tmp_path))
    spent = epsilon_of(1 / a_query().noise_multiplier, 1e-6)
    by_accountant = {"gaussian-dp": spent, "pld": 1.001 * spent, "zcdp": None}
    statement = f"changes it by at most a factor e^{spent:g}, but for a probability of 1e-06"
    a_report(tmp_path, epsilon=spent, statement=statement, epsilon_by_accountant=by_accountant)
    found = audit([tmp_path])
    assert found.verdict is Verdict.PASS
    assert found.comparison.unchecked == []


@pytest.mark.parametrize(
    "text",
    [
        '{"epsilon_by_accountant": {"pld": "0.1"}}',
        '{"epsilon_by_accountant": {"pld": -0.1}}',
        '{"epsilon_by_accountant": {"p\\u001bld": 0.1}}',
        '{"epsilon_by_accountant": [0.1]}',
        '{"statement": 4}',
        '{"epsilon": 0.1, "epsilon": 9}',
    ],
)
def test_report_whose_figures_are_none_is_told_to_be_no_report(tmp_path: Path, text: str) -> None:
    a_record(tmp_path, a_run(tmp_path))
    inside = text.strip("{}") + ("}" if "}}" in text else "")
    (tmp_path / "report.json").write_text(
        f'{{"run": {{"id": "run-1"}}, "privacy": {{"delta": 1e-6, "releases": 2, {inside}}}}}'
    )
    told = audit([tmp_path]).comparison.unchecked
    assert any("is not a run's report" in one for one in told)


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
