from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands.server import app
from deployment.errors import HostError
from deployment.server import init
from deployment.server.certificates import make_certificates
from deployment.server.init import make_server, renew
from privacy.signing import SigningKey


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    with pytest.raises(HostError, match="not empty"):
        make_server(folder, ["localhost"])
    assert [file.name for file in folder.iterdir()] == ["notes"]


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    make_server(folder, ["localhost"])
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(HostError, match="Nothing was changed"):
        make_server(folder, ["localhost"])
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_wrong_values_make_no_server(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"No server was made: key 'hosts.0'.*not a host name"):
        make_server(tmp_path / "server", ["a b"])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_init_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(init, "write_once", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_server(tmp_path / "server", ["localhost"])
    assert list(tmp_path.iterdir()) == []


def test_what_is_put_into_the_folder_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "server"

    def meanwhile(*given: object) -> None:
        make_certificates(*given)  # type: ignore[arg-type]
        folder.mkdir()
        (folder / "notes").write_text("mine")

    monkeypatch.setattr(init, "make_certificates", meanwhile)
    with pytest.raises(HostError, match="something was put into it meanwhile"):
        make_server(folder, ["localhost"])
    assert [file.name for file in tmp_path.iterdir()] == ["server"]
    assert [file.name for file in folder.iterdir()] == ["notes"]


def test_a_new_server_keeps_its_secrets_to_itself(tmp_path: Path) -> None:
    made = make_server(tmp_path / "server", ["fed.example.org"], port=443)
    settings = made.settings
    assert settings.port == 443
    assert made.public_key == SigningKey.load(settings.signing_key).public
    open_to_others = {
        file.name
        for file in settings.folder.rglob("*")
        if stat.S_IMODE(file.stat().st_mode) & 0o077
    }
    assert open_to_others == {"ca.crt", "server.crt", "superlink.crt"}


def test_a_renewal_is_for_the_hosts_that_the_settings_name_now(tmp_path: Path) -> None:
    folder = make_server(tmp_path / "server", ["old.example.org"]).settings.folder
    text = (folder / "server.toml").read_text()
    (folder / "server.toml").write_text(text.replace("old.example.org", "new.example.org"))
    assert renew(folder).hosts == ("new.example.org",)


def test_the_command_wants_a_host_and_tells_what_regions_need(tmp_path: Path) -> None:
    runner = CliRunner()
    folder = str(tmp_path / "server")
    assert runner.invoke(app, ["init", folder]).exit_code == 2
    done = runner.invoke(app, ["init", folder, "--host", "fed.example.org"])
    assert done.exit_code == 0
    assert "ca.crt" in done.output
    renewed = runner.invoke(app, ["init", folder, "--renew-certificate"])
    assert "The certificate lasts 90.0 days more." in renewed.output
    assert "running server" not in renewed.output
    clash = runner.invoke(app, ["init", folder, "--renew-certificate", "--host", "x"])
    assert clash.exit_code == 2
