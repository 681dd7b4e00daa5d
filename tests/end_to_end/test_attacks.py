"""Attacks on a server and a region with real nginx, SuperLink, node and executor.

Each refusal has its honest counterpart, so that a server or region that refuses everything fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from flwr.common.constant import ErrorCode
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, StartRunRequest
from flwr.proto.fab_pb2 import Fab
from flwr.proto.fleet_pb2 import RegisterNodeFleetRequest, UnregisterNodeFleetRequest
from flwr.supercore.control import ControlHttpClient

from client.region import open_region
from deployment.enrolment.superlink import reach
from deployment.hosting.leftovers import end, processes_of
from deployment.hosting.node_key import NodeKey, read_point
from deployment.hosting.ports import free_ports
from deployment.server.host import down, status, up
from deployment.server.init import make_server
from deployment.server.node_addresses import addresses_in_turn, mark_of, nginx_log
from privacy.ledger_check import read_account, verify_ledger
from privacy.release import Refusal, Release
from strategies.messages import request_to_records
from strategies.questions import CellSums, Request
from tests.client.examples import FakeEncoder
from tests.deployment.agent.world import read_reply, wait_for, write_bundle, write_region
from tests.end_to_end.attacked import Attacked, Outsider, enrolled_agent, operators_link

pytestmark = [
    pytest.mark.skipif(
        shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None,
        reason="nginx is not installed",
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

GOOD, REFUSED = 24 * 3600, -24 * 3600
"""Seconds from now until a request expires."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("attacked")
    port, superlink_port, enrolment_port = free_ports(3)
    settings = make_server(
        folder / "server",
        ["localhost"],
        listen="127.0.0.1",
        port=port,
        superlink_port=superlink_port,
        enrolment_port=enrolment_port,
    ).settings
    write_region(folder / "twin")  # the same catalogue: what a server knows
    with ExitStack() as ends, pytest.MonkeyPatch.context() as patch:
        ends.callback(lambda: end(processes_of(settings.supervision)))
        ends.callback(down, settings.folder)
        up(settings.folder)
        agent = enrolled_agent(folder / "north", settings)
        ends.callback(agent.stack.close)
        agent.approve(
            write_bundle(
                folder / "good", canary=folder / "canary", events=agent.folder / "events.csv"
            )
        )
        agent.start_node()
        agent.launch_executor()
        relay = operators_link(folder / "operator", settings).run(folder / "good")
        ends.callback(relay.finish)
        agent.wait_until_ready()
        patch.setattr("client.region.Encoder", FakeEncoder)
        twin = open_region(folder / "twin" / "agent.toml")
        assert twin.encoder.name
        yield Attacked(folder, settings, agent, relay, twin)


@pytest.fixture
def stranger(attacked: Attacked, tmp_path: Path) -> Outsider:
    NodeKey.create(tmp_path / "stranger.key")
    return Outsider(attacked.settings, tmp_path / "stranger.key")


def sign(attacked: Attacked, request: Request, seconds: float = GOOD) -> Request:
    return request.signed(attacked.server_key, expires=int(time.time() + seconds))


def refusal_of(attacked: Attacked, request: Request) -> str:
    answer = attacked.relay.ask(attacked.agent.node_id(), request).answer()
    assert isinstance(answer, Refusal), answer
    return answer.reason


def release_of(attacked: Attacked, request: Request) -> Release:
    answer = attacked.relay.ask(attacked.agent.node_id(), request).answer()
    assert isinstance(answer, Release), answer
    return answer


def charges(attacked: Attacked) -> int:
    ledger = attacked.agent.folder / "ledger.sqlite"  # made with the first request
    return len(read_account(ledger).entries) if ledger.exists() else 0


