"""Flower's SuperNode with a gate in front: no bundle is parsed before the gate has let it in.

server's message  ->  its run's bundle  ->  gate  ->  task for the executor

Flower has a gate of its own, for bundles that its hub has signed. It is turned on here, with the
operator's list in place of the hub's signatures; a bundle that is not let in is answered by
Flower's own error, which has no data. Before each message of a run that is known already the gate
is asked again, so that a withdrawn approval takes effect at once.

:mod:`deployment.agent.flower_internals` checks beforehand that Flower is built as it is here
supposed to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import flwr.supernode.fleet_http_connection as network
import flwr.supernode.start_client_internal as node
import httpx
from flwr.app import Message
from flwr.common.constant import Status, SubStatus
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore import heartbeat
from flwr.supercore.constant import TaskType
from flwr.supercore.corestate import in_memory_corestate
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_utils import pull_objects
from flwr.supercore.object_store import ObjectStore
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext
from flwr.supercore.run import Run
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor
from flwr.supernode.nodestate import NodeState

from deployment.agent.admission import Admission
from deployment.agent.errors import ResponseTooLargeError
from deployment.agent.flower_internals import refuse_drift
from deployment.agent.gate import ANOTHER_TASK, BundleGate
from deployment.agent.pausing import FETCHING, NodePauses
from deployment.agent.response_limit import BoundedFleetClient

HEARTBEAT_SECONDS = 10
"""A task whose executor has been silent for twice as long is given up; Flower takes 30."""
NODE_HEARTBEAT_SECONDS = 15
"""A node that was killed is let in again once it has been silent for twice as long; Flower's own
30 would keep a region out for a minute."""
UNFINISHED = (Status.PENDING, Status.STARTING, Status.RUNNING)
GATE_IS_ON = {"operator": "the list of approvals decides"}
"""Makes Flower verify bundles; its keys are not used."""


def pin_node(gate: BundleGate, pauses: NodePauses, admission: Admission) -> Any:
    """Put the gate in front of Flower's SuperNode, in this process.

    Parameters
    ----------
    gate : BundleGate
    pauses : NodePauses
    admission : Admission
        Looks at each answer of the server's.

    Returns
    -------
    module
        Flower's command, ready to be called: its ``flower_supernode()``.

    Raises
    ------
    FlowerDriftError
        If Flower is built otherwise than supposed here; nothing was changed then.
    """
    refuse_drift()
    command = import_module("flwr.supernode.cli.flower_supernode")  # the package hides the module
    connect, start = node._init_connection, node.start_client_internal
    pull, push = node._pull_and_store_message, node._push_messages

    @contextmanager
    def gated_connection(**arguments: Any) -> Iterator[Any]:
        with connect(**arguments) as connection:
            yield _gated(connection, gate, pauses)

    def pull_and_forget(**arguments: Any) -> int | None:
        state: NodeState = arguments["state"]
        came: list[str] = []

        def receive() -> tuple[Message, ObjectTree] | None:
            received: tuple[Message, ObjectTree] | None = arguments["receive"]()
            came.extend([] if received is None else [received[0].metadata.message_id])
            return received

        forgetful = ForgetfulState(state, gate)
        run: int | None = pull(**(arguments | {"state": forgetful, "receive": receive}))
        if run is None and came:
            drop_what_came_in_part(state, arguments["object_store"], came[0])
        return run

    def push_with_patience(**arguments: Any) -> None:
        state: NodeState = arguments["state"]
        pauses.await_answer(lambda: bool(state.get_tasks(statuses=UNFINISHED, limit=1)))
        try:
            push(**arguments)
        finally:
            pauses.answered()

    def start_gated(**arguments: Any) -> None:
        start(**(arguments | {"trusted_entities": GATE_IS_ON, "runtime_dependency_install": False}))

    def verify(fab: Fab, trusted_entities: dict[str, str]) -> bool:
        return gate.approves(fab.content)

    class WatchedAuthentication(NodeAuthHttpInterceptor):
        def intercept(
            self, context: ProtobufRequestContext, call_next: ProtobufCall
        ) -> httpx.Response:
            response = super().intercept(context, call_next)
            admission.look_at(context.rpc_method, response)
            return response

    setattr(network, "NodeAuthHttpInterceptor", WatchedAuthentication)  # noqa: B010
    for name, replacement in {
        "_init_connection": gated_connection,
        "_pull_and_store_message": pull_and_forget,
        "_push_messages": push_with_patience,
        "_verify_fab": verify,
        "pull_objects": partial(pull_objects, **FETCHING),
        "time": pauses,
    }.items():
        setattr(node, name, replacement)
    setattr(network, "FleetHttpClient", BoundedFleetClient)  # noqa: B010
    setattr(command, "start_client_internal", start_gated)  # noqa: B010  (mypy knows no module attribute)
    for place, seconds in (
        (in_memory_corestate, HEARTBEAT_SECONDS),
        # What the node promises the server, and what it does.
        (network, NODE_HEARTBEAT_SECONDS),
        (heartbeat, NODE_HEARTBEAT_SECONDS),
    ):
        setattr(place, "HEARTBEAT_DEFAULT_INTERVAL", seconds)  # noqa: B010
    return command


def _gated(connection: Any, gate: BundleGate, pauses: NodePauses) -> tuple[Any, ...]:
    """Return Flower's connection, with those of its parts wrapped that bring runs and bundles."""
    node_id, receive, send, get_run, get_fab, *others = connection
    kinds: dict[int, str] = {}

    def receive_and_note() -> tuple[Message, ObjectTree] | None:
        received: tuple[Message, ObjectTree] | None = receive()
        if received is not None:
            pauses.heard()
        return received

    def get_run_and_note(run_id: int) -> Run:
        run: Run = get_run(run_id)
        kinds[run_id] = run.primary_task_type
        return run

    return (
        node_id,
        receive_and_note,
        send,
        get_run_and_note,
        gated_get_fab(get_fab, gate, kinds),
        *others,
    )


