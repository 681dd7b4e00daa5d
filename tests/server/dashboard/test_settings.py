"""A dashboard that strangers could look into is not started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.dashboard.errors import DashboardError
from server.dashboard.settings import Settings, read_settings, refuse_unsafe

TLS: dict[str, Any] = {"certificate": Path("a.crt"), "key": Path("a.key")}
PROXY: dict[str, Any] = {"trusted_proxies": ["10.0.0.1"], "allowed_hosts": ["fed.example.org"]}
REFUSED = {
    "no TLS beyond loopback": ({"host": "192.0.2.1"}, 1, "without TLS"),
    "no user beyond loopback": ({"host": "192.0.2.1", **TLS}, 0, "no user"),
    "no name at every address": ({"host": "0.0.0.0", **TLS}, 1, "allowed-hosts"),  # noqa: S104
    "no name behind a proxy": ({"trusted_proxies": ["10.0.0.1"]}, 1, "allowed-hosts"),
    "no user behind a proxy on loopback": (PROXY, 0, "no user"),
    "no user where all log in": ({"login": "always"}, 0, "no user"),
    "names without login": ({"allowed_hosts": ["fed.example.org"]}, 0, "nobody logs in"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_unsafe_settings_are_refused_in_words(case: str) -> None:
    values, n_users, words = REFUSED[case]
    with pytest.raises(DashboardError, match=words) as caught:
        refuse_unsafe(Settings(**values), n_users)
    assert "Nothing was started" in str(caught.value)


def test_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "a.key"
    key.write_text("secret words")
    settings = Settings(certificate=tmp_path / "a.crt", key=key)
    key.chmod(0o640)
    with pytest.raises(DashboardError, match="open to others") as caught:
        refuse_unsafe(settings, 1)
    assert "secret words" not in str(caught.value)
    key.chmod(0o600)
    refuse_unsafe(settings, 1)


def test_loopback_needs_nothing() -> None:
    refuse_unsafe(Settings(), 0)
    assert not Settings().needs_login
    assert Settings(host="::1").is_local
    assert not Settings(**PROXY).is_local


def test_only_own_names_pass_on_loopback() -> None:
    assert Settings().accepted_hosts == {"localhost", "127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("porto = 1", "unknown key 'porto'"),
        ("port = 0", "'port'"),
        ('certificate = "a"', "go together"),
        ('trusted-proxies = ["everybody"]', "trusted-proxies"),
        ('allowed-hosts = ["*"]', "allowed-hosts"),
        ("port", "not valid TOML"),
    ],
    ids=["unknown key", "no port", "half of TLS", "no address", "any name", "no TOML"],
)
def test_wrong_settings_name_the_key(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "dashboard.toml"
    path.write_text(content)
    with pytest.raises(DashboardError, match=words):
        read_settings(path)


def test_options_go_before_the_file_and_paths_start_at_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.toml"
    path.write_text('port = 9000\nhost = "::1"\ndata = "people"\nstore = "runs.sqlite"\n')
    settings = read_settings(path, port=9001, host=None)
    assert (settings.port, settings.host) == (9001, "::1")
    assert settings.data == tmp_path / "people"
    assert settings.store == str(tmp_path / "runs.sqlite")
    assert settings.address == "http://[::1]:9001"


def test_url_of_a_store_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "dashboard.toml"
    path.write_text('store = "postgresql://db/runs"\n')
    assert read_settings(path).store == "postgresql://db/runs"
