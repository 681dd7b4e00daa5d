"""Two agents and a real SuperLink: only approved bundles reach a region, and it goes on.

The bundles' own code for the client takes the region's events as soon as anybody runs it: a canary
tells. The SuperLink lies where a test wants it to. At the agents a file can hold an answer up in
its middle, and a fake language model saves the time of loading one; the rest is what regions run.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from flwr.common.constant import ErrorCode

from client.region import Region, open_region
from deployment.agent.approvals import content_hash
from deployment.agent.bundle import LARGEST_BUNDLE
from deployment.agent.gate import ANOTHER_HASH, NOT_APPROVED, TOO_LARGE
from deployment.agent.response_limit import ENVELOPE
from deployment.agent.settings import read_agent
from deployment.agent.tasks import TaskSource
from privacy.ledger import witness_beside
from privacy.ledger_check import verify_ledger
from privacy.release import Refusal, Release
from strategies.questions import Request
from tests.client.examples import FakeEncoder, a_request, cell_sums
from tests.deployment.agent.world import (
    Link,
    Relay,
    TestedAgent,
    read_reply,
    superlink,
    wait_for,
    write_bundle,
    write_region,
)


@dataclass
class World:
    """One SuperLink, two agents, and a run of an approved bundle."""

    folder: Path
    link: Link
    north: TestedAgent
    south: TestedAgent
    twin: Region
    bundle: bytes
    relay: Relay
    round_number: int = 0

    @property
    def canary(self) -> Path:
        return self.folder / "canary"

    def question(self) -> Request:
        """Return a question that has not been asked yet."""
        self.round_number += 1
        return a_request(self.twin, cell_sums(), round_number=self.round_number)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("pinned")
    write_region(folder / "twin")  # the same catalogue: what a server knows
    with superlink(folder / "link") as link, ExitStack() as agents:
        north, south = (
            TestedAgent(folder / name, link.address, fake_encoder=True)
            for name in ("north", "south")
        )
        bundle = write_bundle(
            folder / "good", canary=folder / "canary", events=north.folder / "events.csv"
        )
        for agent in (north, south):
            agents.callback(agent.stack.close)
            agent.approve(bundle)
            agent.start_node()
            agent.launch_executor()
        relay = link.run(folder / "good")
        for agent in (north, south):
            agent.wait_until_ready()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("client.region.Encoder", FakeEncoder)
            twin = open_region(folder / "twin" / "agent.toml")
            assert twin.encoder.name
        yield World(folder, link, north, south, twin, bundle, relay)
        relay.finish()


def test_lie_about_the_hash_is_refused_and_the_truth_is_answered(world: World) -> None:
    """First in this file: the node asks for a run's bundle once, with the run's first message."""
    world.link.lie.write_bytes(world.bundle + b"\0")
    question = world.question()
    reply = world.relay.ask(world.south.node_id(), question)
    assert reply.error is not None
    assert reply.error["code"] == ErrorCode.INVALID_FAB
    (refused,) = world.south.refusals()
    assert refused["reason"] == ANOTHER_HASH
    assert refused["claimed"] == content_hash(world.bundle)
    assert refused["found"] == content_hash(world.bundle + b"\0")
    assert refused["size"] == len(world.bundle) + 1
    world.link.lie.unlink()
    assert isinstance(world.relay.ask(world.south.node_id(), question).answer(), Release)
    assert len(world.south.refusals()) == 1


def test_bundle_that_is_too_large_is_not_taken_and_the_next_question_is_answered(
    world: World,
) -> None:
    app = world.folder / "large"
    write_bundle(app, canary=world.canary, events=world.north.folder / "events.csv")
    relay = world.link.run(app)
    world.link.lie.write_bytes(bytes(LARGEST_BUNDLE + ENVELOPE + 1))
    reply = relay.ask(world.north.node_id(), world.question())
    world.link.lie.unlink()
    relay.finish()
    assert reply.error is not None
    assert reply.error["code"] == ErrorCode.INVALID_FAB
    refused = world.north.refusals()[-1]
    assert (refused["reason"], refused["size"]) == (TOO_LARGE, 0)
    assert isinstance(world.relay.ask(world.north.node_id(), world.question()).answer(), Release)


def test_approved_bundle_is_answered_by_the_installed_program_alone(world: World) -> None:
    for agent in (world.north, world.south):
        assert isinstance(world.relay.ask(agent.node_id(), world.question()).answer(), Release)
    assert not world.canary.exists()
    for agent in (world.north, world.south):
        assert not list(agent.folder.rglob("bundled.py"))  # nothing of it was unpacked


def test_bundle_that_nobody_approved_is_refused_and_no_code_of_it_runs(world: World) -> None:
    app = world.folder / "evil"
    canary = world.folder / "evil-canary"
    evil = write_bundle(app, canary=canary, events=world.north.folder / "events.csv")
    relay = world.link.run(app)
    reply = relay.ask(world.north.node_id(), world.question())
    relay.finish()
    assert reply.error is not None
    assert reply.error["code"] == ErrorCode.INVALID_FAB
    assert "anna" not in reply.raw
    assert str(world.folder) not in reply.raw
    assert not canary.exists()
    refused = world.north.refusals()[-1]
    assert (refused["reason"], refused["found"]) == (NOT_APPROVED, content_hash(evil))


def test_withdrawn_approval_takes_effect_with_the_next_message(world: World) -> None:
    node = world.north.node_id()
    question = world.question()
    world.north.approve()
    reply = world.relay.ask(node, question)
    assert reply.error is not None
    assert reply.error["code"] == ErrorCode.INVALID_FAB
    world.north.approve(world.bundle)
    assert isinstance(world.relay.ask(node, question).answer(), Release)


def test_executor_killed_in_the_middle_of_an_answer_leaves_a_whole_ledger(world: World) -> None:
    agent, question = world.north, world.question()
    assert agent.executor is not None
    waiting = agent.hold_up(world.relay, question)
    agent.executor.kill()
    agent.executor.wait(10)
    agent.go_on()
    agent.launch_executor()
    wait_for(waiting.exists)
    lost = read_reply(waiting)
    assert lost.error is not None
    agent.wait_until_ready()
    again = world.relay.ask(agent.node_id(), question).answer()
    assert isinstance(again, Refusal)
    assert again.reason == "already-charged"
    assert isinstance(world.relay.ask(agent.node_id(), world.question()).answer(), Release)
    ledger = agent.folder / "ledger.sqlite"
    found = verify_ledger(ledger, witness=witness_beside(ledger))
    assert found.holds, found.faults
    assert not any("Rollback" in missing for missing in found.unchecked)


def test_secrets_are_in_no_command_line_log_or_reply(world: World) -> None:
    assert isinstance(world.relay.ask(world.north.node_id(), world.question()).answer(), Release)
    replies = [path.read_text() for path in world.relay.folder.glob("*.reply")]
    assert replies
    for agent in (world.north, world.south):
        secret = (agent.folder / "runtime.secret").read_text()
        key = (agent.folder / "ledger.key").read_text().splitlines()[1]
        assert agent.node is not None
        assert agent.executor is not None
        told = [
            " ".join((*process.cmdline(), *process.environ().values()))
            for process in map(psutil.Process, (agent.node.pid, agent.executor.pid))
        ]
        said = agent.log.read_text() + (world.link.folder / "superlink.log").read_text()
        for text in (*told, said, *replies):
            assert secret not in text
            assert key not in text
            assert "anna" not in text


def test_nobody_without_the_secret_gets_a_task(world: World) -> None:
    stranger = TaskSource(read_agent(world.north.settings).runtime_address, b"guessed" * 10)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        stranger.acquire()
    stranger.close()


def test_executor_that_is_told_to_stop_finishes_its_answer(world: World) -> None:
    agent = world.south
    assert agent.executor is not None
    waiting = agent.hold_up(world.relay, world.question())
    agent.executor.send_signal(signal.SIGTERM)
    with pytest.raises(Exception, match="timed out"):
        agent.executor.wait(1)
    agent.go_on()
    wait_for(waiting.exists)
    assert isinstance(read_reply(waiting).answer(), Release)
    assert agent.executor.wait(20) == 0
