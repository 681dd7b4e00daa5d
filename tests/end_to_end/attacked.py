"""A server's real host, one enrolled agent, and those who attack them from outside."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import ActivateNodeRequest, PullMessagesRequest
from flwr.proto.message_pb2 import Message
from flwr.proto.node_pb2 import Node
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from client.region import Region
from deployment.enrolment.superlink import reach
from deployment.hosting.node_key import NodeKey
from deployment.hosting.ports import free_port
from deployment.server.settings import ServerSettings
from privacy.signing import SigningKey
from strategies.questions import Request
from tests.client.examples import a_request, cell_sums, write_policy
from tests.deployment.agent.world import Link, Relay, TestedAgent, write_region


@dataclass
class Attacked:
    """What is attacked: a server behind nginx, and the agent of an enrolled region."""

    folder: Path
    settings: ServerSettings
    agent: TestedAgent
    relay: Relay
    twin: Region
    round_number: int = 0

    @property
    def server_key(self) -> SigningKey:
        return SigningKey.load(self.settings.signing_key)

    def question(self, **changes: object) -> Request:
        """Return a question that has not been asked yet, not signed."""
        self.round_number += 1
        fields = {"round_number": self.round_number} | changes
        return a_request(self.twin, cell_sums(), **fields)


def enrolled_agent(folder: Path, settings: ServerSettings) -> TestedAgent:
    """Lay out an agent that pins the server's authority and key, and let its node in."""
    agent = TestedAgent(folder, f"localhost:{settings.port}", fake_encoder=True)
    write_region(
        folder,
        deployment={
            "server": f"localhost:{settings.port}",
            "certificate": str(settings.ca_certificate),
            "runtime-port": free_port(),
        },
    )
    write_policy(
        folder,
        budget={"epsilon": 1e4, "lifetime-epsilon": 1e5},
        answers={"noise-kinds": ["discrete"]},
        trusted={"server-keys": [SigningKey.load(settings.signing_key).public]},
    )
    key = NodeKey.create(folder / "node.key")
    with reach(settings.control, settings.ca_certificate) as superlink:
        superlink.register(key.public)
    return agent


def operators_link(folder: Path, settings: ServerSettings) -> Link:
    """Return the SuperLink as the server's operator reaches it: on loopback."""
    folder.mkdir()
    connection = {
        "address": settings.control,
        "root-certificates": str(settings.ca_certificate),
    }
    (folder / "config.toml").write_text(
        tomli_w.dumps({"superlink": {"default": "test", "test": connection}})
    )
    return Link(folder, settings.control, ExitStack())


class Outsider:
    """Somebody with a private key, at the public port, with Flower's own client.

    Parameters
    ----------
    settings : ServerSettings
    key : Path
        The private key.
    address : str
        Of loopback, from which it speaks.
    """

    def __init__(self, settings: ServerSettings, key: Path, address: str = "127.0.0.1") -> None:
        private = serialization.load_ssh_private_key(key.read_bytes(), password=None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        self._private, self._settings, self._address = private, settings, address
        self.public = public_key_to_bytes(private.public_key())

    @contextmanager
    def fleet(self) -> Iterator[FleetHttpClient]:
        with FleetHttpClient.from_server_address(
            f"localhost:{self._settings.port}",
            insecure=False,
            root_certificates=self._settings.ca_certificate.read_bytes(),
            interceptors=[NodeAuthHttpInterceptor(self._private, self._private.public_key())],
        ) as client:
            client._client.close()
            trusted = ssl.create_default_context(cafile=str(self._settings.ca_certificate))
            way = httpx.HTTPTransport(verify=trusted, local_address=self._address)
            client._client = httpx.Client(transport=way, timeout=30)
            yield client

    def activate(self, public: bytes | None = None) -> int:
        """Ask in as the node of ``public``; of the own key, if there is none."""
        with self.fleet() as client:
            request = ActivateNodeRequest(public_key=public or self.public, heartbeat_interval=30)
            return int(client.ActivateNode(request).node_id)

    def pull(self, node_id: int) -> list[Message]:
        """Take the messages that lie there for a node."""
        with self.fleet() as client:
            request = PullMessagesRequest(node=Node(node_id=node_id))
            return list(client.PullMessages(request).messages_list)

    def pull_often(self, node_id: int, times: int) -> None:
        """Ask for messages again and again, as a node does in some minutes."""
        with self.fleet() as client:
            for _ in range(times):
                request = PullMessagesRequest(node=Node(node_id=node_id))
                assert not client.PullMessages(request).messages_list
