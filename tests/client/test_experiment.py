"""Who gets which arm: always the same, all alike, and known to nobody else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import chi2_contingency, chisquare

from client.errors import ExperimentError, SettingsError
from client.experiment import Arm, Assignment, Experiment, own_secret
from client.settings import read_settings
from strategies.fusion import Fusion
from tests.client.examples import write_settings

USERS = tuple(f"household-{number:05d}" for number in range(20_000))
SECRET = bytes(range(32))


def an_experiment(name: str = "lists", arms: int = 2) -> Experiment:
    return Experiment(name=name, arms=tuple(Arm(name=f"arm-{n}") for n in range(arms)))


@pytest.mark.parametrize("arms", [2, 3, 7, 16])
def test_arms_get_equally_many_users(arms: int) -> None:
    numbers = Assignment(an_experiment(arms=arms), SECRET).numbers_of(USERS)
    assert chisquare(np.bincount(numbers, minlength=arms)).pvalue > 0.001


def test_a_user_keeps_the_arm_whoever_else_there_is() -> None:
    everybody = Assignment(an_experiment(arms=5), SECRET).numbers_of(USERS)
    again = Assignment(an_experiment(arms=5), SECRET)
    assert [again.number_of(user) for user in USERS[::-1]] == everybody.tolist()[::-1]
    assert [again.arm_of(user).name for user in USERS[:50]] == [
        f"arm-{number}" for number in everybody[:50]
    ]


@pytest.mark.parametrize(
    "other",
    [
        Assignment(an_experiment("other"), SECRET),
        Assignment(an_experiment(), SECRET[::-1]),
    ],
    ids=["another experiment", "another secret"],
)
def test_arms_of_another_experiment_or_client_have_nothing_to_do_with_these(
    other: Assignment,
) -> None:
    own = Assignment(an_experiment(), SECRET).numbers_of(USERS)
    table = np.zeros((2, 2))
    np.add.at(table, (own, other.numbers_of(USERS)), 1)
    assert chi2_contingency(table).pvalue > 0.001


def test_the_secret_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ledger.arms"
    secret = own_secret(path)
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert own_secret(path) == secret
    assert own_secret(tmp_path / "other.arms") != secret
    assert [one.name for one in path.parent.iterdir()] == ["ledger.arms"]


def test_processes_that_make_the_secret_at_the_same_time_get_the_same(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from client.experiment import own_secret\n"
        "sys.stdin.readline(); print(own_secret(Path(sys.argv[1])).hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "secret")]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = {process.communicate("\n", timeout=120)[0] for process in started}
    assert len(told) == 1
    assert own_secret(tmp_path / "secret").hex() + "\n" in told


@pytest.mark.parametrize("content", ["", "no hexadecimal", "ab" * 31, "ab" * 33])
def test_a_damaged_secret_gives_nobody_an_arm(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ExperimentError, match="Nobody was given an arm"):
        own_secret(path)
    assert path.read_text() == content


def test_a_secret_that_others_can_read_gives_nobody_an_arm(tmp_path: Path) -> None:
    own_secret(tmp_path / "secret")
    os.chmod(tmp_path / "secret", 0o640)
    with pytest.raises(ExperimentError, match="chmod 600"):
        own_secret(tmp_path / "secret")


def test_an_arm_changes_the_weights_that_it_names() -> None:
    usual = Fusion(half_life=20.0, lift=0.5)
    assert Arm(name="plain").fusion(usual) == usual
    arm = Arm.model_validate({"name": "a", "half-life": 3.0, "recent-lift": 0.0, "cluster": 2.0})
    assert arm.fusion(usual) == Fusion(half_life=3.0, lift=0.0, cluster=2.0)
    assert Arm(name="texts", text=1.0).fusion(usual) == Fusion(half_life=20.0, lift=0.5, text=1.0)


def test_an_agents_settings_name_an_experiment(tmp_path: Path) -> None:
    arms = [{"name": "plain"}, {"name": "varied", "variety": 0.3, "popularity-only": True}]
    settings = read_settings(
        write_settings(tmp_path, feedback="f.sqlite", experiment={"name": "lists", "arms": arms})
    )
    assert settings.experiment is not None
    assert settings.experiment.arm_names == ["plain", "varied"]
    assert settings.experiment.arms[1].variety == 0.3
    assert settings.experiment.arms[1].popularity_only
    assert settings.feedback == tmp_path / "f.sqlite"
    assert settings.secret == tmp_path / "ledger.arms"


@pytest.mark.parametrize(
    ("experiment", "problem"),
    [
        ({"name": "lists", "arms": [{"name": "plain"}]}, "at least 2"),
        ({"name": "lists", "arms": [{"name": "plain"}] * 2}, "the same name"),
        ({"name": "Lists", "arms": [{"name": "a"}, {"name": "b"}]}, "pattern"),
        ({"name": "lists", "arms": [{"name": "a"}, {"name": "b", "variety": 2.0}]}, "variety"),
        ({"name": "lists", "arms": [{"name": "a"}, {"name": "b", "colour": 2}]}, "colour"),
        ({"name": "lists", "arms": [{"name": f"a{n}"} for n in range(17)]}, "at most 16"),
    ],
)
def test_an_impossible_experiment_is_named(
    tmp_path: Path, experiment: dict[str, object], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        read_settings(write_settings(tmp_path, experiment=experiment))


def test_arms_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValidationError):
        an_experiment().name = "other"  # type: ignore[misc]
