"""A simulation in this process leaves a complete run, whose figures are those of its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import fedinterest
from privacy.audit.auditing import audit
from privacy.audit.document import pieces, present_setting
from privacy.audit.sealing import sealed
from privacy.code_identity import code_hash
from privacy.signing import SigningKey
from server.results import read_report
from server.run_config import ConfigError
from server.run_store import reading, reading_answers, reading_regions
from server.run_store.audits import record_audit
from server.run_store.opening import Store, open_store
from server.run_store.reading_budgets import budget_states
from simulations.run import simulate
from strategies.federated_kmeans import StrategyError
from tests.client.examples import FakeEncoder
from tests.server.resumable import Killed, Scene
from tests.simulations.examples import a_scenario


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the accountant that takes seconds; an audit would find its figure wrong."""
    monkeypatch.setattr("server.results.pld_epsilon", lambda events, **rules: 0.0)


def numbers(told: Any, place: str = "") -> dict[str, float]:
    """Return all numbers of a part of a report by their places; lists go by their parts' names."""
    if isinstance(told, bool) or not isinstance(told, dict | int | float):
        return {}
    if not isinstance(told, dict):
        return {place: told}
    found: dict[str, float] = {}
    for key, value in told.items():
        found |= numbers(value, f"{place}.{key}" if place else key)
    return found


def test_a_simulation_leaves_a_complete_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulations.world.Encoder", FakeEncoder)
    monkeypatch.setattr("client.region.Encoder", FakeEncoder)
    scenario = a_scenario(tmp_path).with_store(str(tmp_path / "store.sqlite"))
    report = simulate(scenario, tmp_path / "out")
    store = open_store(str(tmp_path / "store.sqlite"), make=False)
    (run,) = reading.runs(store)
    assert (run.id, run.status, run.simulated) == (report.run.id, "completed", True)
    assert run.releases == report.privacy.releases == len(reading_answers.releases(store)) == 26
    assert run.statement == report.privacy.statement
    assert reading.report_text(store, run.id) == report.to_json()
    assert read_report(tmp_path / "out").to_json() == report.to_json()

    # Every number of the parts that tell quality is there, but for noises, which stand beside.
    told = json.loads(report.to_json())
    parts = {name: told[name] for name in ("clustering", "recommendation")}
    del parts["clustering"]["k_curve"]  # no figure, but a curve
    found = {line.name: line for line in reading.figures(store, run.id)}
    expected = {
        place: value
        for place, value in numbers(parts).items()
        if not place.endswith(("noise", "standard_error", ".k", "n_evaluated"))
    }
    assert {place: found[place].value for place in expected} == expected
    assert set(found) == {*expected, "clustering.k"}
    assert found["clustering.noisy_users"].noise == told["clustering"]["users_noise"] > 0
    assert found["clustering.normalized_cost"].kind == "oracle"
    assert found["recommendation.hit_rate"].noise == pytest.approx(
        told["recommendation"]["hit_rate_standard_error"]
    )

    shown = reading.cluster_map(store, run.id)
    assert shown is not None
    assert [(c.label, c.terms, c.noisy_size) for c in shown.clusters] == [
        (c.label, c.terms, c.noisy_size) for c in report.clustering.clusters
    ]
    for receipt in report.receipts:
        (budget,) = budget_states(store, region=receipt.region)
        assert budget.counted == pytest.approx(receipt.spent_epsilon, rel=1e-9)
        assert (budget.told, budget.limit) == (receipt.spent_epsilon, receipt.limit_epsilon)
        assert budget.lifetime_spent == pytest.approx(receipt.lifetime_epsilon, rel=1e-9)
        assert (budget.lifetime_limit, budget.told_by) == (receipt.lifetime_limit, "receipt")
        region = reading_regions.region(store, receipt.region)
        assert region is not None
        assert region.code == code_hash() == run.code
    _audited(
        store,
        tmp_path / "out" / "ledgers",
        {one.region: one.spent_epsilon for one in report.receipts},
    )


