"""An experiment over three regions: who accepted what stays there, which arm is better is found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from client.contributions import contributions_to
from client.feedback_store import Answered, Response, ShownList
from client.region import Region, open_region
from privacy.ledger_check import read_account
from privacy.release import Release
from server.results import PAGE, read_report
from simulations.in_process_grid import InProcessGrid
from simulations.run import run_world
from simulations.world import World, prepare
from strategies.messages import records_to_answer
from tests.end_to_end.conftest import sample
from tests.end_to_end.test_sample_run import SCHEMA

RATES = {"plain": 0.15, "varied": 0.30}
"""How often an arm's items are accepted."""
SHOWN = 10


@dataclass(frozen=True)
class Tried:
    """A finished run that asked about an experiment."""

    world: World
    grid: InProcessGrid


def plant(region: Region, rates: Mapping[str, float], seed: int) -> None:
    """Show everybody a list, and let them accept of it as often as their arm says."""
    rng = np.random.default_rng(seed)
    assert region.assignment is not None
    assert region.feedback_store is not None
    at = region.settings.moment - timedelta(days=3)
    users = pd.read_parquet(region.settings.events).user_id.unique()
    items = [f"item {number}" for number in range(SHOWN)]
    arms = {user: region.assignment.arm_of(user).name for user in users}
    region.feedback_store.record(
        [
            ShownList(
                user_id=user,
                items=[(item, "cluster") for item in items],
                experiment="lists",
                arm=arm,
            )
            for user, arm in arms.items()
        ],
        at,
    )
    responses = [
        Answered(
            user_id=user,
            item_id=item,
            response=Response.ACCEPTED if rng.random() < rates[arm] else Response.SKIPPED,
            moment=at,
            dwell=float(rng.exponential(20)),
        )
        for user, arm in arms.items()
        for item in items
    ]
    with region.feedback_store.answering(responses, region.settings.moment) as problems:
        assert set(problems) == {""}


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    world = prepare(
        sample(
            "run.n-clients=3",
            "recommendation.experiment=lists",
            "recommendation.arms='plain, varied'",
        ),
        tmp_path_factory.mktemp("experiment"),
    )
    for seed, path in enumerate(world.settings_paths()):
        plant(open_region(path), RATES, seed)
    return Tried(world, run_world(world))


def test_the_report_finds_which_arm_is_better(tried: Tried) -> None:
    report = read_report(tried.world.folder)
    assert report.feedback is not None
    assert [arm.name for arm in report.feedback.arms] == list(RATES)
    for arm in report.feedback.arms:
        assert arm.acceptance is not None
        assert arm.skips is not None
        assert arm.dwell_seconds is not None
        assert abs(arm.acceptance.value - RATES[arm.name]) < 4 * arm.acceptance.noise + 0.02
        assert abs(arm.skips.value - 1 + RATES[arm.name]) < 4 * arm.skips.noise + 0.02
        assert abs(arm.dwell_seconds.value - 20) < 4 * arm.dwell_seconds.noise + 1
        assert abs(arm.noisy_users - 2469 / 2) < 4 * arm.users_noise + 100
    (difference,) = report.feedback.differences
    assert difference.stands_out
    assert difference.low < RATES["varied"] - RATES["plain"] < difference.high
    assert "varied is accepted more often than plain" in difference.sentence
    assert difference.sentence in (tried.world.folder / PAGE).read_text(encoding="utf-8")


def test_the_report_with_feedback_is_valid(tried: Tried) -> None:
    content = json.loads((tried.world.folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(content, json.loads(SCHEMA.read_text(encoding="utf-8")))
    planned = {one["phase"]: one["share"] for one in content["privacy"]["plan"]}
    assert list(planned)[-2:] == ["feedback", "quality"]
    assert sum(planned.values()) == pytest.approx(1.0)
    assert content["privacy"]["epsilon_by_accountant"]["gaussian-dp"] <= 4.0


def test_no_region_says_an_exact_count(tried: Tried) -> None:
    question = tried.world.config.recommendation.asked
    assert question is not None
    exact = {}
    for path in tried.world.settings_paths():
        region = open_region(path)
        users = region.users_with_feedback(question.question(), region.door.policy, None)
        part = contributions_to(question.question(), users)["arms"]
        exact[region.settings.region] = np.zeros((2, 4))
        np.add.at(exact[region.settings.region], part.cells, part.rows)
    answers = [records_to_answer(reply.content) for reply in tried.grid.replies]
    told = [one for one in answers if one.purpose == "feedback"]
    assert {one.region for one in told} == set(exact)
    for one in told:
        assert isinstance(one, Release)
        assert set(one.sums) == {"arms"}
        noise = one.sums["arms"] - exact[one.region]
        assert (np.abs(noise) > 1e-4).all()
        assert 0.3 * one.sigma < noise.std() < 3 * one.sigma


def test_nothing_of_the_feedback_goes_over_the_wire_but_sums(tried: Tried) -> None:
    secrets = {
        open_region(path).settings.secret.read_text() for path in tried.world.settings_paths()
    }
    for reply in tried.grid.replies:
        assert set(reply.content) <= {"answer", "sums"}
        words = str(dict(reply.content.config_records["answer"]))
        assert not [one for one in ("household-", "item 0", *secrets) if one in words]


def test_every_regions_ledger_was_charged_for_the_feedback(tried: Tried) -> None:
    for number in (1, 2, 3):
        account = read_account(tried.world.folder / "ledgers" / f"region-{number}.sqlite")
        charged = [entry for entry in account.entries.values() if entry.purpose == "feedback"]
        assert [(entry.kind, entry.state) for entry in charged] == [("list-feedback", "committed")]


def test_regions_of_a_scenario_keep_feedback_that_only_they_can_read(tried: Tried) -> None:
    for path in tried.world.settings_paths():
        store = open_region(path).settings.feedback
        assert store == path.parent / "feedback.sqlite"
        assert isinstance(store, Path)
        assert store.stat().st_mode & 0o077 == 0
