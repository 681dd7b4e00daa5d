"""The same apps under ``flwr run``: Flower's own engine, a real SuperLink, a real bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from simulations.flower_engine import run_with_flower
from simulations.world import prepare
from tests.end_to_end.conftest import ONCE_TOO_OFTEN, Finished, sample


@pytest.mark.flower
def test_flwr_run_gives_the_same_centroids_and_leaves_no_process(
    finished: Finished, tmp_path: Path
) -> None:
    world = prepare(sample(ONCE_TOO_OFTEN), tmp_path)
    lines: list[str] = []
    peak = run_with_flower(world, lines.append)

    ours = np.load(finished.world.folder / "centroids.npz")
    theirs = np.load(tmp_path / "centroids.npz")
    np.testing.assert_allclose(theirs["centroids"], ours["centroids"], atol=1e-6)
    np.testing.assert_allclose(theirs["counts"], ours["counts"], atol=1e-3)
    assert (tmp_path / "report.json").exists()
    assert (tmp_path / "report.html").exists()
    assert any("once-too-often: 0 answered, 8 refused" in line for line in lines)
    assert peak > 100
    left = [
        process.info["name"]
        for process in psutil.process_iter(["name", "environ"])
        if (process.info["environ"] or {}).get("FEDINTEREST_SIMULATION") == str(tmp_path)
    ]
    assert left == []
