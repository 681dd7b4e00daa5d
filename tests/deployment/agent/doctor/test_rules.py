"""What the doctor says of policies, budgets and approvals."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployment.agent.approving import approve, copy_of
from deployment.agent.bundle import read_bundle
from deployment.agent.doctor.finding import Finding, State
from deployment.agent.doctor.records import look_at_ledger
from deployment.agent.doctor.rules import approvals, budget, look_at_policy
from deployment.agent.settings import read_agent
from tests.client.examples import write_policy
from tests.deployment.agent.doctor.examples import (
    by_name,
    installed_bundle,
    lay_out,
    patient,
    release_once,
)


def policy_of(settings: Path) -> dict[str, Finding]:
    return by_name(look_at_policy(patient(settings)))


def test_policy_that_is_careful(tmp_path: Path) -> None:
    found = policy_of(lay_out(tmp_path / "north"))
    assert [one.state for one in found.values()] == [State.WELL, State.WELL]


@pytest.mark.parametrize(
    ("changes", "finding", "state", "words"),
    [
        ({"region": "south"}, "policy", State.WRONG, "is for region 'south'"),
        ({"surprise": 1}, "policy", State.WRONG, "surprise"),
        ({"trusted": {"server-keys": []}}, "policy", State.WARNING, "server-keys is empty"),
        ({"trusted": {"encoders": []}}, "policy", State.WARNING, "encoders is empty"),
        ({"answers": {"trust-models": ["central"]}}, "policy", State.WARNING, "clipped sums"),
        (
            {"trusted": {"code-hashes": ["0" * 64]}},
            "program-approved",
            State.WRONG,
            "code-not-allowed",
        ),
        ({"trusted": {"code-hashes": []}}, "program-approved", State.WARNING, "runs unseen"),
    ],
)
def test_policy_that_is_not(
    tmp_path: Path, changes: dict[str, Any], finding: str, state: State, words: str
) -> None:
    settings = lay_out(tmp_path / "north", policy=changes)
    found = policy_of(settings)[finding]
    assert (found.state, words in found.found) == (state, True), found
    assert found.remedy


def budget_of(settings: Path) -> Finding:
    examined = patient(settings)
    return budget(examined, look_at_ledger(examined)[1])


def test_budget_that_is_left_and_that_is_not(tmp_path: Path) -> None:
    settings = lay_out(tmp_path / "north")
    assert budget_of(settings).state is State.NOT_CHECKED  # no ledger yet
    release_once(settings)
    assert budget_of(settings).state is State.WELL
    spent = float(budget_of(settings).found.split("epsilon 10000, ")[1].split(" is left")[0])
    spent = 1e4 - spent
    for limits, words in (
        ({"epsilon": spent * 1.01, "lifetime-epsilon": 1e5}, "next window"),
        ({"epsilon": spent, "lifetime-epsilon": spent * 1.01}, "promise to users"),
    ):
        write_policy(settings.parent, budget=limits, answers={"noise-kinds": ["discrete"]})
        found = budget_of(settings)
        assert (found.state, words in found.remedy) == (State.WARNING, True), found


def test_window_that_waits_for_its_operator(tmp_path: Path) -> None:
    settings = lay_out(tmp_path / "north")
    release_once(settings)
    window = {
        "start": datetime(2017, 1, 1, tzinfo=UTC),
        "days": 365,
        "renewal": "by-operator",
    }
    write_policy(
        settings.parent,
        budget={"epsilon": 1e4, "lifetime-epsilon": 1e5},
        answers={"noise-kinds": ["discrete"]},
        window=window,
    )
    examined = patient(settings)
    account = look_at_ledger(examined)[1]
    later = type(examined)(
        agent=examined.agent,
        settings=examined.settings,
        policy=examined.policy,
        policy_fault="",
        moment=datetime(2100, 1, 1, tzinfo=UTC),
    )
    found = budget(later, account)
    assert found.state is State.WRONG
    assert "ledger renew" in found.remedy


def test_bundle_of_the_installed_program_and_another(tmp_path: Path) -> None:
    settings = lay_out(tmp_path / "north")
    found = by_name(approvals(patient(settings)))
    assert found["bundle-and-program"].state is State.WELL
    agent = read_agent(settings)
    newer = read_bundle(installed_bundle(**{"strategies/novelty.py": "x = 1\n"}))
    approve(agent, newer)
    found = by_name(approvals(patient(settings)))
    assert found["approvals"].state is State.WELL
    assert found["bundle-and-program"].state is State.WARNING
    assert "strategies/novelty.py" in found["bundle-and-program"].found
    assert "Install the release" in found["bundle-and-program"].remedy
    copy_of(agent, newer.hash).write_bytes(installed_bundle())
    assert by_name(approvals(patient(settings)))["approvals"].state is State.WRONG


def test_list_that_others_can_write_or_that_is_empty(tmp_path: Path) -> None:
    settings = lay_out(tmp_path / "north")
    listed = settings.with_name("approvals.toml")
    listed.chmod(0o620)
    (finding,) = approvals(patient(settings))
    assert (finding.state, "by others" in finding.found) == (State.WRONG, True)
    listed.chmod(0o600)
    listed.write_text("")
    (finding,) = approvals(patient(settings))
    assert (finding.name, finding.state) == ("approvals", State.WARNING)
