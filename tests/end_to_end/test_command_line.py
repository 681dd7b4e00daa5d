"""The command as an operator types it: what it does, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

import fedinterest as command_line
from simulations.scenario import SAMPLE
from tests.end_to_end.conftest import Finished

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a command left on the terminal."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Outcome]


@pytest.fixture
def fedinterest(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command in this process, as the installed script does."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["fedinterest", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        printed = capsys.readouterr()
        return Outcome(int(stopped.value.code or 0), printed.out, printed.err)

    return run


def assert_fails(result: Outcome, *words: str) -> None:
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_installed_command_works_in_a_process_of_its_own() -> None:
    command = Path(sys.executable).parent / "fedinterest"
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("fedinterest 0.")
    wrong = [str(command), "simulate", str(SAMPLE), "--set", "clustering.clusters=9"]
    failed = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
    assert "unknown key 'clustering.clusters'" in failed.stderr


def test_every_verb_helps_with_an_example(fedinterest: Command) -> None:
    verbs = ("simulate", "demo", "prepare", "encode", "recommend", "feedback")
    general = fedinterest("--help").stdout
    for verb in verbs:
        assert verb in general
        helped = fedinterest(verb, "--help")
        assert helped.returncode == 0
        assert f"fedinterest {verb}" in helped.stdout


ARGUMENTS = {
    "simulate": "SCENARIO is a file",
    "cluster": "VECTORS are the users' vectors",
    "prepare": "SCENARIO is a file",
    "encode": "CATALOGUE is a file",
    "recommend": "USER is an id",
    "feedback": "SETTINGS is the region's agent.toml",
    "audit": "PATHS are ledgers",
    "policy new": "PATH is the file to write",
    "policy show": "PATH is the region's policy",
    "policy check": "PATH is the region's policy",
    "ledger show": "PATH is the region's ledger",
    "ledger verify": "PATH is the region's ledger",
    "ledger renew": "PATH is the region's ledger",
    "ledger adopt": "PATH is the region's ledger",
    "key": "PATH is the file to write",
}


@pytest.mark.parametrize(("verb", "told"), ARGUMENTS.items())
def test_help_says_what_the_arguments_are(fedinterest: Command, verb: str, told: str) -> None:
    assert told in fedinterest(*verb.split(), "--help").stdout


def test_recommendations_come_with_reasons(fedinterest: Command, finished: Finished) -> None:
    region = str(finished.world.region_of["household-0900"])
    settings = finished.world.folder / "regions" / region / "agent.toml"
    result = fedinterest("recommend", "household-0900", "--settings", settings, "--explain")
    assert result.returncode == 0, result.stderr
    assert "Your usuals" in result.stdout
    assert "New for you" in result.stdout
    assert "about every" in result.stdout
    assert "goes with" in result.stdout


def test_somebody_new_states_interests_and_reads_chinese(
    fedinterest: Command, finished: Finished
) -> None:
    settings = finished.world.folder / "regions" / "region-1" / "agent.toml"
    stated = ("--interest", "coffee", "--interest", "baking", "--language", "zh", "--explain")
    rules = ("--variety", 0.3, "--most-per-category", 2, "--exclude", "GROCERY > COFFEE")
    result = fedinterest("recommend", "nobody", "--settings", settings, *stated, *rules)
    assert result.returncode == 0, result.stderr
    assert "stated interests" in result.stdout
    assert "Your usuals: nothing yet" in result.stdout
    assert "\u7b26\u5408\u60a8\u5bf9baking\u7684\u5174\u8da3" in result.stdout
    wrong = fedinterest("recommend", "nobody", "--settings", settings, "--language", "tlh")
    assert_fails(wrong, "'tlh' is not one of en, zh")


def test_everybodys_recommendations_are_written_at_once(
    fedinterest: Command, finished: Finished, out: Path
) -> None:
    settings = finished.world.folder / "regions" / "region-1" / "agent.toml"
    path = out / "everybody.parquet"
    result = fedinterest("recommend-all", "--settings", settings, "--out", path, "--k", 3)
    assert result.returncode == 0, result.stderr
    found = pd.read_parquet(path)
    people = pd.read_parquet(settings.parent / "events.parquet").user_id.nunique()
    assert found.user_id.nunique() == people
    assert len(found) == 3 * people


def test_readme_names_the_region_in_which_its_household_lives(finished: Finished) -> None:
    region = finished.world.region_of["household-0900"]
    command = (
        f"fedinterest recommend household-0900 --explain --settings runs/demo/regions/{region}/"
    )
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")


def test_unknown_configuration_key_is_named(fedinterest: Command, out: Path) -> None:
    result = fedinterest("simulate", SAMPLE, "--set", "clustering.clusters=9", "--out", out)
    assert_fails(result, "clustering.clusters", "unknown key", "Nothing was started")
    assert not out.exists()


@pytest.mark.parametrize("epsilon", ["0", "-1.0", "nan", "inf"])
def test_epsilon_that_is_not_positive_is_named(
    fedinterest: Command, out: Path, epsilon: str
) -> None:
    result = fedinterest("simulate", SAMPLE, "--set", f"privacy.epsilon={epsilon}", "--out", out)
    assert_fails(result, "privacy.epsilon", "Nothing was started")
    assert not out.exists()


def test_missing_column_is_named_and_nothing_is_half_written(
    fedinterest: Command, tmp_path: Path, out: Path
) -> None:
    events = tmp_path / "events.csv"
    table = pd.DataFrame({"user_id": ["a"], "item_id": ["b"], "action": ["purchase"]})
    table.to_csv(events, index=False)
    result = fedinterest("simulate", SAMPLE, "--set", f"simulation.events='{events}'", "--out", out)
    assert_fails(result, "no column 'timestamp'", "user_id, item_id, action", "Nothing was read")
    assert not (out / "report.json").exists()
    assert not (out / "ledgers").exists()


def test_missing_model_is_named(fedinterest: Command, out: Path) -> None:
    result = fedinterest(
        "simulate", SAMPLE, "--set", "simulation.encoder=nowhere/no-such-model", "--out", out
    )
    assert_fails(result, "nowhere/no-such-model", "Nothing was encoded")
    assert not (out / "report.json").exists()


def test_unwritable_output_is_named(fedinterest: Command, tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("in the way")
    result = fedinterest("simulate", SAMPLE, "--out", blocked / "out")
    assert_fails(result, str(blocked), "cannot be written", "Nothing was done")
    assert blocked.read_text() == "in the way"


def test_folder_with_ledgers_of_others_is_left_alone(fedinterest: Command, tmp_path: Path) -> None:
    ledger = tmp_path / "ledgers" / "real.sqlite"
    ledger.parent.mkdir()
    ledger.write_bytes(b"precious")
    result = fedinterest("simulate", SAMPLE, "--out", tmp_path)
    assert_fails(result, "ledgers", "Nothing was removed")
    assert ledger.read_bytes() == b"precious"


def test_recommending_before_any_run_says_so(fedinterest: Command, tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    result = fedinterest("prepare", SAMPLE, "--out", prepared)
    assert result.returncode == 0, result.stderr
    assert "flwr run ." in result.stdout
    settings = prepared / "regions" / "region-1" / "agent.toml"
    assert_fails(
        fedinterest("recommend", "household-0001", "--settings", settings),
        "no run has pushed a cluster map",
    )


def test_missing_scenario_is_named(fedinterest: Command) -> None:
    assert_fails(fedinterest("simulate", "no-such.toml"), "no-such.toml", "cannot be read")
