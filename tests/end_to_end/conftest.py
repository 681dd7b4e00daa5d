"""One whole run of the sample in this process, shared by the tests that look at it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.report import Report
from simulations.in_process_grid import InProcessGrid
from simulations.oracle import complete_report
from simulations.run import peak_rss_mb, run_world
from simulations.scenario import SAMPLE, Scenario, read_scenario
from simulations.world import World, prepare

ONCE_TOO_OFTEN = "run.ask-once-too-often=true"


@dataclass(frozen=True)
class Finished:
    """A finished run and everything that went over its wire."""

    world: World
    grid: InProcessGrid
    report: Report
    seconds: float


def sample(*overrides: str) -> Scenario:
    return read_scenario(SAMPLE, overrides)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The sample with one question too many, run in process, from preparation to report."""
    folder = tmp_path_factory.mktemp("sample")
    started = time.monotonic()
    world = prepare(sample(ONCE_TOO_OFTEN), folder)
    grid = run_world(world)
    report = complete_report(world, peak_rss_mb())
    return Finished(world, grid, report, time.monotonic() - started)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
