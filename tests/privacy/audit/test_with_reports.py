"""What servers publish is compared with what regions' ledgers charge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy.accountant import Adjacency, epsilon_of
from privacy.audit.auditing import audit
from privacy.audit.ledger_audit import Verdict
from privacy.door import Door
from privacy.ledger import Ledger
from privacy.query import NoiseKind, TrustModel
from privacy.statement import statement
from tests.privacy.audit.runs import PEOPLE, a_record, a_report, a_run, a_server, central_run
from tests.privacy.examples import SetClock, a_noise, a_policy, a_query, giving


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
    a_report(tmp_path, epsilon=spent, delta=0.5)
    assert audit([tmp_path]).verdict is Verdict.PASS  # a weaker promise is a true one
    a_report(tmp_path, epsilon=spent * 1.001, delta=1e-9)
    assert "its ledger charges" in audit([tmp_path]).comparison.faults[0]
    a_report(tmp_path, unit="event")
    assert "unit event, its ledger's is user" in audit([tmp_path]).comparison.faults[0]
    a_report(tmp_path, epsilon=None)
    assert "promises nothing" in audit([tmp_path]).comparison.unchecked[0]
    a_report(tmp_path, epsilon="much")
    assert "not a run's report" in audit([tmp_path]).comparison.unchecked[0]


@pytest.mark.parametrize(
    ("privacy", "told"),
    [
        ({"statement": "a factor e^0.5, but"}, "epsilon 0.5 in its sentence"),
        ({"statement": "a factor e^9, or rather e^1e-3, but"}, "epsilon 0.001 in its sentence"),
        ({"statement": "e^2.5, but for a probability of 1e-30"}, "epsilon 2.5 in its sentence"),
        ({"lifetime_epsilon": 0.01}, "epsilon 0.01 for the lifetime"),
        ({"epsilon_by_accountant": {"rdp": 9.0, "pld": 0.25}}, "epsilon 0.25 by pld"),
    ],
)
def test_other_figures_of_a_report_below_what_was_charged_are_found(
    tmp_path: Path, privacy: dict[str, Any], told: str
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
    figures: dict[str, Any] = {"adjacency": "add-or-remove-one", "unit": "user"}
    figures |= {"epsilon": spent, "window": "2026", "noise": "discrete"}
    figures |= {"lifetime_epsilon": spent, "epsilon_by_accountant": by_accountant}
    sentence = statement(spent, 1e-6, window="2026", trust_model=TrustModel.LOCAL, seeded=False)
    a_report(tmp_path, trust="local", statement=sentence, **figures)
    found = audit([tmp_path])
    assert found.verdict is Verdict.PASS
    assert found.comparison.unchecked == []
    other = sentence.replace("Adding or removing", "Exchanging")
    a_report(tmp_path, trust="local", statement=other, **figures)
    assert "is not the one that its figures make" in audit([tmp_path]).comparison.unchecked[0]


@pytest.mark.parametrize(
    "text",
    [
        '{"epsilon_by_accountant": {"pld": "0.1"}}',
        '{"epsilon_by_accountant": {"pld": -0.1}}',
        '{"epsilon_by_accountant": {"p\\u001bld": 0.1}}',
        '{"epsilon_by_accountant": [0.1]}',
        '{"statement": 4}',
        '{"noise": 4}',
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


def a_replacing_run(folder: Path) -> float:
    """Let a region release whose neighbours exchange a user; return its mu without that."""
    rules = {"adjacency": Adjacency.REPLACE_ONE, "epsilon": 100.0}
    path = folder / "ledgers" / "east.sqlite"
    ledger = Ledger(path, a_policy(region="east", **rules), clock=SetClock(), simulated=True)
    Door(ledger, a_noise(NoiseKind.DISCRETE)).answer(a_query(), giving(PEOPLE))
    return 1 / a_query().noise_multiplier


def test_reports_epsilon_counts_at_the_reports_adjacency(tmp_path: Path) -> None:
    mu = a_replacing_run(tmp_path)
    removing, exchanging = epsilon_of(mu, 1e-6), epsilon_of(2 * mu, 1e-6)
    for adjacency, epsilon, holds in (
        ("add-or-remove-one", removing, True),
        ("add-or-remove-one", 0.99 * removing, False),
        ("replace-one", removing, False),
        ("replace-one", exchanging, True),
    ):
        a_report(tmp_path, adjacency=adjacency, epsilon=epsilon, releases=1)
        assert (audit([tmp_path]).verdict is Verdict.PASS) is holds, (adjacency, epsilon)


def test_central_run_that_is_published_as_local_is_found(tmp_path: Path) -> None:
    central_run(tmp_path)
    for trust, holds in (("central", True), ("local", False)):
        a_report(tmp_path, trust=trust, releases=1)
        assert (audit([tmp_path]).verdict is Verdict.PASS) is holds
    assert (
        "claims for run run-1 of north trust model local"
        in (audit([tmp_path]).comparison.faults[0])
    )


@pytest.mark.parametrize("kind", list(NoiseKind))
@pytest.mark.parametrize("told", list(NoiseKind))
def test_noise_that_is_weaker_than_published_is_found(
    tmp_path: Path, kind: NoiseKind, told: NoiseKind
) -> None:
    path = tmp_path / "ledgers" / "east.sqlite"
    ledger = Ledger(path, a_policy(region="east"), clock=SetClock(), simulated=True)
    Door(ledger, a_noise(kind)).answer(a_query(), giving(PEOPLE))
    a_report(tmp_path, noise=told.value, releases=1)
    strength = [NoiseKind.SEEDED, NoiseKind.FLOAT, NoiseKind.DISCRETE]
    faults = audit([tmp_path]).comparison.faults
    assert bool(faults) is (strength.index(told) > strength.index(kind))


@pytest.mark.parametrize("noise", ["gaussian", "Discrete", "", None])
@pytest.mark.parametrize("sentence", [True, False])
def test_what_nobody_knows_is_not_checked(
    tmp_path: Path, noise: str | None, sentence: bool
) -> None:
    a_record(tmp_path, a_run(tmp_path))
    told = statement(2.5, 1e-6, window="", trust_model=TrustModel.LOCAL, seeded=False)
    a_report(tmp_path, trust="local", noise=noise, **({"statement": told} if sentence else {}))
    unchecked = audit([tmp_path]).comparison.unchecked
    assert any("noise of" in one for one in unchecked)
    assert any("not the one that its figures make" in one for one in unchecked)


def test_servers_ledger_is_beside_a_report_though_it_is_a_link(tmp_path: Path) -> None:
    query = central_run(tmp_path / "run")
    a_report(tmp_path / "run", releases=1)
    server = a_server(tmp_path / "elsewhere")
    server.reserve(replace(query, run="another"), NoiseKind.DISCRETE)
    (tmp_path / "run" / "server-ledger.sqlite").symlink_to(server.path)
    found = audit([tmp_path / "run"])
    assert "charges for nothing of run run-1" in found.comparison.faults[0]
