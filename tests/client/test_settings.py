"""An agent's settings: complete, in range, and relative to their own file, or nothing starts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from client.errors import SettingsError
from client.settings import DEFAULT_ENCODER, read_settings
from privacy.query import NoiseKind
from tests.client.examples import write_settings

PATHS = (
    "events",
    "catalogue",
    "policy",
    "ledger",
    "signing_key",
    "witness",
    "cluster_map",
    "rejected_events",
    "cache",
)


def test_relative_paths_start_at_the_settings_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    write_settings(
        folder,
        events="data/events.csv",
        ledger="/var/ledger.sqlite",
        signing_key="agent.key",
        witness="../far/witness.jsonl",
    )
    monkeypatch.chdir(tmp_path)
    settings = read_settings(Path("agent/agent.toml"))
    assert settings.events == folder / "data" / "events.csv"
    assert settings.ledger == Path("/var/ledger.sqlite")
    assert settings.signing_key == folder / "agent.key"
    assert settings.witness == folder / ".." / "far" / "witness.jsonl"
    assert all(getattr(settings, name).is_absolute() for name in PATHS)


def test_a_relative_model_folder_starts_at_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    settings = read_settings(write_settings(tmp_path, encoder="model"))
    assert Path(settings.encoder) == tmp_path / "model"


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    settings = read_settings(write_settings(tmp_path, as_of=None, noise=None, simulation=None))
    assert (settings.encoder, settings.pooling) == (DEFAULT_ENCODER, "mean")
    assert settings.half_life_days == 90.0
    assert (settings.signing_key, settings.witness) == (None, None)
    assert (settings.noise, settings.noise_seed) == (NoiseKind.DISCRETE, None)
    assert settings.simulation is None
    assert abs(settings.moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_as_of_is_the_moment_of_the_profiles(tmp_path: Path) -> None:
    moment = datetime(2017, 12, 1, tzinfo=UTC)
    assert read_settings(write_settings(tmp_path, as_of=moment)).moment == moment


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("colour", "red", "unknown key 'colour' (found 'red')"),
        ("half_life", 9, "unknown key 'half-life' (found 9)"),
        ("events", None, "key 'events' is missing"),
        ("region", None, "key 'region' is missing"),
        ("region", "", "key 'region': found ''"),
        ("events", 7, "key 'events': found 7"),
        ("half_life_days", 0.0, "key 'half-life-days': found 0.0, input should be greater than 0"),
        ("half_life_days", -1.0, "key 'half-life-days': found -1.0"),
        ("half_life_days", 36501.0, "key 'half-life-days': found 36501.0"),
        ("half_life_days", float("nan"), "key 'half-life-days': found nan"),
        ("half_life_days", float("inf"), "key 'half-life-days': found inf"),
        ("pooling", "max", "key 'pooling': found 'max', input should be 'mean' or 'cls'"),
        ("noise", "loud", "key 'noise': found 'loud'"),
        ("noise", None, "noise of kind seeded, and no other, needs a simulation"),
        ("witness", 7, "key 'witness': found 7"),
        ("simulation", {"noise-seed": 1.5}, "key 'simulation.noise-seed': found 1.5"),
        ("simulation", {"noise-seed": -1}, "key 'simulation.noise-seed': found -1"),
        ("simulation", {"noise-seed": 1, "x": 2}, "unknown key 'simulation.x' (found 2)"),
        ("as_of", datetime(2017, 12, 1), "key 'as-of': found datetime"),  # noqa: DTZ001, RUF100
        ("as_of", date(2017, 12, 1), "key 'as-of': found datetime"),
        ("as_of", "2017-12-01T00:00:00", "key 'as-of': found '2017-12-01T00:00:00'"),
    ],
)
def test_unusable_settings_are_an_error_that_names_key_and_value(
    tmp_path: Path, key: str, value: object, problem: str
) -> None:
    path = write_settings(tmp_path, **{key: value})
    with pytest.raises(SettingsError, match="Nothing was started") as caught:
        read_settings(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("noise", "simulation", "seed"),
    [
        ("seeded", {"noise-seed": 0}, 0),
        ("discrete", {}, None),
        ("discrete", None, None),
        ("float", {}, None),
        ("float", None, None),
    ],
)
def test_seeded_noise_comes_with_a_seed_and_other_noise_without(
    tmp_path: Path, noise: str, simulation: dict[str, int] | None, seed: int | None
) -> None:
    settings = read_settings(write_settings(tmp_path, noise=noise, simulation=simulation))
    assert (settings.noise, settings.noise_seed) == (NoiseKind(noise), seed)


@pytest.mark.parametrize(
    ("noise", "simulation"),
    [
        ("seeded", None),
        ("seeded", {}),
        ("discrete", {"noise-seed": 1}),
        ("float", {"noise-seed": 1}),
        (None, {"noise-seed": 1}),
    ],
)
def test_seeded_noise_without_a_seed_or_a_seed_for_other_noise_starts_nothing(
    tmp_path: Path, noise: str | None, simulation: dict[str, int] | None
) -> None:
    path = write_settings(tmp_path, noise=noise, simulation=simulation)
    with pytest.raises(SettingsError, match=r"noise of kind seeded, and no other.*Nothing was"):
        read_settings(path)


def test_keys_have_hyphens_only(tmp_path: Path) -> None:
    path = write_settings(tmp_path)
    path.write_text(path.read_text().replace("cluster-map", "cluster_map"))
    with pytest.raises(SettingsError, match="unknown key 'cluster_map'"):
        read_settings(path)


def test_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read .*Nothing was started"):
        read_settings(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("content", [b"region = ", b"\xff\xfe region"], ids=["cut off", "no text"])
def test_what_is_not_toml_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"agent\.toml"):
        read_settings(path)
