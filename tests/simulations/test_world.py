"""Simulated regions stand on disk as real ones would, with rules of their own."""

from __future__ import annotations

import stat
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from client.settings import read_settings
from privacy.audit.auditing import audit
from privacy.audit.ledger_audit import Verdict
from privacy.code_identity import code_hash
from privacy.ledger_check import read_account, verify_ledger
from privacy.policy import Policy, read_policy
from privacy.query import NoiseKind, TrustModel
from privacy.release import ClippedSum, Release
from privacy.server_record import read_server_record
from privacy.signing import SigningKey
from server.results import read_report
from server.run_config import read_run_config
from simulations.run import run_world
from simulations.world import SimulationError, World, prepare
from strategies.cluster_map import ClusterMap
from strategies.federated_kmeans import StrategyError
from strategies.item_space import Space
from strategies.messages import records_to_answer
from strategies.plan import plan
from tests.simulations.examples import a_scenario

pytestmark = [
    pytest.mark.usefixtures("fake_encoder"),
    pytest.mark.filterwarnings("ignore:Number of distinct clusters"),
]


def a_world(folder: Path, *overrides: str) -> World:
    return prepare(a_scenario(folder, *overrides), folder / "out")


def policies(world: World) -> list[Policy]:
    return [read_policy(path.parent / "policy.toml") for path in world.settings_paths()]


