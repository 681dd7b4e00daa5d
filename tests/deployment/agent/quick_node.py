"""The node, for which Flower waits 30 s after a kill instead of a minute.

``python -m tests.deployment.agent.quick_node AGENT_TOML``. The rest is what regions run.
"""

from __future__ import annotations

import sys
from importlib import import_module

from deployment.agent.supernode import main

HEARTBEAT_SECONDS = 15
"""After twice as long without one a SuperLink takes a node for gone; Flower's own are 30."""

if __name__ == "__main__":
    for module in ("flwr.supernode.fleet_http_connection", "flwr.supercore.heartbeat"):
        setattr(import_module(module), "HEARTBEAT_DEFAULT_INTERVAL", HEARTBEAT_SECONDS)  # noqa: B010
    main(sys.argv[1:])
