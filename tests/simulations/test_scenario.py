"""A scenario's keys are checked, and its world is not the server's affair."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from privacy.query import NoiseKind
from server.run_config import ConfigError
from simulations.scenario import SAMPLE, read_scenario


def test_the_samples_budgets_are_for_2017() -> None:
    simulation = read_scenario(SAMPLE).simulation
    assert simulation.window_start == datetime(2017, 1, 1, tzinfo=UTC)
    assert simulation.window_days == 365


def test_a_simulations_noise_is_seeded_unless_it_says_otherwise() -> None:
    assert read_scenario(SAMPLE).simulation.noise is NoiseKind.SEEDED
    for kind in NoiseKind:
        override = f"simulation.noise={kind}"
        assert read_scenario(SAMPLE, [override]).simulation.noise is kind


def test_the_server_is_told_nothing_of_the_world() -> None:
    told = read_scenario(SAMPLE).run_config().flat()
    assert not any(key.startswith("simulation") for key in told)


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("simulation.noise=loud", "key 'simulation.noise': found 'loud'"),
        ("simulation.noise-seed=-1", "key 'simulation.noise-seed': found -1"),
        ("simulation.window-days=0", "key 'simulation.window-days': found 0"),
        ("simulation.window-days=1.5", "key 'simulation.window-days': found 1.5"),
        ("simulation.window-days=36501", "key 'simulation.window-days': found 36501"),
        ("simulation.window-start=2017-01-01T00:00:00", "key 'simulation.window-start'"),
        ("privacy.window=2017", "unknown key 'privacy.window' (found 2017)"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key(override: str, problem: str) -> None:
    with pytest.raises(ConfigError, match="Nothing was started") as caught:
        read_scenario(SAMPLE, [override])
    assert problem in str(caught.value)


@pytest.mark.parametrize("override", ["noise=float", "simulation.noise", "=3", "simulation.=3"])
def test_an_override_that_names_nothing_is_an_error(override: str) -> None:
    with pytest.raises(ConfigError, match="not of the form"):
        read_scenario(SAMPLE, [override])


def test_a_missing_scenario_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        read_scenario(tmp_path / "none.toml")
