from __future__ import annotations

from pathlib import Path

import pytest

from deployment.errors import HostError
from deployment.server.settings import read_server_settings

GOOD = 'hosts = ["Fed.Example.org", "192.0.2.7", "2001:DB8::1"]\n'


def settings_of(folder: Path, text: str) -> Path:
    (folder / "server.toml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "key 'hosts' is missing"),
        ("hosts = []", "hosts must name at least one"),
        (
            'hosts = ["*.example.org"]',
            "key 'hosts.0': found '*.example.org', not a host name or an IP address",
        ),
        ('hosts = ["a b"]', "not a host name or an IP address"),
        ('hosts = ["a; return 200"]', "not a host name or an IP address"),
        ('hosts = ["a\\n"]', "not a host name or an IP address"),
        ('hosts = ["-a"]', "not a host name or an IP address"),
        ('hosts = ["300.1.1.1"]', "not a host name or an IP address"),
        ('hosts = ["a", "A"]', "none twice"),
        (GOOD + "port = 0", "key 'port': found 0"),
        (GOOD + "port = 65536", "key 'port': found 65536"),
        (GOOD + 'port = "8443"', "key 'port': found '8443'"),
        (GOOD + "port = 9443", "must differ"),
        (GOOD + 'listen = "example.org"', "key 'listen'"),
        (GOOD + "superlink_port = 1", "unknown key 'superlink_port'"),
        (GOOD + "largest-body-mb = 0", "key 'largest-body-mb'"),
        (GOOD + "heartbeat-seconds = 0", "key 'heartbeat-seconds': found 0"),
        (GOOD + "heartbeat-seconds = 61", "key 'heartbeat-seconds': found 61"),
        (GOOD + 'folder = "/"', "unknown key 'folder'"),
        ("hosts = [", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_starts(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(HostError) as caught:
        read_server_settings(settings_of(tmp_path, text))
    assert told in str(caught.value)
    assert "Nothing was started" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"server.toml cannot be read"):
        read_server_settings(tmp_path)


def test_paths_start_at_the_folder_unless_they_are_absolute(tmp_path: Path) -> None:
    settings = read_server_settings(
        settings_of(tmp_path, GOOD + 'database = "/elsewhere/db"\nsigning-key = "keys/one"')
    )
    assert settings.database == Path("/elsewhere/db")
    assert settings.signing_key == tmp_path / "keys" / "one"
    assert settings.ca_certificate == tmp_path / "certificates" / "ca.crt"
    assert settings.hosts == ("fed.example.org", "192.0.2.7", "2001:db8::1")
    assert settings.control == "127.0.0.1:9443"
