"""When a node asks the server again, and when it stands still until somebody acts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from flwr.supercore.error import ApiErrorCode

from deployment.agent.admission import PATIENCE, Admission

ACTIVATE, PULL = "/flwr.proto.Fleet/ActivateNode", "/flwr.proto.Fleet/PullMessages"
REFUSED = httpx.Response(
    412, json={"code": int(ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED), "detail": "Failed."}
)


@dataclass
class Node:
    folder: Path
    now: float = 1e9
    ended: list[str] = field(default_factory=list)

    def hears(self, method: str, response: httpx.Response, seconds: float = 0.0) -> None:
        self.now += seconds
        # A new one each time: the process was started again.
        Admission(self.folder / "since", self.ended.append, lambda: self.now).look_at(
            method, response
        )


@pytest.fixture
def a_node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_key_that_is_no_longer_taken_ends_the_node_at_once(a_node: Node) -> None:
    a_node.hears(PULL, httpx.Response(401))
    (told,) = a_node.ended
    assert "revoked" in told
    assert "clock" in told


def test_machine_whose_clock_is_not_set_yet_asks_again_for_a_while(a_node: Node) -> None:
    a_node.hears(ACTIVATE, httpx.Response(401))
    a_node.hears(ACTIVATE, httpx.Response(401), PATIENCE / 2)
    assert a_node.ended == []
    a_node.hears(ACTIVATE, httpx.Response(401), PATIENCE)
    (told,) = a_node.ended
    assert "clock" in told


def test_node_that_is_not_let_in_asks_again_for_a_while(a_node: Node) -> None:
    for _ in range(9):
        a_node.hears(ACTIVATE, REFUSED, PATIENCE / 10)
    assert a_node.ended == []
    a_node.hears(ACTIVATE, REFUSED, PATIENCE / 4)
    (told,) = a_node.ended
    assert "not approved" in told
    a_node.hears(ACTIVATE, REFUSED, 1.0)  # started again by its operator: another while
    assert len(a_node.ended) == 1


def test_being_let_in_ends_the_while(a_node: Node) -> None:
    a_node.hears(ACTIVATE, REFUSED)
    a_node.hears(ACTIVATE, httpx.Response(200), PATIENCE / 2)
    a_node.hears(ACTIVATE, REFUSED, PATIENCE)
    assert a_node.ended == []


def test_clock_that_was_set_back_begins_another_while(a_node: Node) -> None:
    a_node.hears(ACTIVATE, REFUSED)
    a_node.hears(ACTIVATE, REFUSED, -1e6)
    a_node.hears(ACTIVATE, REFUSED, PATIENCE / 2)
    assert a_node.ended == []


@pytest.mark.parametrize("status", [200, 412, 429, 500, 502, 503])
def test_troubles_that_pass_end_nothing(a_node: Node, status: int) -> None:
    for method in (ACTIVATE, PULL):
        a_node.hears(method, httpx.Response(status, text="<html>"), 10 * PATIENCE)
    assert a_node.ended == []


def test_another_flower_at_the_server_is_named(a_node: Node) -> None:
    body = {
        "code": int(ApiErrorCode.RUNTIME_VERSION_INCOMPATIBLE),
        "detail": "Runtime versions differ.",
        "extra": "SuperLink 1.42.0\nSuperNode 1.41.0",
    }
    a_node.hears(PULL, httpx.Response(412, json=body))
    (told,) = a_node.ended
    assert "SuperLink 1.42.0 SuperNode 1.41.0" in told
    assert "constraints.txt" in told
