"""How many nodes the SuperLink knows, and how many are connected."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from flwr.proto.control_pb2 import ListNodesRequest
from flwr.supercore.control import ControlHttpClient

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
        client = ControlHttpClient.from_server_address(
            settings.control,
            insecure=False,
            root_certificates=settings.ca_certificate.read_bytes(),
            interceptors=[],
        )
        try:
            found = client.ListNodes(ListNodesRequest()).nodes_info
        finally:
            client.close()
    except (httpx.HTTPError, OSError, ValueError):
        return None
    known = [node.status for node in found if node.status != "unregistered"]
    return Nodes(online=known.count("online"), registered=len(known))