def gated_get_fab(
    get_fab: Callable[[str, int], Fab], gate: BundleGate, kinds: dict[int, str]
) -> Callable[[str, int], Fab]:
    """Return Flower's ``get_fab`` with the gate behind it.

    Parameters
    ----------
    get_fab : callable
    gate : BundleGate
    kinds : dict
        What each run is, as its server says. An agent's executor runs ClientApps alone: of
        anything else a task would wait forever.
    """

    def get(fab_hash: str, run_id: int) -> Fab:
        try:
            fab = get_fab(fab_hash, run_id)
        except ResponseTooLargeError:
            gate.refuse_unread(claimed=fab_hash, run=run_id)
            return Fab(fab_hash, b"", {})
        other = kinds.pop(run_id, "") == TaskType.AGENT_APP
        refused = gate.admit(
            fab.content, claimed=fab_hash, run=run_id, objection=ANOTHER_TASK if other else None
        )
        # Without a license Flower answers with its own error, before anything is parsed. The
        # content of a refused bundle goes no further.
        if refused:
            return Fab(fab_hash, b"", {})
        return Fab(fab_hash, fab.content, {"valid_license": "operator"})

    return get


def drop_what_came_in_part(state: NodeState, objects: ObjectStore, message: str) -> None:
    """Give up a message whose run ended while it was being fetched, and its task.

    Flower ignores such a message and leaves its task behind. The executor, which does one thing
    at a time, would wait for the rest of the message, and no later question would be answered.
    No other task can be under way: the node fetches a message only after the last one's answer.
    """
    for task in state.get_tasks(statuses=UNFINISHED):
        state.finish_task(
            task.task_id, sub_status=SubStatus.FAILED, details="Its message did not come whole."
        )
    state.delete_messages(message_ids=[message])
    objects.delete(message)


class ForgetfulState:
    """The node's memory, but for runs whose bundle is no longer approved.

    Flower asks for the bundle of a run that it does not know, and so comes by the gate.

    Parameters
    ----------
    state : NodeState
    gate : BundleGate
    """

    def __init__(self, state: NodeState, gate: BundleGate) -> None:
        self._state, self._gate = state, gate

    def get_run(self, run_id: int) -> Run | None:
        """Return what is known of a run, if its bundle is approved now."""
        run = self._state.get_run(run_id)
        if run is None:
            return None
        fab = self._state.get_fab(run.fab_hash)
        return run if fab is not None and self._gate.approves(fab.content) else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)
