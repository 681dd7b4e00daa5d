"""A SuperLink that lies when told to: it gives out another bundle under the hash of the run's.

``python -m tests.deployment.agent.lying_superlink LIE <flower-superlink's options>``. While the
file LIE exists, its content goes out as every bundle's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from flwr.superlink.cli.flower_superlink import flower_superlink
from flwr.superlink.servicer.fleet import fleet_handlers


def main() -> None:
    lie = Path(sys.argv.pop(1))
    honest: Any = fleet_handlers.get_fab

    def get_fab(**arguments: Any) -> Any:
        response = honest(**arguments)
        if lie.exists():
            response.fab.content = lie.read_bytes()
        return response

    setattr(fleet_handlers, "get_fab", get_fab)  # noqa: B010
    sys.argv[0] = "flower-superlink"
    flower_superlink()


if __name__ == "__main__":
    main()