def _audited(store: Store, folder: Path, spent: dict[str, float]) -> None:
    """Look at the same run's ledgers, and see that the store keeps what was found."""
    found, setting = audit([folder]), present_setting()
    officer = SigningKey.create(folder.parent / "officer.key")
    for _ in range(2):
        number = record_audit(store, found, setting, paths=[folder], key=officer)
    (line,) = reading_regions.audits(store)
    assert (line.id, line.verdict, line.ledgers, line.failed) == (number, "PASS", 2, 0)
    assert (line.signed_by, line.paths, line.simulated) == (officer.public, [str(folder)], True)
    document = reading_regions.audit_document(store, number)
    assert document is not None
    assert document == "".join(sealed(pieces(found, setting), officer))
    assert json.loads(document)["audit"]["verdict"] == "PASS"
    told = {one.region: one for one in reading_regions.audited(store, audit_id=number)}
    assert {name: one.spent for name, one in told.items()} == pytest.approx(spent)
    for name in spent:
        (budget,) = budget_states(store, region=name)
        assert (budget.told_by, budget.limit) == ("audit", 4.0)
        assert budget.told == pytest.approx(budget.counted)
    told_by_command = CliRunner().invoke(
        fedinterest.app, ["audit", str(folder), "--store", store.place]
    )
    assert told_by_command.exit_code == 0, told_by_command.output
    assert f"Kept in {store.place} as" in told_by_command.output
    wrong = CliRunner().invoke(fedinterest.app, ["audit", str(folder), "--store", str(folder)])
    assert isinstance(wrong.exception, ConfigError)


@pytest.mark.usefixtures("quick")
def test_a_killed_run_goes_on_in_the_store_under_its_own_name(tmp_path: Path) -> None:
    place = str(tmp_path / "store.sqlite")
    scene = Scene(tmp_path, run__store=place)

    def kill(number: int) -> None:
        if number == 3:
            raise Killed(number)

    scene.after_delivery = kill
    with pytest.raises(Killed):
        scene.start()
    store = open_store(place, make=False)
    assert [(run.status, run.rounds_done) for run in reading.runs(store)] == [("interrupted", 2)]
    scene.after_delivery = lambda number: None
    scene.start(run="sample-2")
    (run,) = reading.runs(store)
    assert (run.id, run.status, run.resumed) == ("sample-1", "completed", 1)
    assert run.failure is None
    assert {line.releases for line in budget_states(store)} == {13}
    spent = {line.region: line.releases for line in budget_states(store)}
    assert spent == {name: len(entries) for name, entries in scene.charges().items()}


@pytest.mark.usefixtures("quick")
def test_a_run_that_stops_says_why_and_keeps_who_had_answered(tmp_path: Path) -> None:
    place = str(tmp_path / "store.sqlite")
    scene = Scene(tmp_path, run__store=place, run__least_answers=2)
    scene.after_delivery = lambda number: scene.forget("west") if number == 4 else None
    with pytest.raises(StrategyError):
        scene.start()
    store = open_store(place, make=False)
    (run,) = reading.runs(store)
    assert (run.status, run.failure_type) == ("failed", "StrategyError")
    assert run.failure is not None
    assert "answered phase 'reach'" in run.failure
    assert {line.region: line.releases for line in budget_states(store)} == {
        "east": 4,
        "west": 3,
    }


@pytest.mark.usefixtures("quick")
def test_under_central_the_server_adds_the_noise_and_regions_are_charged(tmp_path: Path) -> None:
    place = str(tmp_path / "store.sqlite")
    scene = Scene(tmp_path, run__store=place, privacy__trust_model="central")
    scene.start()
    store = open_store(place, make=False)
    assert {line.noise for line in reading_answers.releases(store)} == {"server"}
    kept = {(line.region, line.entry): line.step for line in reading_answers.releases(store)}
    charged = {
        (name, number): entry["step"]
        for name, entries in scene.charges().items()
        for number, entry in enumerate(entries, start=1)
        if name != "server-ledger"
    }
    assert {place: kept[place] for place in charged} == charged


@pytest.mark.usefixtures("quick")
def test_a_store_that_cannot_be_used_stops_a_run_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Dear diary, " * 200)
    scene = Scene(tmp_path, run__store=str(tmp_path / "diary.txt"))
    with pytest.raises(ConfigError, match=r"^run.store: .*Nothing was asked of any region."):
        scene.start()
    assert scene.requests == []
    scene.flat["run.store"] = str(tmp_path / "store.sqlite")
    scene.start()
    assert len(reading.runs(open_store(str(tmp_path / "store.sqlite")))) == 1
