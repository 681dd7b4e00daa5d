"""The unit that systemd gets: right paths, nothing more than is needed, and systemd takes it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from commands.agent import app as agent_app
from commands.server import app as server_app
from deployment.agent.host import agent_supervisor
from deployment.agent.settings import read_agent
from deployment.errors import HostError
from deployment.hosting import systemd
from deployment.hosting.systemd import Service, unit_name, write_unit
from deployment.server.init import make_server
from tests.deployment.agent.world import ROOT, write_region

USER = "daemon"
"""There is one everywhere, and it is not root."""


def a_unit(folder: Path, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "what": "a test",
        "verb": "agent unit",
        "name": "test",
        "arguments": ("agent", "up", "--foreground"),
        "folder": folder,
        "patience": 149.0,
        "user": USER,
    }
    return write_unit(Service(**(fields | changes)))


def value(unit: str, key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)
    return str(found)


def test_agents_unit_has_its_paths_and_more_time_than_its_supervisor(tmp_path: Path) -> None:
    folder, other = tmp_path / "north", tmp_path / "other-disk"
    other.mkdir()
    write_region(folder, witness=str(other / "north.witness"), deployment={})
    settings = folder / "agent.toml"
    told = CliRunner().invoke(agent_app, ["unit", "--settings", str(settings), "--user", USER])
    assert told.exit_code == 0, told.output
    unit = told.output
    assert value(unit, "ReadWritePaths") == f'"{folder}" "{other}"'
    assert value(unit, "WorkingDirectory") == str(folder)
    assert value(unit, "User") == USER
    command = value(unit, "ExecStart")
    assert command.endswith(f'"agent" "up" "--foreground" "--settings" "{settings}"')
    patience = agent_supervisor(read_agent(settings)).patience
    assert int(value(unit, "TimeoutStopSec")) > patience


@pytest.mark.parametrize(("port", "capabilities"), [(8443, ""), (443, "CAP_NET_BIND_SERVICE")])
def test_servers_unit_has_the_one_capability_of_a_low_port_if_any(
    tmp_path: Path, port: int, capabilities: str
) -> None:
    make_server(tmp_path / "server", ["fed.example.org"], port=port)
    told = CliRunner().invoke(server_app, ["unit", str(tmp_path / "server"), "--user", USER])
    assert told.exit_code == 0, told.output
    assert value(told.output, "CapabilityBoundingSet") == capabilities
    assert value(told.output, "AmbientCapabilities") == capabilities
    assert value(told.output, "ReadWritePaths") == f'"{tmp_path / "server"}"'


def test_nothing_of_it_runs_as_root(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="not to run as root"):
        a_unit(tmp_path, user="root")
    with pytest.raises(HostError, match="no user"):
        a_unit(tmp_path, user="nobody-of-that-name")


def test_path_cannot_say_anything_to_systemd(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" %h $HOME \\ c'
    folder.mkdir()
    unit = a_unit(folder, arguments=("agent", str(folder)))
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    assert value(unit, "ReadWritePaths") == f'"{quoted}"'
    assert value(unit, "ExecStart").endswith(f'"{quoted}"'.replace("$", "$$"))
    for unfit in ("a\nUser=root", "a\x00"):
        with pytest.raises(HostError, match="no unit can hold"):
            a_unit(tmp_path, what=unfit)


def test_homes_are_hidden_unless_something_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "HOMES", (tmp_path / "home",))
    (tmp_path / "home").mkdir()
    assert value(a_unit(tmp_path), "ProtectHome") == "yes"
    events = tmp_path / "home" / "events.csv"
    assert value(a_unit(tmp_path, read=[events]), "ProtectHome") == "read-only"
    assert value(a_unit(tmp_path / "home"), "ProtectHome") == "read-only"


def test_places_that_are_not_there_yet_are_not_bound(tmp_path: Path) -> None:
    folder = tmp_path / "north"
    folder.mkdir()
    unit = a_unit(folder, written=[folder / "cache", tmp_path / "disk" / "maps"])
    assert value(unit, "ReadWritePaths") == f'"{tmp_path}"'
    with pytest.raises(HostError, match="is there"):
        a_unit(folder, written=[Path("/nowhere-at-all/maps")])


def test_graphics_card_stays_where_there_is_one(tmp_path: Path) -> None:
    assert "\nPrivateDevices=yes\n" in a_unit(tmp_path)
    assert "PrivateDevices=yes" not in a_unit(tmp_path, has_graphics_card=True)


def test_regions_names_become_names_of_units() -> None:
    assert unit_name("fedinterest-agent-Nord/West 1") == "fedinterest-agent-Nord-West-1"
    assert unit_name("…") == "fedinterest"


def test_templates_are_in_the_wheel() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    for template in (ROOT / "deployment").rglob("*.jinja"):
        package = ".".join(template.parent.relative_to(ROOT).parts)
        assert template.name in told["package-data"][package], template
    for folder in {path.parent for path in (ROOT / "deployment").rglob("*.py")}:
        assert ".".join(folder.relative_to(ROOT).parts) in told["packages"], folder


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("more", [{}, {"has_low_port": True}])
def test_systemd_takes_the_unit_and_calls_it_hardened(
    tmp_path: Path, more: dict[str, bool]
) -> None:
    folder = tmp_path / "a folder; #1 100%"
    folder.mkdir()
    path = tmp_path / "fedinterest-test.service"
    path.write_text(a_unit(folder, environment={"A": "b c"}, **more))

    def analyze(*arguments: str) -> str:
        told = subprocess.run(
            [str(shutil.which("systemd-analyze")), *arguments, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        assert told.stderr == ""
        return told.stdout

    analyze("verify")
    exposure = re.search(r"exposure level .*: ([0-9.]+) ", analyze("security", "--offline=true"))
    assert exposure is not None
    assert float(exposure[1]) <= 2.0
