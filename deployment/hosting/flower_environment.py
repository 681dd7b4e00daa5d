"""The environment of every Flower process: nothing phones home, nothing is installed.

A process that ``hosting.supervision`` runs inherits no variable of Flower's from the
operator's shell, some of which open ports; it gets these.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

QUIET_FLOWER = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    # The older interfaces listen on all addresses once these are 1.
    "FLWR_INTERNAL_GRPC_CONTROL_API": "0",
    "FLWR_INTERNAL_GRPC_FLEET_API": "0",
}
"""A Flower process speaks with whom it is told to and nobody else, and installs nothing."""


def flower_environment(home: Path) -> dict[str, str]:
    """Return the variables that a Flower process gets.

    Parameters
    ----------
    home : Path
        Flower's private folder (``FLWR_HOME``), one for each process that must not
        share another's files.
    """
    return {
        "FLWR_HOME": str(home.resolve()),
        **QUIET_FLOWER,
        # Flower starts its own commands by name: they have to be this environment's.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }


def flower_command(name: str) -> str:
    """Return the path of one of Flower's commands in this environment."""
    return str(Path(sys.executable).parent / name)