def test_a_request_that_was_swapped_is_old_or_good_for_ever_is_refused_and_costs_nothing(
    attacked: Attacked,
) -> None:
    honest = sign(attacked, attacked.question())
    assert isinstance(honest.question, CellSums)
    moved = replace(honest.question, origin=np.ones_like(honest.question.origin))
    before = charges(attacked)
    assert refusal_of(attacked, replace(honest, question=moved)) == "signature-wrong"
    assert refusal_of(attacked, replace(honest, sigma=4.0)) == "signature-wrong"
    later = replace(honest, expires=honest.expires + 9)
    assert refusal_of(attacked, later) == "signature-wrong"
    assert refusal_of(attacked, sign(attacked, honest, REFUSED)) == "expired"
    for_ever = honest.signed(attacked.server_key)
    assert refusal_of(attacked, for_ever) == "no-expiry"
    assert refusal_of(attacked, attacked.question()) == "server-not-trusted"
    assert charges(attacked) == before
    assert release_of(attacked, honest).run == honest.run
    assert charges(attacked) == before + 1


def test_a_request_that_is_replayed_gets_the_same_bytes_and_one_charge(
    attacked: Attacked,
) -> None:
    request = sign(attacked, attacked.question())
    first, before = release_of(attacked, request), charges(attacked)
    again = release_of(attacked, request)
    renewed = release_of(attacked, sign(attacked, request, 2 * GOOD))
    for other in (again, renewed):
        assert other.to_bytes() == first.to_bytes()
        assert other.signature == first.signature
        assert other.head is not None
        assert first.head is not None
        assert asdict(other.head) == asdict(first.head)
    # The same round with other content, by the real server: still no second release.
    assert refusal_of(attacked, sign(attacked, replace(request, sigma=9.0))) == (
        "another-question-in-this-round"
    )
    assert charges(attacked) == before


def test_an_answer_that_comes_too_late_is_lost_and_asked_again_it_is_the_same(
    attacked: Attacked,
) -> None:
    request, before = sign(attacked, attacked.question()), charges(attacked)
    waiting = attacked.agent.hold_up(attacked.relay, request, ttl=4.0)
    wait_for(waiting.exists)
    late = read_reply(waiting)
    assert late.error is not None
    assert late.error["code"] == ErrorCode.MESSAGE_UNAVAILABLE
    attacked.agent.go_on()  # now the region sends what nobody waits for any more
    again, once_more = (release_of(attacked, request) for _ in range(2))
    assert again.to_bytes() == once_more.to_bytes()
    assert charges(attacked) == before + 1
    assert isinstance(release_of(attacked, sign(attacked, attacked.question())), Release)
    ledger = attacked.agent.folder / "ledger.sqlite"
    assert verify_ledger(ledger).holds


def test_who_is_not_registered_gets_in_by_no_way(attacked: Attacked, stranger: Outsider) -> None:
    node = int(attacked.agent.node_id())
    honest = Outsider(attacked.settings, attacked.agent.folder / "node.key")
    assert honest.pull(node) == []
    with pytest.raises(httpx.HTTPStatusError, match="412"):
        stranger.activate()
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        stranger.activate(honest.public)  # in the name of a key that it does not have
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        stranger.pull(node)


def test_nobody_registers_or_starts_anything_through_the_public_port(
    attacked: Attacked, stranger: Outsider
) -> None:
    settings = attacked.settings
    roots = settings.ca_certificate.read_bytes()
    control = ControlHttpClient.from_server_address(
        f"localhost:{settings.port}", insecure=False, root_certificates=roots, interceptors=[]
    )
    with stranger.fleet() as fleet:
        for attempt in (
            lambda: fleet.RegisterNode(RegisterNodeFleetRequest(public_key=stranger.public)),
            lambda: fleet.UnregisterNode(
                UnregisterNodeFleetRequest(node_id=int(attacked.agent.node_id()))
            ),
            lambda: control.RegisterNode(RegisterNodeRequest(public_key=stranger.public)),
            lambda: control.StartRun(StartRunRequest(fab=Fab(content=b"evil"))),
            lambda: control.ListNodes(ListNodesRequest()),
        ):
            with pytest.raises(httpx.HTTPStatusError, match="403"):
                attempt()
    control.close()
    nodes = status(settings.folder).nodes
    assert nodes is not None
    assert (nodes.online, nodes.registered) == (1, 1)


