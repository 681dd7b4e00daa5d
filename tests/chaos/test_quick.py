"""One run that two kills strike: it goes on, and no charge is lost or doubled.

The long part is ``make chaos``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment.hosting.leftovers import end, processes_of
from deployment.hosting.ports import is_listening
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.faults import strike
from tests.chaos.invariants import check_run
from tests.chaos.plan import PHASES, Kind, Trial
from tests.chaos.running import Run

pytestmark = [
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists(),
        reason="nginx is not installed",
    ),
]
KILLS = ((2, Kind.EXECUTOR_KILLED), (6, Kind.NGINX_KILLED))
SECONDS = 600.0


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    folder = Path(tempfile.mkdtemp(prefix="chaos."))  # sockets' paths have to be short
    places: list[Path] = []
    try:
        with deployed(folder, own_disks=False) as made:
            places = made.supervised()
            made.up()
            yield made
    finally:
        left = [process for place in places for process in processes_of(place)]
        assert end(left) == []
        shutil.rmtree(folder)
        assert left == []


def test_a_run_that_is_struck_twice_ends_as_if_nothing_had_been(
    deployment: Deployment,
) -> None:
    run = Run(deployment, deployment.server.folder / "out")
    run.out.mkdir()
    run.start()
    for phase, kind in KILLS:
        assert run.follow(lambda at=phase: run.phase() >= at or run.is_done, SECONDS)  # type: ignore[misc]
        strike(Trial(number=1, kind=kind, region="north", phase=phase, delay=0), deployment, run)
    assert run.follow(lambda: run.is_done, SECONDS), run.failures
    assert len(run.starts) == 1

    found = check_run(deployment, run, is_done=True)
    assert found.faults == []
    assert found.checks["no charge lost"] == PHASES
    assert found.checks["ledgers audit clean"] == len(deployment.regions)
    if found.unused:  # the executor was killed between charge and answer
        assert found.unused == 1
    else:
        assert found.repeated
    deployment.down()
    assert not is_listening(deployment.server.port)
