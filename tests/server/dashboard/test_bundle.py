"""The bundle that regions approve carries no dashboard, and all that a run needs."""

from __future__ import annotations

import io
import tomllib
import zipfile
from pathlib import Path

from flwr.cli.build import build_fab_from_disk

PROJECT = Path(__file__).parents[3]


def test_bundle_carries_the_server_without_the_dashboard() -> None:
    with zipfile.ZipFile(io.BytesIO(build_fab_from_disk(PROJECT))) as bundle:
        names = bundle.namelist()
    assert not [name for name in names if "dashboard" in name]
    expected = {
        path.relative_to(PROJECT).as_posix()
        for package in ("privacy", "strategies", "client", "server")
        for path in (PROJECT / package).rglob("*.py")
        if "dashboard" not in path.parts
    }
    assert expected <= set(names)
    assert {name for name in names if name.endswith(".py")} == expected


def test_nothing_that_a_run_needs_imports_the_dashboard() -> None:
    for package in ("privacy", "strategies", "client", "server"):
        for path in (PROJECT / package).rglob("*.py"):
            if "dashboard" not in path.parts:
                assert "server.dashboard" not in path.read_text(encoding="utf-8"), path


def test_installation_carries_every_file_of_the_dashboard() -> None:
    content = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = content["tool"]["setuptools"]["package-data"]["server.dashboard"]
    home = PROJECT / "server" / "dashboard"
    carried = {path for pattern in patterns for path in home.glob(pattern)}
    others = {
        path for path in home.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert others
    assert others == carried
    assert "server.dashboard" in content["tool"]["setuptools"]["packages"]
