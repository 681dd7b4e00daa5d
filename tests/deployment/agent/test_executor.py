"""The executor: what it runs, what it says of a failure, and how it stops."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.supercore.fab import Fab
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from deployment.agent.approvals import content_hash
from deployment.agent.executor import serve
from deployment.agent.gate import BundleGate
from deployment.agent.refusals import read_refusals
from deployment.agent.tasks import TaskAnswering
from tests.deployment.agent.examples import a_bundle, approvals_file

SECRET = "anna bought milk"
GOOD, EVIL = a_bundle(code="good"), a_bundle(code="evil")


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are made on behalf of a task, whose numbers Flower keeps in one place."""
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class Program:
    """A ClientApp that remembers what it was asked, and may fail."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.seen: list[Context] = []
        self.failure = failure
        self.app = ClientApp()
        self.app.train()(self.answer)

    def answer(self, message: Message, context: Context) -> Message:
        self.seen.append(context)
        if self.failure:
            raise self.failure
        return Message(RecordDict(), reply_to=message)


def answering(folder: Path, program: Program, *bundles: bytes) -> TaskAnswering:
    return TaskAnswering(
        app=program.app,
        gate=BundleGate(
            approvals=approvals_file(folder, *bundles),
            refusals=folder / "refusals.jsonl",
            where="executor",
        ),
        node_config={"agent-settings": "/here/agent.toml"},
        address="127.0.0.1:1",
    )


def reply(found: TaskAnswering, content: bytes, claimed: bytes | None = None) -> Message:
    context = Context(1, 1, {"agent-settings": "/theirs"}, RecordDict(), {})
    run = Run.create_empty(1)
    run.fab_hash = content_hash(claimed or content)
    message = Message(RecordDict(), 1, "train")
    said, _ = found.reply_to(message, context, run, Fab(run.fab_hash, content, {}))
    return said


def test_message_of_an_approved_bundle_is_answered_by_the_installed_program(
    tmp_path: Path,
) -> None:
    program = Program()
    assert not reply(answering(tmp_path, program, GOOD), GOOD).has_error()
    (context,) = program.seen
    assert context.node_config == {"agent-settings": "/here/agent.toml"}


@pytest.mark.parametrize("claimed", [EVIL, GOOD])
def test_message_of_another_bundle_does_not_reach_the_program(
    tmp_path: Path, claimed: bytes
) -> None:
    program = Program()
    said = reply(answering(tmp_path, program, GOOD), EVIL, claimed)
    assert (said.error.code, said.error.reason) == (
        ErrorCode.INVALID_FAB,
        "The bundle is not approved here.",
    )
    assert program.seen == []
    (refused,) = read_refusals(tmp_path / "refusals.jsonl")
    assert refused.where == "executor"


def test_server_learns_of_a_failure_only_its_type(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = reply(answering(tmp_path, Program(ValueError(SECRET)), GOOD), GOOD)
    assert (said.error.code, said.error.reason) == (
        ErrorCode.CLIENT_APP_RAISED_EXCEPTION,
        "ValueError",
    )
    assert SECRET not in caplog.text


def test_executor_told_to_stop_finishes_its_task_and_takes_no_other() -> None:
    stop, done = threading.Event(), []

    def answer(token: str) -> None:
        stop.set()  # as SIGTERM does, in the middle
        done.append(token)

    tokens = iter(["first", "second"])
    serve(lambda: next(tokens), answer, stop)
    assert done == ["first"]


def test_executor_outlives_a_node_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployment.agent.executor.AFTER_FAILURE", 0.01)
    stop, asked = threading.Event(), []

    def acquire() -> str | None:
        asked.append(1)
        if len(asked) < 4:
            raise ConnectionError("the node is away")
        return "token" if len(asked) == 5 else None

    done: list[str] = []

    def answer(token: str) -> None:
        done.append(token)
        stop.set()

    serve(acquire, answer, stop)
    assert done == ["token"]
