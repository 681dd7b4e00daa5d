"""Become one supervised program: ``python -m deployment.hosting.launch NAME``, in its folder.

supervisord runs this instead of the program. What outlived the program's last start
(nginx' workers hold its port) is ended first. Command and environment come from a file
that only the owner reads: they are in no configuration that needs quoting, and secrets
in an environment are on no command line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from deployment.errors import DeploymentError
from deployment.hosting.leftovers import FOLDER_MARK, PROGRAM_MARK, end, keep_group, processes_of
from deployment.hosting.secret_files import read_secret
from deployment.hosting.standing_still import forget_reason
from deployment.hosting.supervisor_files import PROGRAMS_FILE

# What the operator's shell says to Flower or supervisord does not concern the program.
_NOT_INHERITED = ("FLWR_", "SUPERVISOR_")


def launch(folder: Path, name: str) -> None:
    """Replace this process by the program; does not return."""
    program = json.loads(read_secret(folder / PROGRAMS_FILE))[name]
    end(processes_of(folder, name))
    keep_group(folder, name)
    forget_reason(folder, name)
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)
    }
    marks = {FOLDER_MARK: str(folder.resolve()), PROGRAM_MARK: name}
    command = program["command"]
    os.execvpe(command[0], command, {**inherited, **program["environment"], **marks})  # noqa: S606


if __name__ == "__main__":
    try:
        launch(Path.cwd(), sys.argv[1])
    except (DeploymentError, OSError) as error:
        sys.exit(f"{sys.argv[1]} was not started: {error}")