def test_regions_have_their_own_settings_policy_and_places(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    settings = [read_settings(path) for path in world.settings_paths()]
    assert [one.region for one in settings] == ["region-1", "region-2"]
    assert [policy.region for policy in policies(world)] == ["region-1", "region-2"]
    for place in ("events", "policy", "ledger", "signing_key", "witness", "cluster_map"):
        assert len({getattr(one, place).resolve() for one in settings}) == 2
    assert settings[0].ledger.resolve() == tmp_path / "out" / "ledgers" / "region-1.sqlite"
    assert all(one.simulation is not None for one in settings)


@pytest.mark.parametrize("noise", list(NoiseKind))
def test_regions_make_releases_with_the_scenarios_noise_and_no_other(
    tmp_path: Path, noise: NoiseKind
) -> None:
    world = a_world(tmp_path, f"simulation.noise={noise}", "simulation.noise-seed=5")
    for path, policy in zip(world.settings_paths(), policies(world), strict=True):
        settings = read_settings(path)
        assert settings.noise is noise
        assert settings.noise_seed == (5 if noise is NoiseKind.SEEDED else None)
        assert policy.answers.noise_kinds == {noise}


@pytest.mark.parametrize(
    ("overrides", "start", "days"),
    [
        ((), "2017-01-01", 365),
        (("simulation.window-start=2016-06-01T00:00:00Z",), "2016-06-01", 365),
        (("simulation.window-days=90",), "2017-01-01", 90),
    ],
)
def test_the_budgets_are_for_the_scenarios_window(
    tmp_path: Path, overrides: tuple[str, ...], start: str, days: int
) -> None:
    for policy in policies(a_world(tmp_path, *overrides)):
        assert policy.window.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
        assert policy.window.days == days


def test_a_window_that_is_left_out_begins_with_the_year_of_the_withheld_events(
    tmp_path: Path,
) -> None:
    scenario = a_scenario(tmp_path, "simulation.withheld-from=2017-12-01T00:00:00+02:00")
    simulation = scenario.simulation.model_copy(update={"window_start": None})
    world = prepare(scenario.model_copy(update={"simulation": simulation}), tmp_path / "out")
    start = policies(world)[0].window.start
    assert start == datetime(2017, 1, 1, tzinfo=UTC) - timedelta(hours=2)


def test_regions_trust_this_runs_server_encoder_and_program_only(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    server = SigningKey.load(tmp_path / "out" / "server.key")
    assert world.config.run.signing_key == str(tmp_path / "out" / "server.key")
    for policy in policies(world):
        assert policy.trusted.server_keys == {server.public}
        assert policy.trusted.encoders == {world.catalogue.encoder}
        assert policy.trusted.code_hashes == {code_hash()}


def test_regions_spend_what_the_run_asks_for_and_no_more(tmp_path: Path) -> None:
    world = a_world(tmp_path, "privacy.epsilon=3.0", "privacy.trust-model=central")
    for policy in policies(world):
        assert (policy.budget.epsilon, policy.budget.lifetime_epsilon) == (3.0, 3.0)
        assert policy.answers.trust_models == {TrustModel.CENTRAL}


def test_each_simulation_has_a_server_key_of_its_own_that_only_its_owner_reads(
    tmp_path: Path,
) -> None:
    key = tmp_path / "out" / "server.key"
    a_world(tmp_path)
    first = SigningKey.load(key).public
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    a_world(tmp_path)
    assert SigningKey.load(key).public != first


def test_what_no_simulation_has_made_is_not_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "server.key").write_text("somebody's")
    with pytest.raises(SimulationError, match=r"holds server\.key, which no simulation has made"):
        a_world(tmp_path)
    assert (out / "server.key").read_text() == "somebody's"


def test_what_the_server_is_told_can_be_read_again(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    assert read_run_config(tmp_path / "out" / "run-config.toml") == world.config


def answers_of(world: World) -> list[Any]:
    return [records_to_answer(reply.content) for reply in run_world(world).replies]


@pytest.mark.parametrize("noise", [NoiseKind.SEEDED, NoiseKind.DISCRETE])
def test_a_run_of_the_tiny_world_is_signed_from_end_to_end(
    tmp_path: Path, noise: NoiseKind
) -> None:
    """Every question of the plan verifies at regions that answer this server only."""
    world = a_world(tmp_path, f"simulation.noise={noise}")
    answers = answers_of(world)
    assert len(answers) == 2 * len(plan())
    assert all(isinstance(answer, Release) and answer.is_genuine for answer in answers)
    assert {(answer.noise, answer.window) for answer in answers} == {
        (noise, "2017-01-01/2018-01-01")
    }
    heads = read_server_record(world.folder / "ledgers" / "heads.json").heads
    for path, head in zip(world.settings_paths(), heads, strict=True):
        settings = read_settings(path)
        found = verify_ledger(settings.ledger, witness=settings.witness, heads=heads)
        assert (found.faults, found.unchecked) == ([], [])
        assert found.account is not None
        assert found.account.head == head.head
        assert found.account.identity.simulated


def test_under_central_only_the_server_adds_noise(tmp_path: Path) -> None:
    world = a_world(tmp_path, "privacy.trust-model=central", "privacy.server-noise-seed=1")
    assert all(isinstance(answer, ClippedSum) and answer.is_genuine for answer in answers_of(world))
    assert read_report(world.folder).privacy.noise == "seeded"


@pytest.mark.parametrize("noise", [NoiseKind.SEEDED, NoiseKind.DISCRETE])
@pytest.mark.parametrize("trust", ["local", "central"])
def test_a_run_that_learns_taste_pushes_it_back_and_is_sound(
    tmp_path: Path, noise: NoiseKind, trust: str
) -> None:
    world = a_world(
        tmp_path,
        "recommendation.taste=true",
        "recommendation.lately=true",
        f"privacy.trust-model={trust}",
        f"simulation.noise={noise}",
        "privacy.declared-users=100000",
    )
    answers = answers_of(world)
    assert len(answers) == 2 * len(plan(taste=True))
    kept = [ClusterMap.load(read_settings(path).cluster_map) for path in world.settings_paths()]
    assert {pushed.run for pushed in kept} == {answers[0].run}
    assert all((pushed.taste_weights > 0).any() for pushed in kept)
    assert all(pushed.recent_popularity.size for pushed in kept)
    report = read_report(world.folder)
    assert report.clustering.space == ("both" if kept[0].taste_share else "text")
    assert "taste" in [release.phase for release in report.privacy.plan]
    found = audit([world.folder])
    assert found.verdict is Verdict.PASS
    assert found.comparison.faults == []


def test_users_vote_over_the_wire_and_the_report_tells(tmp_path: Path) -> None:
    world = a_world(
        tmp_path,
        "recommendation.taste=true",
        "recommendation.votes=true",
        "privacy.declared-users=100000",
        "privacy.epsilon=8",
    )
    asked = plan(taste=True, votes=True)
    assert len(answers_of(world)) == 2 * len(asked)
    report = read_report(world.folder)
    assert [one.phase for one in report.privacy.plan] == [one.name for one in asked]
    told = report.private_evaluation
    assert told is not None
    assert told.hit_rate_noise > 0  # twelve people tell nothing
    kept = [ClusterMap.load(read_settings(path).cluster_map) for path in world.settings_paths()]
    for pushed in kept:
        assert pushed.voted is not None
        assert told.chosen.model_dump() == asdict(pushed.voted)


def test_a_run_that_cannot_tell_spaces_apart_stays_with_texts_and_says_so(tmp_path: Path) -> None:
    world = a_world(
        tmp_path,
        "recommendation.taste=true",
        "clustering.space=best",
        "privacy.declared-users=100000",
    )
    assert len(answers_of(world)) == 2 * len(plan(taste=True, space=Space.BEST))
    told = read_report(world.folder).clustering  # twelve people: taste drowns in the noise
    assert (told.space, told.space_quality, told.space_quality_noise) == ("text", None, None)
    assert "Nothing of what goes with what rose above the noise" in str(told.warning)
    assert audit([world.folder]).verdict is Verdict.PASS


def test_taste_that_cannot_rise_above_the_noise_is_not_planned(tmp_path: Path) -> None:
    world = a_world(tmp_path, "recommendation.taste=true", "privacy.declared-users=50")
    assert len(answers_of(world)) == 2 * len(plan())


def test_a_second_central_run_in_the_same_folder_begins_anew(tmp_path: Path) -> None:
    for _ in range(2):
        world = a_world(tmp_path, "privacy.trust-model=central")
        run_world(world)
    assert len(read_account(world.folder / "server-ledger.sqlite").entries) == len(plan())


def test_a_run_that_the_regions_stop_leaves_the_heads_of_what_was_charged(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    for path in world.settings_paths():
        policy = path.parent / "policy.toml"
        policy.write_text(policy.read_text().replace("epsilon = 4.0", "epsilon = 1.0"))
    with pytest.raises(StrategyError, match="budget-exhausted"):
        run_world(world)
    heads = read_server_record(world.folder / "ledgers" / "heads.json").heads
    assert [head.region for head in heads] == ["region-1", "region-2"]
    for path, head in zip(world.settings_paths(), heads, strict=True):
        account = read_account(read_settings(path).ledger)
        assert account.entries
        assert (account.sequence, account.head) == (head.sequence, head.head)
    assert not (world.folder / "report.json").exists()
