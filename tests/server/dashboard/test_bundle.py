"""The bundle that regions approve carries no dashboard, and all that a run needs."""

from __future__ import annotations

import io
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
