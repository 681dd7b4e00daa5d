"""What an operator and a privacy officer type: policy and ledger verbs, on a real run's files."""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tomli_w

from privacy.ledger import Ledger
from privacy.ledger_check import read_account
from privacy.policy import read_policy
from privacy.signing import SigningKey
from simulations.scenario import SAMPLE
from tests.end_to_end.conftest import Finished
from tests.end_to_end.test_command_line import Command, assert_fails
from tests.end_to_end.test_command_line import fedinterest as fedinterest  # a fixture
from tests.privacy.examples import SetClock, a_ledger, a_query


@pytest.fixture
def region(finished: Finished) -> Path:
    return finished.world.folder / "regions" / "region-1"


@pytest.fixture
def ledger(finished: Finished) -> Path:
    return finished.world.folder / "ledgers" / "region-1.sqlite"


def test_every_verb_of_the_operators_helps_with_an_example(fedinterest: Command) -> None:
    for group, verbs in {
        "policy": ("new", "show", "check"),
        "ledger": ("show", "verify", "renew", "adopt"),
    }.items():
        for verb in verbs:
            assert f"fedinterest {group} {verb}" in fedinterest(group, verb, "--help").stdout
    assert "fedinterest key" in fedinterest("key", "--help").stdout


def test_new_policy_can_be_shown_and_is_not_overwritten(
    fedinterest: Command, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    assert fedinterest("policy", "new", path, "--region", "north").returncode == 0
    shown = fedinterest("policy", "show", path)
    assert shown.returncode == 0
    assert "epsilon 1 at delta 1e-06" in shown.stdout
    assert "server-keys is empty" in shown.stdout
    assert_fails(fedinterest("policy", "new", path, "--region", "north"), "exists already")


def test_what_a_region_should_think_about_is_told(
    fedinterest: Command, region: Path, tmp_path: Path
) -> None:
    shown = fedinterest("policy", "show", region / "policy.toml").stdout
    assert "noise-kinds has seeded" in shown
    assert "server-keys is empty" not in shown
    rules = tomllib.loads((region / "policy.toml").read_text(encoding="utf-8"))
    rules["answers"]["trust-models"].append("central")
    rules["trusted"]["code-hashes"] = ["another"]
    (tmp_path / "policy.toml").write_text(tomli_w.dumps(rules), encoding="utf-8")
    warned = fedinterest("policy", "show", tmp_path / "policy.toml").stdout
    assert "exact clipped sums" in warned
    assert "lacks this program" in warned


def test_cost_of_a_run_is_told_before_it_runs(fedinterest: Command, region: Path) -> None:
    told = fedinterest(
        "policy", "check", region / "policy.toml", "--run", SAMPLE, "--noise", "seeded"
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "4.0000" in told.stdout
    assert "0.0000 would be left" in told.stdout


def test_run_that_the_ledger_no_longer_allows_is_told_before_it_runs(
    fedinterest: Command, region: Path, ledger: Path, finished: Finished
) -> None:
    told = fedinterest(
        "policy",
        "check",
        region / "policy.toml",
        "--run",
        finished.world.folder / "run-config.toml",
        "--ledger",
        ledger,
        "--noise",
        "seeded",
    )
    assert told.returncode == 1
    assert "budget-exhausted" in told.stdout


def test_run_that_breaks_the_rules_is_told_before_it_runs(
    fedinterest: Command, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    fedinterest("policy", "new", path, "--region", "north")
    told = fedinterest("policy", "check", path, "--run", SAMPLE, "--noise", "float")
    assert told.returncode == 1
    assert "noise-kind-not-allowed" in told.stdout
    assert_fails(fedinterest("policy", "check", path, "--run", SAMPLE, "--noise", "pink"), "'pink'")
    assert_fails(fedinterest("policy", "check", path, "--run", path), "unknown key")


def test_ledger_shows_what_was_spent_released_and_refused(
    fedinterest: Command, region: Path, ledger: Path
) -> None:
    shown = fedinterest("ledger", "show", ledger, "--policy", region / "policy.toml")
    assert shown.returncode == 0
    for word in ("SIMULATED", "2017-01-01/2018-01-01", "4.0000", "lloyd-2", "item-weights"):
        assert word in shown.stdout
    assert "budget-exhausted" in shown.stdout  # the run asked once too often
    assert read_account(ledger).identity.public_key in shown.stdout


def test_ledger_of_a_run_verifies_with_its_witness_and_the_servers_heads(
    fedinterest: Command, region: Path, ledger: Path, finished: Finished
) -> None:
    heads = finished.world.folder / "ledgers" / "heads.json"
    told = fedinterest(
        "ledger", "verify", ledger, "--witness", region / "witness.jsonl", "--heads", heads
    )
    assert told.returncode == 0, told.stdout
    assert "not checked" not in told.stdout


def test_ledger_that_was_changed_fails_verification(
    fedinterest: Command, ledger: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copy(ledger, copy)
    assert fedinterest("ledger", "verify", copy).returncode == 0
    database = sqlite3.connect(copy)
    (guard,) = database.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'records_are_not_changed'"
    ).fetchone()
    database.execute("DROP TRIGGER records_are_not_changed")
    database.execute("UPDATE records SET content = replace(content, 'lloyd-1', 'lloyd-9')")
    database.execute(guard)
    database.commit()
    database.close()
    told = fedinterest("ledger", "verify", copy)
    assert told.returncode == 1
    assert "has been changed" in told.stdout


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_what_is_no_ledger_is_an_error_with_a_sentence(
    fedinterest: Command, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "notes.txt").write_text("not a ledger " * 100)
    assert_fails(fedinterest("ledger", verb, tmp_path / "notes.txt"), "notes.txt")
    assert_fails(fedinterest("ledger", verb, tmp_path / "absent"), "absent")
    assert_fails(fedinterest("ledger", verb, tmp_path), str(tmp_path))


def test_heads_that_cannot_be_read_are_an_error(
    fedinterest: Command, ledger: Path, tmp_path: Path
) -> None:
    (tmp_path / "heads.json").write_text("{}")
    told = fedinterest("ledger", "verify", ledger, "--heads", tmp_path / "heads.json")
    assert_fails(told, "heads.json")


def test_moved_ledger_is_adopted_by_its_operator(fedinterest: Command, tmp_path: Path) -> None:
    own = a_ledger(tmp_path)
    own.reserve(a_query(), "float")
    copy = tmp_path / "new" / "ledger.sqlite"
    copy.parent.mkdir()
    shutil.copy(own.path, copy)
    key = own.path.with_suffix(".key")
    told = fedinterest("ledger", "adopt", copy, "--key", key, "--reason", "new disk")
    assert told.returncode == 0, told.stderr
    assert "north" in told.stdout
    assert fedinterest("ledger", "verify", copy).returncode == 0


def test_window_is_renewed_by_its_operator_when_it_is_over(
    fedinterest: Command, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    fedinterest("policy", "new", path, "--region", "north")
    text = path.read_text(encoding="utf-8").replace('"automatic"', '"by-operator"')
    path.write_text(text, encoding="utf-8")
    policy = read_policy(path)
    long_ago = datetime.now(UTC) - timedelta(days=2 * policy.window.days)
    text = text.replace(f"{policy.window.start:%Y-%m-%d}", f"{long_ago:%Y-%m-%d}")
    path.write_text(text, encoding="utf-8")
    ledger = Ledger(tmp_path / "ledger.sqlite", read_policy(path), clock=SetClock(long_ago))
    ledger.reserve(a_query(sigma=20.0), "float")
    renew = ("ledger", "renew", ledger.path, "--policy", path)
    assert fedinterest(*renew).returncode == 0
    assert len(read_account(ledger.path).windows) == 2
    assert_fails(fedinterest(*renew), "is not over")


def test_servers_key_is_made_once_and_its_public_half_told(
    fedinterest: Command, tmp_path: Path
) -> None:
    path = tmp_path / "server.key"
    told = fedinterest("key", path)
    assert told.stdout.strip() == SigningKey.load(path).public
    assert_fails(fedinterest("key", path), "exists already")


def test_ledger_tells_who_asked_what_ran_and_by_which_rules_at_any_width(
    fedinterest: Command, region: Path, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = fedinterest("ledger", "show", ledger, "--policy", region / "policy.toml").stdout
    entry = read_account(ledger).entries[1]
    for told in (entry.server_key, entry.encoder, entry.code, entry.policy):
        assert told[:16] in shown
    assert "…" not in shown
    assert entry.policy in fedinterest("policy", "show", region / "policy.toml").stdout


def test_what_an_operator_did_is_told(fedinterest: Command, tmp_path: Path) -> None:
    own = a_ledger(tmp_path)
    own.reserve(a_query(), "float")
    fedinterest("ledger", "adopt", own.path, "--reason", "the disk was replaced")
    assert "adopted: the disk was replaced" in fedinterest("ledger", "show", own.path).stdout


def test_another_regions_ledger_or_program_is_an_error_before_any_forecast(
    fedinterest: Command, region: Path, ledger: Path, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    fedinterest("policy", "new", path, "--region", "north")
    check = ("policy", "check", path, "--run", SAMPLE)
    assert_fails(fedinterest(*check, "--ledger", ledger), "ledger of region-1")
    path.write_text(path.read_text().replace("code-hashes = []", 'code-hashes = ["old"]'))
    assert_fails(fedinterest(*check), "does not approve of this program")


def test_question_that_nobody_asks_is_told(fedinterest: Command, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    fedinterest("policy", "new", path, "--region", "north")
    assert "nobody asks" not in fedinterest("policy", "show", path).stdout
    path.write_text(path.read_text().replace('"cell-sums"', '"cellsums"'))
    assert "questions has cellsums: nobody asks" in fedinterest("policy", "show", path).stdout


def test_help_shows_no_escaped_brackets(fedinterest: Command) -> None:
    assert "\\[" not in fedinterest("policy", "check", "--help").stdout


def test_looking_leaves_nothing_behind(
    fedinterest: Command, region: Path, ledger: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "ledger.sqlite"
    shutil.copy(ledger, copy)
    shown = fedinterest("ledger", "show", copy, "--policy", region / "policy.toml")
    verified = fedinterest("ledger", "verify", copy)
    assert (shown.returncode, verified.returncode) == (0, 0)
    assert "does not use it until it is adopted" in verified.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.sqlite"]


def test_nothing_is_made_where_there_is_no_ledger(fedinterest: Command, tmp_path: Path) -> None:
    policy, none = tmp_path / "policy.toml", tmp_path / "far" / "none.sqlite"
    fedinterest("policy", "new", policy, "--region", "north")
    assert_fails(fedinterest("ledger", "renew", none, "--policy", policy), "no ledger")
    assert_fails(fedinterest("ledger", "renew", tmp_path, "--policy", policy), "is a folder")
    assert_fails(fedinterest("ledger", "adopt", none, "--reason", "hope"), "no ledger")
    assert_fails(fedinterest("ledger", "adopt", policy, "--reason", " "), "A reason is needed")
    assert [path.name for path in tmp_path.iterdir()] == ["policy.toml"]


def test_lost_witness_is_begun_anew_where_the_agent_looks_for_it(
    fedinterest: Command, tmp_path: Path
) -> None:
    witness = tmp_path / "ledger.witness"
    own = a_ledger(tmp_path, witness=witness)
    own.commit(own.reserve(a_query(), "float").entry, b"reply")
    witness.unlink()
    adopted = fedinterest("ledger", "adopt", own.path, "--reason", "witness lost")
    assert adopted.returncode == 0, adopted.stderr
    assert fedinterest("ledger", "verify", own.path).returncode == 0
    assert a_ledger(tmp_path, witness=witness).account().entries
