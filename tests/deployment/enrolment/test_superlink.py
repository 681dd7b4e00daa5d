from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flwr.server.superlink.linkstate.sql_linkstate import SqlLinkState
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager

from deployment.enrolment import superlink
from deployment.enrolment.errors import SuperlinkError
from deployment.enrolment.superlink import Node, check_flower, reach
from tests.deployment.enrolment.certificates import Authority


def test_the_installed_flower_is_the_one_that_is_leant_on() -> None:
    check_flower()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superlink, "version", lambda name: "1.42.0")
    with (
        pytest.raises(SuperlinkError, match=r"Flower 1\.42\.0 .*\(1\.41\.x\): its version"),
        reach("127.0.0.1:1", None),
    ):
        pytest.fail("was reached")


def test_changed_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def register(request: object) -> object:
        return request

    changed = ((register, "/v1/control/register-node"), *superlink._FRAGMENTS[1:])
    monkeypatch.setattr(superlink, "_FRAGMENTS", changed)
    with pytest.raises(SuperlinkError, match=r"register differ\. No node was registered"):
        check_flower()


def test_changed_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed:
        @classmethod
        def from_server_address(cls, address: str) -> Changed:
            raise NotImplementedError

    monkeypatch.setattr(superlink, "ControlHttpClient", Changed)
    with pytest.raises(SuperlinkError, match=r"ControlHttpClient\.from_server_address differ"):
        check_flower()


@pytest.mark.parametrize("address", ["10.0.0.1:9443", "example.org:9443", "[2001:db8::1]:1", "x"])
def test_in_the_clear_only_this_machine_is_called(address: str) -> None:
    with pytest.raises(SuperlinkError, match="It was not called"), reach(address, None):
        pytest.fail("was reached")


def test_nobody_there_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        reach(f"127.0.0.1:{port}", None) as control,
        pytest.raises(SuperlinkError, match="Look whether it runs"),
    ):
        control.nodes()


@pytest.mark.parametrize("content", [None, b"no certificate", b"\xff"])
def test_an_unusable_authority_is_told(tmp_path: Path, content: bytes | None) -> None:
    ca = tmp_path / "ca.crt"
    if content is not None:
        ca.write_bytes(content)
    with pytest.raises(SuperlinkError, match="cannot be used"), reach("127.0.0.1:1", ca):
        pytest.fail("was reached")


def test_a_good_authority_is_taken(tmp_path: Path) -> None:
    with reach("example.org:1", Authority(tmp_path).file):
        pass


BEGUN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
"""Heartbeats are compared with those of SuperLink's own state, whose clock tests move."""
INTERVAL = 30


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> SqlLinkState:
    """SuperLink's own state, for all tests here: it takes a second to make one."""
    place = tmp_path_factory.mktemp("superlink") / "state.sqlite"
    made = SqlLinkState(str(place), NoOpFederationManager(), ObjectStoreFactory().store())
    made.initialize()
    return made


class State:
    """SuperLink's state with a new node in it, at a moment that tests choose."""

    def __init__(self, link: SqlLinkState, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = BEGUN
        monkeypatch.setattr("flwr.server.superlink.linkstate.sql_linkstate.now", lambda: self.now)
        self.link = link
        self.node = link.create_node("me", "me", os.urandom(8), INTERVAL)

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        self.now += timedelta(seconds=seconds)
        do()

    def beat(self, interval: float = INTERVAL) -> None:
        assert self.link.acknowledge_node_heartbeat(self.node, interval)

    def seen(self) -> Node:
        (info,) = self.link.get_node_info(node_ids=[self.node])
        return superlink._node(info)


@pytest.fixture
def state(link: SqlLinkState, monkeypatch: pytest.MonkeyPatch) -> State:
    return State(link, monkeypatch)


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def test_a_node_that_never_connected_has_no_heartbeat(state: State) -> None:
    state.now = at(999)
    assert state.seen() == Node(state.node, True, "registered", None, at(0))


def test_each_heartbeat_is_told_at_the_moment_it_came(state: State) -> None:
    state.after(10, state.beat)
    assert state.seen() == Node(state.node, True, "online", at(10), at(10))
    state.after(30, lambda: state.beat(17))
    assert state.seen() == Node(state.node, True, "online", at(40), at(10))


def test_a_node_that_fell_silent_was_last_heard_at_its_last_heartbeat(state: State) -> None:
    state.after(10, state.beat)
    state.now = at(500)
    assert state.seen() == Node(state.node, True, "offline", at(10), at(70))


def test_a_node_that_signed_off_is_never_told_later_than_it_was_heard(state: State) -> None:
    state.after(10, state.beat)
    state.after(30, lambda: state.link.deactivate_node(state.node))
    seen = state.seen()
    assert (seen.status, seen.since) == ("offline", at(40))
    assert seen.last_heartbeat is not None
    assert at(40) - timedelta(seconds=2 * INTERVAL) <= seen.last_heartbeat <= at(40)


def test_a_node_that_was_unregistered_says_since_when(state: State) -> None:
    state.after(10, state.beat)
    state.after(90, lambda: state.link.delete_node("me", state.node))
    seen = state.seen()
    assert (seen.is_registered, seen.status, seen.since) == (False, "unregistered", at(100))
    assert seen.last_heartbeat == at(10)


@pytest.mark.parametrize("interval", [1e300, 1e9, 0.0, -30.0, float("inf")])
def test_an_interval_that_no_node_has_tells_no_heartbeat(state: State, interval: float) -> None:
    """It is the node's own word: whoever has a region's key can say anything."""
    state.after(10, lambda: state.beat(interval))
    assert state.seen().last_heartbeat is None
