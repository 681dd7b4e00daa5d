from __future__ import annotations

from pathlib import Path

import pytest

from deployment.errors import HostError
from deployment.server.run_file import read_run
from deployment.server.settings import ServerSettings, read_server_settings
from server.run_config import ConfigError


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.toml").write_text('hosts = ["fed.example.org"]\n')
    return read_server_settings(tmp_path / "server")


def planned(folder: Path, text: str) -> Path:
    path = folder / "plans" / "weekly.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_server_adds_its_key_its_folder_and_the_number_of_regions(
    tmp_path: Path, settings: ServerSettings
) -> None:
    told = read_run(planned(tmp_path, '[run]\nname = "weekly"\n'), settings, 3)
    assert told.out == settings.folder / "runs" / "weekly"
    assert (told.run.signing_key, told.run.n_clients) == (str(settings.signing_key), 3)
    assert told.run.known_regions == str(settings.folder / "known-regions.json")


def test_runs_are_recorded_where_the_server_says(tmp_path: Path, settings: ServerSettings) -> None:
    told = read_run(planned(tmp_path, ""), settings, 3)
    assert told.run.store == str(settings.folder / "dashboard.sqlite")
    for given, expected in [
        ("", ""),
        ("runs/all.sqlite", str(settings.folder / "runs" / "all.sqlite")),
        ("postgresql://fed@db.example.org/runs", "postgresql://fed@db.example.org/runs"),
    ]:
        text = f'hosts = ["fed.example.org"]\nstore = "{given}"\n'
        (settings.folder / "server.toml").write_text(text)
        again = read_server_settings(settings.folder)
        assert read_run(planned(tmp_path, ""), again, 3).run.store == expected


def test_a_password_in_the_servers_settings_is_refused_and_not_repeated(
    settings: ServerSettings,
) -> None:
    text = 'hosts = ["a"]\nstore = "postgresql://fed:hunter2@db.example.org/runs"\n'
    (settings.folder / "server.toml").write_text(text)
    with pytest.raises(HostError, match="PGPASSFILE") as caught:
        read_server_settings(settings.folder)
    assert "hunter2" not in str(caught.value)


def test_paths_start_at_the_files_folder(tmp_path: Path, settings: ServerSettings) -> None:
    text = '[run]\nout = "mine"\nn-clients = 2\n[public]\ncatalogue = "c.npz"\n'
    told = read_run(planned(tmp_path, text), settings, 3)
    assert told.out == tmp_path / "plans" / "mine"
    assert told.public.catalogue == str(tmp_path / "plans" / "c.npz")
    assert told.run.n_clients == 2


def test_overrides_count(tmp_path: Path, settings: ServerSettings) -> None:
    told = read_run(planned(tmp_path, ""), settings, 3, ["clustering.k=9", "run.name=mine"])
    assert (told.clustering.k, told.run.name) == (9, "mine")


@pytest.mark.parametrize(
    ("text", "regions", "told"),
    [
        ("[run]\nsigning-key = 'mine.key'\n", 3, "names run.signing-key"),
        ("[run]\nknown-regions = ''\n", 3, "names run.known-regions"),
        ("[run]\nstore = 'mine.sqlite'\n", 3, "names run.store"),
        ("", 0, "No region is enrolled"),
        ("[run]\nleast-answers = 4\n", 3, "least-answers"),
        ("[run]\nround-second = 4\n", 3, "round-second"),
        ("[simulation]\nnoise = 'seeded'\n", 3, "simulation"),
        ("[run\n", 3, "not valid TOML"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_starts(
    tmp_path: Path, settings: ServerSettings, text: str, regions: int, told: str
) -> None:
    with pytest.raises((ConfigError, HostError), match=told) as caught:
        read_run(planned(tmp_path, text), settings, regions)
    assert "Nothing was started" in str(caught.value)
