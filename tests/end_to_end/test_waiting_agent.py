"""A supervised agent and a real SuperLink with TLS: what comes back by itself, and what waits.

In the order of a region's troubles: a node that is killed twice, rules that are broken, a key that
is revoked.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from deployment.agent.approvals import Approvals, write_approvals
from deployment.agent.host import EXECUTOR, NODE, AgentStatus, down, status, up
from deployment.agent.node_key import create_node_key
from deployment.agent.settings import Agent, read_agent
from deployment.enrolment.keys import NodeKey
from deployment.enrolment.superlink import reach
from deployment.hosting.leftovers import end, processes_of
from deployment.hosting.secret_files import write_once
from deployment.hosting.supervision import ProgramState
from tests.deployment.agent.world import free_port, write_region
from tests.deployment.enrolment.certificates import Authority
from tests.end_to_end.enrolment_host import Host, wait_for


@dataclass
class Supervised:
    """An agent whose node is registered at a SuperLink."""

    host: Host
    agent: Agent

    def state(self, name: str) -> ProgramState:
        return next(one for one in self.status().programs if one.name == name)

    def status(self) -> AgentStatus:
        return status(self.agent)

    def log(self, name: str) -> str:
        return (self.agent.deployment.supervision / "logs" / f"{name}.log").read_text()

    def node_id(self, point: str) -> int:
        """The number that the SuperLink has given the node."""
        with reach(f"127.0.0.1:{self.host.superlink}", self.host.authority.file) as superlink:
            return superlink.register(point)

    def starts(self, name: str) -> int:
        return self.log("supervisord").count(f"spawned: '{name}'")

    def kill(self, name: str) -> None:
        pid = self.state(name).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)


def lay_out(folder: Path, host: Host) -> Agent:
    write_region(
        folder,
        deployment={
            "server": f"127.0.0.1:{host.superlink}",
            "certificate": str(host.authority.file),
            "runtime-port": free_port(),
        },
    )
    create_node_key(folder / "node.key")
    write_once(folder / "runtime.secret", os.urandom(32).hex().encode())
    write_approvals(folder / "approvals.toml", Approvals())
    return read_agent(folder / "agent.toml")


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    host = Host(tmp_path_factory.mktemp("waiting"))
    agent = None
    try:
        host.authority = Authority(host.folder / "certificates")
        certificate = host.authority.issue()
        host.run("superlink", *host._superlink(certificate.certificate, certificate.key))
        wait_for(host._superlink_answers, 60)
        agent = lay_out(host.folder / "north", host)
        with reach(f"127.0.0.1:{host.superlink}", host.authority.file) as superlink:
            superlink.register(NodeKey.load(agent.deployment.node_key).public)
        up(agent)
        yield Supervised(host, agent)
    finally:
        if agent is not None:
            down(agent)
            assert end(processes_of(agent.deployment.supervision)) == []
        host.close()


def connections(supervised: Supervised) -> int:
    return supervised.log(NODE).count("SuperNode ID: ")


def pose_as_connected(supervised: Supervised) -> None:
    """Have the SuperLink take the node for connected for 20 s more, as after a kill it does."""
    point = NodeKey.load(supervised.agent.deployment.node_key)
    private = load_ssh_private_key(supervised.agent.deployment.node_key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    with FleetHttpClient.from_server_address(
        f"127.0.0.1:{supervised.host.superlink}",
        False,
        supervised.host.authority.file.read_bytes(),
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="SuperNode"),
            NodeAuthHttpInterceptor(private, private.public_key()),
        ],
    ) as client:
        node = Node(node_id=supervised.node_id(point.public))
        client.SendNodeHeartbeat(SendNodeHeartbeatRequest(node=node, heartbeat_interval=10))


def test_node_that_is_killed_twice_is_refused_for_a_while_and_connects_again(
    supervised: Supervised,
) -> None:
    wait_for(lambda: connections(supervised) == 1, 90)
    supervised.kill(NODE)
    wait_for(lambda: supervised.starts(NODE) == 2, 30)
    supervised.kill(NODE)

    def is_refused() -> bool:
        pose_as_connected(supervised)
        return "Failed to activate SuperNode" in supervised.log(NODE)

    wait_for(is_refused, 120)
    wait_for(lambda: connections(supervised) == 2, 120)
    assert supervised.starts(NODE) >= 4
    assert supervised.status().is_well
    assert supervised.host.status() == ["online"]


def test_broken_rules_end_the_executor_until_somebody_acts(supervised: Supervised) -> None:
    policy = supervised.agent.path.with_name("policy.toml")
    content = policy.read_text()
    policy.write_text("region = 1\n")
    try:
        supervised.kill(EXECUTOR)
        wait_for(lambda: bool(supervised.state(EXECUTOR).reason), 30)
    finally:
        policy.write_text(content)
    held = supervised.state(EXECUTOR)
    assert held.state == "STOPPED"
    assert f"Policy {policy} is not usable" in held.line()
    assert not supervised.status().is_well
    assert supervised.state(NODE).pid is not None


def test_revoked_key_ends_the_node_until_somebody_acts(supervised: Supervised) -> None:
    before = supervised.starts(NODE), supervised.starts(EXECUTOR)
    with reach(f"127.0.0.1:{supervised.host.superlink}", supervised.host.authority.file) as link:
        link.unregister(NodeKey.load(supervised.agent.deployment.node_key).public)
    wait_for(lambda: supervised.state(NODE).pid is None, 30)
    held = supervised.state(NODE)
    assert held.state == "STOPPED"
    assert "no longer takes this node's key" in held.line()
    # Both have been down for longer than the pause before a restart.
    assert (supervised.starts(NODE), supervised.starts(EXECUTOR)) == before
    assert down(supervised.agent)
    assert supervised.status().programs == ()
