from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from deployment.errors import HostError
from deployment.server.nginx import (
    FLEET_ROUTES,
    nginx_command,
    nginx_configuration,
    write_nginx_configuration,
)
from deployment.server.settings import ServerSettings


def settings_in(folder: Path, **values: object) -> ServerSettings:
    return ServerSettings.model_validate(
        {"hosts": ["localhost"], "folder": folder, **values}
    ).model_copy(update={"certificates": folder / "certificates"})


@pytest.mark.parametrize("name", ['quote"', "dollar$host", "back\\slash", "line\nbreak"])
def test_a_path_that_means_something_to_nginx_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HostError, match="nginx cannot take"):
        nginx_configuration(settings_in(tmp_path / name))


def test_nginx_says_itself_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"nginx refuses its configuration.*server.crt"):
        write_nginx_configuration(settings_in(tmp_path))  # no certificates are there


def test_a_missing_nginx_is_told_with_the_key_to_set(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"no-such-nginx cannot be run .*key 'nginx'"):
        write_nginx_configuration(settings_in(tmp_path, nginx="no-such-nginx"))


def test_nginx_is_found_where_packages_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert nginx_command(settings_in(tmp_path))[0].endswith("/sbin/nginx")


def test_only_what_a_running_node_calls_is_named(tmp_path: Path) -> None:
    text = nginx_configuration(settings_in(tmp_path))
    lines = re.findall(r'"~\^(.*)" 1;', text)
    routes = "|".join(FLEET_ROUTES)
    assert lines == [rf"POST /v1/fleet/(?:{routes}) HTTP/1\.1\z", r"POST /v1/enrol HTTP/1\.1\z"]
    assert "register-node" not in text
    assert text.count("proxy_pass") == 2


def test_addresses_of_either_kind_are_written_as_nginx_wants_them(tmp_path: Path) -> None:
    text = nginx_configuration(
        settings_in(tmp_path, hosts=["a.example.org", "2001:db8::1"], listen="::", port=443)
    )
    assert "listen [::]:443 ssl;" in text
    assert "server_name a.example.org [2001:db8::1];" in text


def test_the_configuration_is_private(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="refuses"):
        write_nginx_configuration(settings_in(tmp_path))
    written = tmp_path / "nginx" / "nginx.conf"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
