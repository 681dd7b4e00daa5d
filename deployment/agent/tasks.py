"""One task of the node's: taken, judged, answered by the installed program, given back.

A task's token is its bearer's right to that task alone. It is kept in memory, never written.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import flwr.supernode.runtime.run_clientapp as flower_tasks
import httpx
from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode, SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest, SendTaskHeartbeatRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_utils import pull_and_inflate_object_from_tree
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.retry import RetryInvoker, exponential
from flwr.supercore.run import Run
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import (
    pull_task_input,
    push_message,
    push_task_output,
)

from deployment.agent.gate import BundleGate
from deployment.agent.pausing import FETCHING

ACQUIRE = "/flwr.proto.Runtime/AcquireTask"
HEARTBEAT_SECONDS = 4.0
"""Between two signs of life of a task; the node gives it up after 20 s without one."""
NODE_PATIENCE = 60.0
"""Seconds for which a node that has just gone away is asked again, within a task."""
REFUSED = "The bundle is not approved here."

log = logging.getLogger("fedinterest.agent")


def fetch_soon() -> None:
    """Have Flower ask again soon for the parts of a task's message that have not come yet."""
    sooner = partial(pull_and_inflate_object_from_tree, **FETCHING)
    setattr(flower_tasks, "pull_and_inflate_object_from_tree", sooner)  # noqa: B010


class TaskSource:
    """Where tasks come from: the node, which asks for proof of the shared secret.

    Parameters
    ----------
    address : str
    secret : bytes
    """

    def __init__(self, address: str, secret: bytes) -> None:
        self._client = RuntimeHttpClient.from_server_address(
            server_address=address,
            insecure=True,  # on this machine; the request carries a proof, not the secret
            root_certificates=None,
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
                SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods={ACQUIRE}),
            ],
        )

    def acquire(self) -> str | None:
        """Return the token of a task to be done, if there is one; may raise httpx.HTTPError."""
        request = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
        reply = self._client.AcquireTask(request)
        return reply.token if reply.HasField("task") and reply.token else None

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


@dataclass(frozen=True, kw_only=True)
class TaskAnswering:
    """Answers tasks with the program that is installed.

    Attributes
    ----------
    app : ClientApp
    gate : BundleGate
    node_config : mapping of str to str
        What the program is told of its node; nothing else can tell it.
    address : str
        The node's.
    """

    app: ClientApp
    gate: BundleGate
    node_config: Mapping[str, str]
    address: str

    def answer(self, token: str) -> None:
        """Do the task of a token; what goes wrong is logged, and the server learns its type."""
        client = _task_client(self.address, token)
        try:
            with _signs_of_life(client):
                message, context, run, fab = pull_task_input(client)
                reply, failure = self.reply_to(message, context, run, fab)
                push_message(client, reply, context)
                status = SubStatus.FAILED if failure else SubStatus.COMPLETED
                push_task_output(client, None if failure else context, status, failure)
        except Exception as error:
            # Without a word from here the node gives the task up and tells the server so.
            log.error("A task was not answered (%s)", type(error).__name__)
        finally:
            client.close()

    def reply_to(
        self, message: Message, context: Context, run: Run, fab: Fab
    ) -> tuple[Message, str]:
        """Return the reply to a message, and why it is no answer; empty, if it is one.

        An error's own words stay here: they could hold data.
        """
        if self.gate.admit(fab.content, claimed=run.fab_hash, run=run.run_id):
            return Message(Error(ErrorCode.INVALID_FAB, REFUSED), reply_to=message), REFUSED
        context.node_config = dict(self.node_config)
        try:
            return self.app(message=message, context=context), ""
        except Exception as error:
            kind = type(error).__name__
            log.error("The program failed with %s", kind)
            failed = Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, kind)
            return Message(failed, reply_to=message), kind


def _task_client(address: str, token: str) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=True,
        root_certificates=None,
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
            RuntimeTokenHttpInterceptor(token),
        ],
        # Flower's own invoker ends the process when a token is no longer good.
        retry_invoker=RetryInvoker(
            lambda: exponential(base_delay=0.2, max_delay=2),
            httpx.TransportError,
            max_tries=None,
            max_time=NODE_PATIENCE,
        ),
    )


@contextmanager
def _signs_of_life(client: RuntimeHttpClient) -> Iterator[None]:
    """Tell the node, while the block lasts, that its task is being worked on."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                client.SendTaskHeartbeat(SendTaskHeartbeatRequest())
            except Exception as error:  # the next one may come through
                log.warning("A heartbeat was lost (%s)", type(error).__name__)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
