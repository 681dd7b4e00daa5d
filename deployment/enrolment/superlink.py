"""The SuperLink's side of an approval: register a node's key, unregister a node.

Over Flower's Control API, which asks nobody who he is: it has to be reachable from this machine
alone. What is leant on is compared before the first call.
"""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx
from flwr.common.constant import HEARTBEAT_MAX_INTERVAL as MAX_INTERVAL
from flwr.common.constant import HEARTBEAT_PATIENCE
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, UnregisterNodeRequest
from flwr.proto.node_pb2 import NodeInfo
from flwr.server.superlink.linkstate.sql_linkstate import SqlLinkState
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.superlink.routers.fleet.node_auth import authenticate_node

from deployment.enrolment.errors import SuperlinkError
from deployment.enrolment.keys import read_point

FLOWER = "1.41."
_UNREGISTERED = "unregistered"
_FRAGMENTS = (
    (ControlHttpClient.RegisterNode, "/v1/control/register-node"),
    (ControlHttpClient.UnregisterNode, "/v1/control/unregister-node"),
    (ControlHttpClient.ListNodes, "/v1/control/list-nodes"),
    # A node that was unregistered, or never registered, is not let in; its key is never new again.
    (authenticate_node, "get_node_id_by_public_key(public_key) != node_id"),
    (SqlLinkState.get_node_id_by_public_key, "NodeModel.status != NodeStatus.UNREGISTERED"),
    (SqlLinkState.create_node, "Public key already in use."),
    (SqlLinkState.delete_node, "status=NodeStatus.UNREGISTERED"),
)


@dataclass(frozen=True)
class Node:
    """A node as the SuperLink knows it.

    Attributes
    ----------
    node_id : int
    is_registered : bool
        False once it was unregistered: the SuperLink never takes its key again.
    status : str
        In Flower's words.
    last_heartbeat : datetime, optional
        None if there was none. Of a node that signed off, up to two of its intervals too early:
        SuperLink then keeps only when it went.
    since : datetime, optional
        When it came to this status.
    """

    node_id: int
    is_registered: bool
    status: str
    last_heartbeat: datetime | None = None
    since: datetime | None = None


class Superlink:
    """A connection; made by ``reach``."""

    def __init__(self, client: ControlHttpClient, address: str) -> None:
        self._client = client
        self._address = address

    def nodes(self) -> dict[bytes, Node]:
        """Return all nodes by their keys in PEM, unregistered ones too."""
        with self._told("list its nodes"):
            found = self._client.ListNodes(ListNodesRequest())
        return {node.public_key: _node(node) for node in found.nodes_info}

    def register(self, point: str) -> int:
        """Let the node with the key ``point`` in, and return its id; twice is as good as once.

        Raises
        ------
        SuperlinkError
            If the SuperLink does not do it, or the node was unregistered there.
        """
        pem = _pem(point)
        known = self.nodes().get(pem)
        if known is not None:
            if not known.is_registered:
                raise SuperlinkError(
                    f"This node's key was unregistered at the SuperLink {self._address} before "
                    f"(node {known.node_id}), and Flower takes no key twice. Nothing was changed. "
                    "The region needs a new node key: revoke this request and make another token."
                )
            return known.node_id
        with self._told("register a node"):
            node_id = self._client.RegisterNode(RegisterNodeRequest(public_key=pem)).node_id
        if not node_id:
            raise SuperlinkError(
                f"The SuperLink {self._address} registered no node. Nothing else was changed. "
                "Its log says why."
            )
        return node_id

    def unregister(self, point: str) -> None:
        """Keep the node with the key ``point`` out from now on; twice is as good as once."""
        known = self.nodes().get(_pem(point))
        if known is None or not known.is_registered:
            return
        with self._told("unregister a node"):
            self._client.UnregisterNode(UnregisterNodeRequest(node_id=known.node_id))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPStatusError as error:
            raise SuperlinkError(
                f"The SuperLink {self._address} did not {what}: HTTP status "
                f"{error.response.status_code}. Its log says why."
            ) from error
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise SuperlinkError(
                f"The SuperLink {self._address} could not be asked to {what} "
                f"({type(error).__name__}: {error}). Look whether it runs, and whether the "
                "address and the certificate authority of its Control API are right."
            ) from error


@contextmanager
def reach(address: str, ca: Path | None) -> Iterator[Superlink]:
    """Open a connection to a SuperLink's Control API, and close it after the block.

    Parameters
    ----------
    address : str
        ``host:port``.
    ca : Path, optional
        Without one the connection is in the clear, on loopback only.

    Raises
    ------
    SuperlinkError
        If Flower is not the one that this was written for, or the address or certificate
        cannot be used.
    """
    check_flower()
    if ca is None and not _is_loopback(address):
        raise SuperlinkError(
            f"The Control API at {address} is not on this machine, and no certificate authority "
            "was named. It was not called. Name one, or use its loopback address."
        )
    try:
        roots = ca.read_bytes() if ca else None
        client = ControlHttpClient.from_server_address(
            address, insecure=ca is None, root_certificates=roots, interceptors=[]
        )
    except (OSError, ValueError) as error:
        raise SuperlinkError(
            f"The certificate authority {ca} cannot be used ({error}). The SuperLink {address} "
            "was not called."
        ) from error
    try:
        yield Superlink(client, address)
    finally:
        client.close()


def check_flower() -> None:
    """Compare what is leant on with the Flower that is installed.

    Raises
    ------
    SuperlinkError
        If anything differs.
    """
    found = version("flwr")
    drift = [] if found.startswith(FLOWER) else ["its version"]
    parameters = list(inspect.signature(ControlHttpClient.from_server_address).parameters)
    if parameters[:4] != ["server_address", "insecure", "root_certificates", "interceptors"]:
        drift.append("ControlHttpClient.from_server_address")
    for place, fragment in _FRAGMENTS:
        if fragment not in inspect.getsource(place):
            drift.append(place.__qualname__)
    for message, fields in (
        (RegisterNodeRequest, {"public_key"}),
        (UnregisterNodeRequest, {"node_id"}),
        (NodeInfo, {"node_id", "status", "public_key"}),
    ):
        if not fields <= set(message.DESCRIPTOR.fields_by_name):
            drift.append(message.__name__)
    if drift:
        raise SuperlinkError(
            f"Flower {found} is not the one that this was written for ({FLOWER}x): "
            f"{', '.join(drift)} differ. No node was registered or unregistered. Install the "
            "versions of constraints.txt."
        )


def _node(info: NodeInfo) -> Node:
    came = {
        "registered": info.registered_at,
        "online": info.last_activated_at,
        "offline": info.last_deactivated_at,
        _UNREGISTERED: info.unregistered_at,
    }.get(info.status)
    return Node(
        node_id=info.node_id,
        is_registered=info.status != _UNREGISTERED,
        status=info.status,
        last_heartbeat=_heard(info),
        since=datetime.fromisoformat(came) if came else None,
    )


def _heard(info: NodeInfo) -> datetime | None:
    """Return when a node's heartbeat came: SuperLink keeps until when it counts as online by it."""
    # The interval is the node's own word.
    if not info.HasField("online_until") or not 0 < info.heartbeat_interval <= MAX_INTERVAL:
        return None
    moment = info.online_until - HEARTBEAT_PATIENCE * info.heartbeat_interval
    return datetime.fromtimestamp(moment, UTC)


def _pem(point: str) -> bytes:
    """Write a node's key as Flower keeps it."""
    return public_key_to_bytes(read_point(point))


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
