"""A Flower Grid in one process: the same apps and messages, without Ray or a SuperLink.

Messages are serialised and parsed again on their way, as on a wire. It leans
on internals of Flower 1.41, which is why that version is pinned.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flwr.app import Context, Error, Message, RecordDict
from flwr.app.message.message import make_message
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

FIRST_NODE_ID = 2
"""1 is the SuperLink's."""


class InProcessGrid(Grid):
    """Calls a ClientApp directly, once for each message.

    Parameters
    ----------
    client_app : ClientApp
    node_configs : sequence of mappings
        One for each client, as an operator would give it to a SuperNode.

    Attributes
    ----------
    replies : list of Message
        Everything that the clients sent, in order.
    """

    def __init__(
        self, client_app: ClientApp, node_configs: Sequence[Mapping[str, str | int | float]]
    ) -> None:
        self._run = Run.create_empty(run_id=secrets.randbits(63))
        TaskIdentity.task_id = 1
        TaskIdentity.run_id = self._run.run_id
        TaskIdentity.node_id = SUPERLINK_NODE_ID
        self.client_app = client_app
        self.contexts = {
            FIRST_NODE_ID + index: Context(
                run_id=self._run.run_id,
                node_id=FIRST_NODE_ID + index,
                node_config=dict(node_config),
                state=RecordDict(),
                run_config={},
            )
            for index, node_config in enumerate(node_configs)
        }
        self.replies: list[Message] = []
        self._waiting: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        """Take over a run's identity."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Make a message; Flower's own constructor does the same."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Return all clients' node ids."""
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Deliver the messages and keep the replies for :meth:`pull_messages`."""
        return [self._deliver(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies to the given messages."""
        return [self._waiting.pop(key) for key in message_ids if key in self._waiting]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Deliver the messages and return the replies; there is nothing to wait for."""
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> str:
        message_id = secrets.token_hex(16)
        message.metadata.__dict__["_message_id"] = message_id
        context = self.contexts[message.metadata.dst_node_id]
        try:
            reply = _over_the_wire(self.client_app(_over_the_wire(message), context))
        except Exception as error:
            code = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
            reply = Message(Error(code, type(error).__name__), reply_to=message)
        reply.metadata.__dict__["_message_id"] = secrets.token_hex(16)
        self.replies.append(reply)
        self._waiting[message_id] = reply
        return message_id


def run_in_process(
    server_app: ServerApp,
    client_app: ClientApp,
    node_configs: Sequence[Mapping[str, Any]],
    run_config: Mapping[str, bool | int | float | str],
) -> InProcessGrid:
    """Run a ServerApp over clients in this process; return the grid with all replies."""
    grid = InProcessGrid(client_app, node_configs)
    context = Context(
        run_id=grid.run.run_id,
        node_id=0,
        node_config={},
        state=RecordDict(),
        run_config=dict(run_config),
    )
    server_app(grid=grid, context=context)
    return grid


def _over_the_wire(message: Message) -> Message:
    """Serialise and parse a message's content."""
    proto = recorddict_to_proto(message.content)
    content = recorddict_from_proto(type(proto).FromString(proto.SerializeToString()))
    return make_message(message.metadata, content=content)