def test_secrets_are_in_no_command_line_log_or_database(attacked: Attacked) -> None:
    release_of(attacked, sign(attacked, attacked.question()))
    server, agent = attacked.settings, attacked.agent
    secrets = {
        path: path.read_text().splitlines()[1 if "BEGIN" in path.read_text() else 0]
        for path in (
            server.signing_key,
            *server.certificates.glob("*.key"),
            *(agent.folder / name for name in ("node.key", "ledger.key", "runtime.secret")),
        )
    }
    assert len(secrets) == 7
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)
    assert agent.node is not None
    assert agent.executor is not None
    own = [psutil.Process(one.pid) for one in (agent.node, agent.executor)]
    running = [*processes_of(server.supervision), *own]
    assert len(running) >= 7
    told = {str(one.pid): " ".join([*one.cmdline(), *one.environ().values()]) for one in running}
    kept = {
        str(path): path.read_bytes().decode(errors="replace")
        for folder in (server.supervision / "logs", server.flower_home, attacked.relay.folder)
        for path in folder.rglob("*")
        if path.is_file()
    }
    database = {
        str(path): path.read_bytes().decode(errors="replace")
        for path in server.folder.glob("superlink.sqlite*")
    }
    assert kept
    assert database
    agents_log = {str(agent.log): agent.log.read_text()}
    for where, text in {**told, **kept, **database, **agents_log}.items():
        assert not [path for path, secret in secrets.items() if secret in text], where
        assert "anna" not in text, where  # one of the region's people


def test_a_copied_node_key_that_is_used_from_elsewhere_shows_at_the_server(
    attacked: Attacked,
) -> None:
    settings, key = attacked.settings, attacked.agent.folder / "node.key"
    node, mark = int(attacked.agent.node_id()), mark_of(read_point(NodeKey.load(key).public))
    region, thief = Outsider(settings, key), Outsider(settings, key, "127.0.0.2")

    def noticed() -> dict[str, list[str]]:
        return addresses_in_turn(nginx_log(settings), datetime.now(UTC))

    region.pull_often(node, 100)  # of three in a hundred nginx keeps a line
    assert noticed() == {}

    def noticed_in_the_end() -> dict[str, list[str]]:
        for one in (thief, region):
            one.pull_often(node, 25)
        return noticed()

    found = wait_for(noticed_in_the_end, 50)
    assert {mark: sorted(addresses) for mark, addresses in found.items()} == {
        mark: ["127.0.0.1", "127.0.0.2"]
    }


def test_files_of_a_running_server_are_its_own_but_for_certificates(attacked: Attacked) -> None:
    folder = attacked.settings.folder
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert names >= {"superlink.sqlite", "signing.key", "nginx.conf", "superlink.log", "ca.crt"}
    readable = {path.name for path in files if path.stat().st_mode & 0o077}
    # nginx makes the last one so, in a folder that others cannot enter.
    assert readable == {"ca.crt", "server.crt", "superlink.crt", "nginx.pid"}
    assert folder.stat().st_mode & 0o077 == 0


def test_a_copied_node_key_takes_questions_away_and_answers_none_until_it_is_revoked(
    attacked: Attacked, tmp_path: Path
) -> None:
    """Comes last: the region is revoked."""
    agent, settings = attacked.agent, attacked.settings
    assert agent.node is not None
    copied = tmp_path / "copied.key"
    copied.write_bytes((agent.folder / "node.key").read_bytes())
    copied.chmod(0o600)
    thief, node = Outsider(settings, copied), int(agent.node_id())
    with pytest.raises(httpx.HTTPStatusError, match="412"):
        thief.activate()  # the SuperLink lets one of two in
    os.kill(agent.node.pid, signal.SIGSTOP)
    try:
        request = sign(attacked, attacked.question())
        waiting = attacked.relay.send(str(node), request_to_records(request), 5.0)
        stolen = wait_for(lambda: thief.pull(node))
        wait_for(waiting.exists)
    finally:
        os.kill(agent.node.pid, signal.SIGCONT)
    assert len(stolen) == 1
    assert read_reply(waiting).error is not None  # the region has not seen the question
    assert release_of(attacked, request).region == "north"  # asked again it answers
    with reach(settings.control, settings.ca_certificate) as superlink:
        superlink.unregister(NodeKey.load(copied).public)
    with pytest.raises(httpx.HTTPStatusError, match="412"):
        thief.activate()
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        thief.pull(node)
    agent.node.wait(45)  # Flower's node ends itself once it is no longer known
