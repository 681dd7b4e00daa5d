"""How many nodes the SuperLink knows, and how many are connected."""

from __future__ import annotations

from dataclasses import dataclass

from flwr.proto.control_pb2 import ListNodesRequest

from deployment.errors import HostError
from deployment.server.control import control_api
from deployment.server.settings import ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Nodes at one moment.

    Attributes
    ----------
    online : int
        Those whose heartbeat came in time.
    registered : int
        All that may connect.
    """

    online: int
    registered: int


def count_nodes(settings: ServerSettings) -> Nodes | None:
    """Ask the SuperLink; None if it does not tell."""
    try:
        with control_api(settings, "Nothing is known of nodes") as control:
            found = control.ListNodes(ListNodesRequest()).nodes_info
    except HostError:
        return None
    known = [node.status for node in found if node.status != "unregistered"]
    return Nodes(online=known.count("online"), registered=len(known))
