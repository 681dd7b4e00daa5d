from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.server import app
from deployment.errors import DeploymentError
from deployment.hosting.ports import free_ports
from deployment.server.certificates import now
from deployment.server.host import down, status, up
from deployment.server.init import make_server
from deployment.server.programs import server_programs
from deployment.server.settings import read_server_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    port, superlink_port, enrolment_port = free_ports(3)
    return make_server(
        tmp_path / "server",
        ["localhost"],
        listen="127.0.0.1",
        port=port,
        superlink_port=superlink_port,
        enrolment_port=enrolment_port,
    ).settings.folder


def test_a_certificate_that_is_over_starts_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployment.server.host.now", lambda: now() + timedelta(days=91))
    with pytest.raises(DeploymentError, match=r"ended 1\.0 days ago"):
        up(folder)
    assert not (folder / "supervision").exists()


def test_a_signing_key_that_others_can_read_starts_nothing(folder: Path) -> None:
    (folder / "signing.key").chmod(0o644)
    with pytest.raises(DeploymentError, match=r"signing\.key is open to others"):
        up(folder)
    assert not (folder / "supervision").exists()


def test_a_folder_that_others_enter_starts_nothing(folder: Path) -> None:
    folder.chmod(0o755)
    with pytest.raises(DeploymentError, match="open to others"):
        up(folder)
    assert not (folder / "supervision").exists()


@pytest.mark.parametrize("key", ["superlink-port", "port"])
def test_a_port_that_is_taken_starts_nothing(folder: Path, key: str) -> None:
    line = next(
        line for line in (folder / "server.toml").read_text().splitlines() if line.startswith(key)
    )
    port = int(line.split("=")[1].split("#")[0])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(DeploymentError, match=rf"listens at 127.0.0.1:{port} \({key} of"):
            up(folder)
    assert not (folder / "supervision").exists()


def test_a_server_that_does_not_run_says_so_and_ends_quietly(folder: Path) -> None:
    found = status(folder)
    assert found.programs == ()
    assert not found.is_well
    assert not down(folder)
    runner = CliRunner()
    shown = runner.invoke(app, ["status", str(folder)])
    assert shown.exit_code == 1
    assert "Nothing is supervised" in shown.output
    assert runner.invoke(app, ["down", str(folder)]).output == "Nothing ran.\n"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("", ["superlink", "enrolment", "heartbeats", "nginx"]),
        ('store = "postgresql://fed@db/runs"', ["superlink", "enrolment", "heartbeats", "nginx"]),
        ('store = ""', ["superlink", "enrolment", "nginx"]),
    ],
)
def test_a_server_that_records_nowhere_notes_no_heartbeats(
    folder: Path, line: str, names: list[str]
) -> None:
    with (folder / "server.toml").open("a") as file:
        file.write(line)
    assert [one.name for one in server_programs(read_server_settings(folder))] == names
