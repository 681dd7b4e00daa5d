"""A run's configuration: the same keys everywhere, and no value out of range."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.query import TrustModel
from server.run_config import ConfigError, RunConfig, parse_config, parse_flat, read_run_config

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_defaults_are_those_of_pyproject() -> None:
    """``flwr run .`` asks for what pyproject.toml says."""
    config = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["flwr"]["app"]["config"]
    written = {
        f"{part}.{key}": value for part, keys in config.items() for key, value in keys.items()
    }
    assert written == RunConfig().flat()
    assert parse_config(config, "pyproject.toml") == RunConfig()


@given(
    seed=st.integers(0, 2**40),
    k=st.integers(2, 1000),
    epsilon=st.floats(1e-6, 1e4),
    trust_model=st.sampled_from(list(TrustModel)),
    once_too_often=st.booleans(),
    catalogue=st.text(),
    signing_key=st.text(),
)
@settings(max_examples=40, deadline=None)
def test_flat_and_parse_flat_are_inverse(
    seed: int,
    k: int,
    epsilon: float,
    trust_model: TrustModel,
    once_too_often: bool,
    catalogue: str,
    signing_key: str,
) -> None:
    nested = {
        "run": {
            "seed": seed,
            "ask-once-too-often": once_too_often,
            "signing-key": signing_key,
        },
        "clustering": {"k": k},
        "privacy": {"epsilon": epsilon, "trust-model": trust_model.value},
        "public": {"catalogue": catalogue},
    }
    config = parse_config(nested, "test")
    assert parse_flat(config.flat()) == config
    assert parse_flat(config.flat()).flat() == config.flat()


def test_flat_values_are_what_flower_can_carry() -> None:
    assert {type(value) for value in RunConfig().flat().values()} <= {bool, int, float, str}


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("privacy.epsilon", 0, "greater than 0"),
        ("privacy.epsilon", -1.0, "greater than 0"),
        ("privacy.epsilon", float("nan"), "greater than 0|finite number"),
        ("privacy.epsilon", float("inf"), "finite number"),
        ("privacy.epsilon", "much", "valid number"),
        ("privacy.delta", 0.0, "greater than 0"),
        ("privacy.delta", 0.01, "less than or equal to 0.001"),
        ("privacy.delta", float("nan"), "greater than 0|less than|finite number"),
        ("privacy.trust-model", "blind", "'local' or 'central'"),
        ("privacy.declared-users", 0, "greater than or equal to 1"),
        ("privacy.declared-users", 1.5, "integer"),
        ("privacy.server-noise-seed", -2, "greater than or equal to -1"),
        ("recommendation.largest-upload-mb", 0.001, "greater than or equal to 0.01"),
        ("clustering.k", 1, "greater than or equal to 2"),
        ("clustering.k", 1001, "less than or equal to 1000"),
        ("run.n-clients", 0, "greater than or equal to 1"),
        ("run.seed", -1, "greater than or equal to 0"),
        ("run.wait-seconds", 0.0, "greater than 0"),
        ("run.wait-seconds", float("inf"), "finite number"),
        ("recommendation.feedback-days", 0.0, "greater than 0"),
        ("recommendation.dwell-cap", float("inf"), "finite number"),
        ("run.name", "../elsewhere", "match pattern"),
        ("run.name", "", "match pattern"),
        ("run.signing-key", 7, "valid string"),
    ],
)
def test_value_out_of_range_is_named_with_its_key_and_the_range(
    key: str, value: object, problem: str
) -> None:
    with pytest.raises(ConfigError, match=f"({problem}).*Nothing was started") as caught:
        parse_flat({key: value})
    assert f"run-config: key '{key}': found {value!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("nested", "problem"),
    [
        ({"privacy": {"epsilom": 4.0}}, "unknown key 'privacy.epsilom' (found 4.0)"),
        ({"run": {"n_clients": 8}}, "unknown key 'run.n_clients' (found 8)"),
        ({"secrecy": {"epsilon": 4.0}}, "unknown key 'secrecy'"),
        ({"privacy": {"window": "2017"}}, "unknown key 'privacy.window' (found '2017')"),
        ({"run": 3}, "key 'run': found 3"),
    ],
)
def test_unknown_key_or_section_is_named(nested: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=r"^a file: .*Nothing was started\.$") as caught:
        parse_config(nested, "a file")
    assert problem in str(caught.value)


@pytest.mark.parametrize("key", ["epsilon", "privacy.", ".epsilon", "privacy.epsilon.more", ""])
def test_a_dotted_key_that_names_nothing_is_an_error(key: str) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        parse_flat({key: 1.0})


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"'clustering\.k'.*; .*'privacy\.delta'"):
        parse_flat({"clustering.k": 1, "privacy.delta": 0.0})


def test_results_go_where_the_run_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_flat({"run.name": "spring"}).out == tmp_path / "runs" / "spring"
    assert parse_flat({"run.out": "here"}).out == tmp_path / "here"
    assert parse_flat({"run.out": "/there"}).out == Path("/there")


def test_a_planned_run_is_read_from_a_scenario_or_from_a_run_config(tmp_path: Path) -> None:
    """A scenario has a world besides, which is not the server's affair."""
    config = parse_flat({"clustering.k": 12, "privacy.epsilon": 2.5, "run.name": "spring"})
    nested = {
        "run": {"name": "spring"},
        "clustering": {"k": 12},
        "privacy": {"epsilon": 2.5},
        "simulation": {"withheld-from": "2017-12-01T00:00:00Z"},
    }
    (tmp_path / "scenario.toml").write_text(tomli_w.dumps(nested))
    (tmp_path / "run-config.toml").write_text(tomli_w.dumps(config.flat()))
    assert read_run_config(tmp_path / "scenario.toml") == config
    assert read_run_config(tmp_path / "run-config.toml") == config


