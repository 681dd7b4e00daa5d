from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from deployment.errors import SupervisionError
from deployment.hosting.secret_files import private_folder
from deployment.hosting.supervision import Supervisor
from deployment.hosting.supervisor_files import Program, write_files


def program(name: str, *command: str) -> Program:
    return Program(name=name, command=command, environment={"SECRET": "a 'b\" %(c)s ; #d"})


@pytest.mark.parametrize("name", ["", "Upper", "two words", "a]\nb", "../a", "a" * 33])
def test_a_name_that_could_break_the_configuration_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SupervisionError, match="Nothing was started"):
        Supervisor(tmp_path, [program(name, "true")])


@pytest.mark.parametrize("programs", [[], [program("a", "true")] * 2, [program("a")]])
def test_programs_that_cannot_be_told_apart_or_run_are_refused(
    tmp_path: Path, programs: list[Program]
) -> None:
    with pytest.raises(SupervisionError, match="Nothing was started"):
        Supervisor(tmp_path, programs)


def test_secrets_are_in_no_configuration_and_no_file_is_open_to_others(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "host")
    write_files(folder, [program("agent", "cat", "a b")])
    assert "%(c)s" not in (folder / "supervisord.conf").read_text()
    kept = json.loads((folder / "programs.json").read_text())["agent"]
    assert kept["command"] == ["cat", "a b"]
    assert kept["environment"] == {"SECRET": "a 'b\" %(c)s ; #d"}
    for file in folder.iterdir():
        assert not stat.S_IMODE(file.stat().st_mode) & 0o077


def test_restarts_go_on_far_longer_than_flower_refuses_them(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "host")
    write_files(folder, [program("agent", "true")])
    lines = (folder / "supervisord.conf").read_text().splitlines()
    retries = next(int(line.split("=")[1]) for line in lines if line.startswith("startretries"))
    # The pause before the n-th restart is n seconds.
    assert retries * (retries + 1) / 2 > 365 * 86400
