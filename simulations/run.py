"""Run a scenario in this process: the same apps and messages as ``flwr run``, without Ray.

scenario  ->  world (regions on disk)  ->  ServerApp and ClientApps  ->  report
"""

from __future__ import annotations

import resource
from pathlib import Path

import client.app
import server.app
from server.report import Report
from simulations.in_process_grid import InProcessGrid, run_in_process
from simulations.oracle import complete_report
from simulations.scenario import Scenario
from simulations.world import World, prepare


def simulate(scenario: Scenario, folder: Path) -> Report:
    """Run ``scenario`` and leave its results in ``folder``."""
    world = prepare(scenario, folder)
    run_world(world)
    return complete_report(world, peak_rss_mb())


def run_world(world: World) -> InProcessGrid:
    """Run the apps over prepared regions; return the grid, with everything that was sent."""
    node_configs = [{"agent-settings": str(path)} for path in world.settings_paths()]
    return run_in_process(server.app.app, client.app.app, node_configs, world.config.flat())


def peak_rss_mb() -> float:
    """Return this process's peak resident memory in megabytes (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
