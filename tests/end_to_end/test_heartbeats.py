"""A server that is up notes by itself how its regions' agents fare, from its own SuperLink."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from deployment.enrolment.decisions import approve, revoke, to_approve
from deployment.enrolment.keys import NodeKey
from deployment.enrolment.places import EnrollingServer
from deployment.hosting.leftovers import end, processes_of
from deployment.hosting.ports import free_ports
from deployment.server.host import down, status, up
from deployment.server.init import make_server
from deployment.server.programs import HEARTBEATS
from deployment.server.settings import ServerSettings, read_server_settings
from server.run_store.errors import StoreError
from server.run_store.opening import open_store
from server.run_store.reading_regions import heartbeats
from server.run_store.region_records import HeartbeatRecord
from tests.deployment.enrolment.examples import Setting, an_agent

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(
        shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None,
        reason="nginx is not installed",
    ),
]


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerSettings]:
    port, superlink_port, enrolment_port = free_ports(3)
    folder = make_server(
        tmp_path_factory.mktemp("beats") / "server",  # sockets' paths have to be short
        ["localhost"],
        listen="127.0.0.1",
        port=port,
        superlink_port=superlink_port,
        enrolment_port=enrolment_port,
    ).settings.folder
    with (folder / "server.toml").open("a") as file:
        file.write("heartbeat-seconds = 1\n")
    made = read_server_settings(folder)
    try:
        up(folder)
        yield made
    finally:
        try:
            down(folder)
        finally:
            assert end(processes_of(made.supervision)) == []


def wait_for(settings: ServerSettings, holds: Callable[[HeartbeatRecord], bool]) -> HeartbeatRecord:
    """Wait until what is recorded of the one region is so."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            store = open_store(settings.store, make=False)
        except StoreError:  # not made yet
            found = []
        else:
            found = heartbeats(store)
            store.close()
        if found and holds(found[0]):
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"found {found}")


def test_agents_are_followed_from_enrolment_to_revocation(settings: ServerSettings) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    agent = replace(an_agent("north"), node_key=NodeKey(key))
    setting = Setting(settings.folder, now=datetime.now(UTC))
    setting.ask(agent, setting.token("north"))
    server = EnrollingServer(
        settings.folder, settings.control, settings.ca_certificate, settings.signing_key
    )
    number = approve(server, to_approve(setting.store, "north"), who="bo", moment=setting.now)
    assert wait_for(settings, lambda one: one.state == "never seen").node_id == str(number)

    with FleetHttpClient.from_server_address(
        settings.control,
        insecure=False,
        root_certificates=settings.ca_certificate.read_bytes(),
        interceptors=[NodeAuthHttpInterceptor(key, key.public_key())],
    ) as fleet:
        begun = datetime.now(UTC)
        public = public_key_to_bytes(key.public_key())
        fleet.ActivateNode(ActivateNodeRequest(public_key=public, heartbeat_interval=30))
        seen = wait_for(settings, lambda one: one.state == "online")
        assert seen.last_heartbeat is not None
        assert seen.last_heartbeat == seen.since
        assert begun <= seen.last_heartbeat <= seen.observed

        program = next(one for one in status(settings.folder).programs if one.name == HEARTBEATS)
        assert program.pid is not None
        os.kill(program.pid, signal.SIGKILL)
        killed = datetime.now(UTC)
        fleet.DeactivateNode(DeactivateNodeRequest(node_id=number))
    gone = wait_for(settings, lambda one: one.state == "offline")
    assert gone.observed > killed
    assert gone.last_heartbeat == seen.last_heartbeat

    revoke(server, "north", who="cy", moment=setting.now)
    assert wait_for(settings, lambda one: one.state == "revoked").node_id == str(number)