@pytest.mark.parametrize("content", ["clustering.k = 1", '"clustering.k" = 1'])
def test_a_planned_run_with_a_value_out_of_range_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.toml").write_text(content)
    with pytest.raises(ConfigError, match=r"key 'clustering\.k': found 1"):
        read_run_config(tmp_path / "run.toml")


def test_a_planned_run_that_cannot_be_read_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.toml cannot be read .*Nothing was checked"):
        read_run_config(tmp_path / "run.toml")
    (tmp_path / "run.toml").write_text("clustering.k = ")
    with pytest.raises(ConfigError, match=r"run\.toml is not valid TOML.*Nothing was checked"):
        read_run_config(tmp_path / "run.toml")


def test_declared_silos_are_read_per_region() -> None:
    config = parse_flat({"privacy.declared-silos": " north = 1200,south=90, "})
    assert config.privacy.silo_sizes == {"north": 1200.0, "south": 90.0}
    assert RunConfig().privacy.silo_sizes == {}


@pytest.mark.parametrize("wrong", ["north", "north=", "=3", "north=-3", "n=1,n=2", "n=0", "n=1.5"])
def test_declared_silos_that_say_no_number_are_named(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"declared-silos: .*REGION=NUMBER.*Nothing was started"):
        parse_flat({"privacy.declared-silos": wrong})


def test_lists_are_voted_on_beside_taste_only() -> None:
    with pytest.raises(ConfigError, match=r"recommendation.votes.*set taste = true too"):
        parse_flat({"recommendation.votes": True})
    asked = parse_flat({"recommendation.votes": True, "recommendation.taste": True})
    assert asked.recommendation.votes
    assert not parse_flat({"recommendation.taste": True}).recommendation.votes


def test_what_is_popular_lately_is_learned_beside_taste_only() -> None:
    with pytest.raises(ConfigError, match=r"set taste = true too"):
        parse_flat({"recommendation.lately": True})
    learned = parse_flat({"recommendation.lately": True, "recommendation.taste": True})
    assert learned.recommendation.lately


def test_an_experiment_is_named_with_its_arms() -> None:
    nested = {"recommendation": {"experiment": "lists", "arms": "plain, varied"}}
    asked = parse_config(nested, "test").recommendation.asked
    assert asked is not None
    question = asked.question()
    assert (question.experiment, question.arms) == ("lists", ["plain", "varied"])
    assert (question.window_days, question.dwell_cap) == (30.0, 120.0)
    assert RunConfig().recommendation.asked is None
    for arms in ("plain", "plain, plain", "plain,,varied", "plain, Varied"):
        wrong = {"recommendation": {"experiment": "lists", "arms": arms}}
        with pytest.raises(ConfigError, match=r"recommendation.experiment: .*Nothing was started"):
            parse_config(wrong, "test")
    with pytest.raises(ConfigError, match=r"no recommendation.experiment. Nothing was started"):
        parse_flat({"recommendation.arms": "plain, varied"})
