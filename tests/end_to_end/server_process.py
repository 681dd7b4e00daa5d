"""A server and its regions in a process that is killed with -9, then in another that goes on.

python -m tests.end_to_end.server_process FOLDER PHASES: run the prepared world in FOLDER, die as
soon as so many phases are done, and run it again.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tomllib
from pathlib import Path

import client.app
import client.region
import server.app
import server.checkpoint
import server.results
import server.resuming
from server.checkpoint import Checkpoint
from simulations.in_process_grid import run_in_process
from simulations.world import MARKER
from tests.client.examples import FakeEncoder


def die_after(phases: int) -> None:
    """Let this process end as by ``kill -9``: nothing is tidied up, no ``finally`` runs."""
    write = server.checkpoint.write_checkpoint

    def write_and_die(path: Path, checkpoint: Checkpoint) -> None:
        write(path, checkpoint)
        if checkpoint.state.done == phases:
            os.kill(os.getpid(), signal.SIGKILL)

    server.resuming.write_checkpoint = write_and_die  # type: ignore[attr-defined]


def main(folder: Path) -> None:
    # The accountant that takes seconds has no part in this.
    server.results.pld_epsilon = lambda events, **rules: 0.0  # type: ignore[attr-defined]
    client.region.Encoder = FakeEncoder  # type: ignore[assignment, attr-defined]
    settings = sorted((folder / "regions").glob("*/agent.toml"))
    config = tomllib.loads((folder / MARKER).read_text(encoding="utf-8"))
    run_in_process(
        server.app.app,
        client.app.app,
        [{"agent-settings": str(path)} for path in settings],
        config,
    )


def killed(folder: Path, phases: int) -> None:
    """Run the world in a process of its own, which dies; what it left is kept for the test."""
    child = os.fork()  # it knows all modules already, and nothing of a run
    if child == 0:
        die_after(phases)
        main(folder)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise SystemExit(f"The first process ended with {status}, and was not killed.")
    shutil.copytree(folder, folder.with_name("killed"))


if __name__ == "__main__":
    killed(Path(sys.argv[1]), int(sys.argv[2]))
    main(Path(sys.argv[1]))
