"""A lost answer is asked for again; what a region decided, never."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_utils import ObjectUnavailableError, pull_objects
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.grid import HttpGrid, http_grid

from server.patient_grid import CLOCKS_DIFFER, MOST_TIMES, PATIENCE, SILENCE, PatientGrid, patient

NORTH, SOUTH = 11, 12


@pytest.fixture(autouse=True)
def _task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages want to know whose they are."""
    for name in ("task_id", "run_id", "node_id"):
        monkeypatch.setattr(TaskIdentity, f"_{name}", 1)


@dataclass
class FakeLink:
    """A SuperLink whose clock is the test's.

    Attributes
    ----------
    nodes : dict of int to str
        Who is there, and since when.
    sent : list of Message
    events : dict of float to callable
        What happens when.
    """

    nodes: dict[int, str] = field(default_factory=lambda: {NORTH: "1", SOUTH: "1"})
    sent: list[Message] = field(default_factory=list)
    replies: dict[str, Message] = field(default_factory=dict)
    answers: dict[int, list[str | int | None]] = field(default_factory=dict)
    moment: float = 0.0
    comes: dict[float, tuple[int, str]] = field(default_factory=dict)
    takes_all: bool = True

    def grid(self) -> PatientGrid:
        return PatientGrid(cast(Grid, self), clock=lambda: self.moment, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.moment += seconds
        for when in [when for when in self.comes if when <= self.moment]:
            node, since = self.comes.pop(when)
            self.nodes[node] = since

    def get_nodes(self) -> list[NodeInfo]:
        return [NodeInfo(node_id=node, last_activated_at=at) for node, at in self.nodes.items()]

    def push_messages(self, messages: Iterable[Message]) -> list[str | None]:
        numbers: list[str | None] = []
        for message in messages:
            self.sent.append(message)
            number = f"message-{len(self.sent)}"
            numbers.append(number if self.takes_all else None)
            message.metadata.__dict__["_message_id"] = number
            waiting = self.answers.get(message.metadata.dst_node_id) or ["answer"]
            answer = waiting.pop(0)
            if isinstance(answer, int):
                self.replies[number] = Message(Error(answer, "lost"), reply_to=message)
            elif answer is not None:
                said = RecordDict({"said": ConfigRecord({"word": answer})})
                self.replies[number] = Message(said, reply_to=message)
        return numbers

    def pull_messages(self, numbers: Iterable[str]) -> list[Message]:
        assert list(numbers)
        return [self.replies.pop(number) for number in list(numbers) if number in self.replies]

    def ask(self, timeout: float | None = 300.0) -> dict[int, str | int]:
        """Ask both; return what each said, or its error's code."""
        question = RecordDict({"asked": ConfigRecord({"word": "what"})})
        messages = [Message(question, node, "train") for node in (NORTH, SOUTH)]
        found = self.grid().send_and_receive(messages, timeout=timeout)
        return {
            reply.metadata.src_node_id: reply.error.code
            if reply.has_error()
            else str(reply.content["said"]["word"])
            for reply in found
        }

    def asked(self, node: int) -> int:
        return sum(message.metadata.dst_node_id == node for message in self.sent)


def test_who_answers_is_asked_once() -> None:
    link = FakeLink()
    assert link.ask() == {NORTH: "answer", SOUTH: "answer"}
    assert (link.asked(NORTH), link.asked(SOUTH), link.moment) == (1, 1, 0.0)


def test_a_node_that_was_killed_is_asked_again_when_it_is_back() -> None:
    link = FakeLink(answers={SOUTH: [int(ErrorCode.NODE_UNAVAILABLE), "late"]})
    del link.nodes[SOUTH]
    link.comes[20.0] = (SOUTH, "2")
    assert link.ask() == {NORTH: "answer", SOUTH: "late"}
    assert (link.asked(NORTH), link.asked(SOUTH)) == (1, 2)
    assert 20 <= link.moment < 30


def test_a_node_that_came_in_anew_has_forgotten_and_is_asked_again() -> None:
    link = FakeLink(answers={SOUTH: [None, "again"]})
    link.comes[5.0] = (SOUTH, "2")
    assert link.ask() == {NORTH: "answer", SOUTH: "again"}
    assert link.moment < 15


def test_a_late_answer_to_the_first_message_counts_and_the_second_is_not_awaited() -> None:
    link = FakeLink(answers={SOUTH: [None, None]})
    link.comes[5.0] = (SOUTH, "2")
    answer = RecordDict({"said": ConfigRecord({"word": "first"})})
    push = link.push_messages

    def push_and_answer(messages: Iterable[Message]) -> list[str | None]:
        numbers = push(messages)
        if link.asked(SOUTH) == 2:
            first = next(one for one in link.sent if one.metadata.dst_node_id == SOUTH)
            link.replies["message-2"] = Message(answer, reply_to=first)
        return numbers

    link.push_messages = push_and_answer  # type: ignore[method-assign]
    assert link.ask() == {NORTH: "answer", SOUTH: "first"}


def test_a_node_that_stays_away_is_given_up() -> None:
    link = FakeLink(answers={SOUTH: [int(ErrorCode.NODE_UNAVAILABLE)]})
    del link.nodes[SOUTH]
    assert link.ask(timeout=600.0) == {NORTH: "answer", SOUTH: ErrorCode.NODE_UNAVAILABLE}
    assert link.asked(SOUTH) == 1
    assert PATIENCE < link.moment < PATIENCE + 10


def test_an_executor_that_crashes_each_time_is_asked_a_few_times() -> None:
    link = FakeLink(answers={SOUTH: [int(ErrorCode.CLIENT_APP_CRASHED)] * 20})
    assert link.ask()[SOUTH] == ErrorCode.CLIENT_APP_CRASHED
    assert link.asked(SOUTH) == MOST_TIMES


def test_a_program_that_failed_has_answered() -> None:
    for code in (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, ErrorCode.INVALID_FAB):
        link = FakeLink(answers={SOUTH: [int(code)]})
        assert link.ask()[SOUTH] == code
        assert link.asked(SOUTH) == 1


def test_who_is_silent_is_waited_for_until_the_time_is_over() -> None:
    link = FakeLink(answers={SOUTH: [None] * 20})
    assert link.ask(timeout=1000.0) == {NORTH: "answer"}
    assert link.asked(SOUTH) == MOST_TIMES
    assert 1000.0 <= link.moment < 1000.1


def test_what_was_lost_on_the_way_to_a_node_is_sent_again() -> None:
    """nginx is killed while it passes the message on: nobody is told, and the node is as it was."""
    link = FakeLink(answers={SOUTH: [None, "again"]})
    assert link.ask() == {NORTH: "answer", SOUTH: "again"}
    assert SILENCE < link.moment < SILENCE + 10


def test_who_needs_long_is_asked_ever_more_seldom() -> None:
    link = FakeLink(answers={SOUTH: [None] * 20})
    link.ask(timeout=SILENCE * 6)
    assert link.asked(SOUTH) == 3


def test_a_message_that_was_not_taken_is_sent_again_and_then_given_up() -> None:
    link = FakeLink(takes_all=False)
    assert link.ask() == {}
    assert link.asked(NORTH) == MOST_TIMES


def test_a_message_is_not_valid_for_longer_than_it_is_waited_for() -> None:
    link = FakeLink()
    link.ask(timeout=30.0)
    assert {message.metadata.ttl for message in link.sent} == {30.0 + CLOCKS_DIFFER}


def test_nothing_is_asked_where_nothing_is_to_be_asked() -> None:
    link = FakeLink(nodes={})
    assert link.grid().send_and_receive([], timeout=5.0) == []
    assert link.sent == []


def test_only_real_nodes_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's simulation would work on a message and its repetition at the same time."""
    monkeypatch.setattr(http_grid, "pull_objects", pull_objects)  # as it was, afterwards
    real = HttpGrid("127.0.0.1:1", insecure=True, root_certificates=None, token="none")  # noqa: S106
    assert isinstance(patient(real), PatientGrid)
    simulated = cast(Grid, FakeLink())
    assert patient(simulated) is simulated


def test_parts_of_a_reply_that_are_not_there_yet_are_asked_for_again_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_grid, "pull_objects", pull_objects)  # as it was, afterwards
    patient(HttpGrid("127.0.0.1:1", insecure=True, root_certificates=None, token="none"))  # noqa: S106
    asked: list[str] = []

    def pull(part: str) -> bytes:
        asked.append(part)
        if len(asked) == 1:
            raise ObjectUnavailableError(part)
        return b"here"

    started = time.monotonic()
    assert vars(http_grid)["pull_objects"](["part"], pull) == {"part": b"here"}
    assert time.monotonic() - started < 0.7  # Flower alone: a second, give or take a fifth
