"""A Grid that asks again where an answer was lost on its way.

messages  ->  every node  ->  replies;  lost?  ->  the same message to the same node, once more

A node or an executor that was killed, or a link that broke, loses the answer under way. Regions
know a request that they have answered: asked again, they send the same bytes and charge nothing
(``docs/privacy.md``). So a lost answer is asked for again, rather than given up with its charge.
Whose program has failed or refused has answered, and is not asked again.

Flower's own ``send_and_receive`` looks every three seconds; this one, as often as is worth it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flwr.app import Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_utils import pull_objects
from flwr.supercore.run import Run
from flwr.superlink.grid import HttpGrid, http_grid

log = logging.getLogger("flwr")

LOST = frozenset(
    {
        ErrorCode.MESSAGE_UNAVAILABLE,
        ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
        ErrorCode.NODE_UNAVAILABLE,
        ErrorCode.CLIENT_APP_CRASHED,
    }
)
"""Errors of Flower's own, which say nothing of what a region decided."""
PATIENCE = 90.0
"""Seconds for which a node that has gone away is waited for."""
SILENCE = 30.0
"""Seconds without a word after which a node that is there is asked again, then twice as many, and
so on: what it has fetched may have been lost on the way to it, which nobody is told."""
MOST_TIMES = 5
"""One message is sent so often at most."""
SHORTEST, LONGEST, SHARE = 0.2, 3.0, 0.05
"""Seconds between two looks for replies: a share of the time waited, within these."""
NODES_EVERY = 2.0
"""Seconds between two looks at which nodes are there, while answers are missing."""
FETCHING: dict[str, Any] = {"initial_backoff": 0.1, "backoff_cap": 2.0}
"""Seconds until a part of a reply that has not come yet is asked for again, at first and at most.
Flower begins with a second."""
CLOCKS_DIFFER = 600.0
"""Seconds that a message is valid beyond its time: replies inherit what is left of it, by the
region's clock."""


@dataclass
class _Asked:
    """A message, and how it fares.

    Attributes
    ----------
    message : Message
        As the strategy made it.
    times : int
        How often it was sent.
    open : set of str
        The ids under which a reply may still come.
    activation : str
        When its node had come in last, at the time when it was sent.
    sent_at : float
        When it was sent last.
    lost_at : float
        When it became known that no reply will come.
    found : Message, optional
        The reply; or, while ``is_over`` is false, the last error.
    is_over : bool
    """

    message: Message
    times: int = 0
    open: set[str] = field(default_factory=set)
    activation: str = ""
    sent_at: float = 0.0
    lost_at: float = 0.0
    found: Message | None = None
    is_over: bool = False

    @property
    def node(self) -> int:
        """Whom it is for."""
        return int(self.message.metadata.dst_node_id)


class PatientGrid(Grid):
    """Flower's Grid, but for ``send_and_receive``.

    Parameters
    ----------
    grid : Grid
    clock, sleep : callable
        Seconds that never go back; wait for seconds.
    """

    def __init__(
        self,
        grid: Grid,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._grid = grid
        self._clock = clock
        self._sleep = sleep

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Send the messages, and return the replies that come within ``timeout`` seconds.

        One for each message at most. Where all that came is an error of Flower's, that.
        """
        began = looked = self._clock()
        limit = float("inf") if timeout is None else timeout
        asked = [_Asked(message) for message in messages]
        self._send(asked, self._activations() if asked else {}, timeout)
        while True:
            self._collect(asked)
            passed = self._clock() - began
            if passed >= limit or all(one.is_over for one in asked):
                return [one.found for one in asked if one.found is not None]
            if self._clock() - looked >= NODES_EVERY:
                looked = self._clock()
                self._look_after(asked, None if timeout is None else limit - passed)
            pause = max(SHORTEST, min(LONGEST, SHARE * passed))
            self._sleep(min(pause, limit - passed))

    def _collect(self, asked: Sequence[_Asked]) -> None:
        waiting = {number: one for one in asked if not one.is_over for number in one.open}
        if not waiting:
            return
        for reply in self._grid.pull_messages(list(waiting)):
            one = waiting[reply.metadata.reply_to_message_id]
            one.open.discard(reply.metadata.reply_to_message_id)
            if one.is_over:
                continue
            one.found, one.is_over = reply, not _is_lost(reply)
            if not one.is_over and not one.open:
                one.lost_at = self._clock()

    def _look_after(self, asked: Sequence[_Asked], left: float | None) -> None:
        """Send again what was lost to nodes that are there; give up those that stay away."""
        missing = [one for one in asked if not one.is_over]
        if not missing:
            return
        activations, moment = self._activations(), self._clock()
        again = []
        for one in missing:
            # A node that has come in anew has forgotten what was under way.
            is_new = activations.get(one.node, one.activation) != one.activation
            is_silent = moment - one.sent_at > SILENCE * 2 ** (one.times - 1)
            is_lost = not one.open
            if (is_lost or is_new or is_silent) and (
                one.node in activations and one.times < MOST_TIMES
            ):
                again.append(one)
            elif is_lost and (one.times >= MOST_TIMES or moment - one.lost_at > PATIENCE):
                one.is_over = True
        if again:
            log.info("\t     Asked again, since no answer has come: %d regions", len(again))
            self._send(again, activations, left)

    def _send(
        self, asked: Sequence[_Asked], activations: Mapping[int, str], left: float | None
    ) -> None:
        if not asked:
            return
        valid = None if left is None else left + CLOCKS_DIFFER
        numbers: list[str | None] = list(
            self._grid.push_messages([_copy(one.message, valid) for one in asked])
        )
        # Flower gives None, or nothing at all, for what it did not take.
        numbers += [None] * (len(asked) - len(numbers))
        for one, number in zip(asked, numbers, strict=True):
            one.times += 1
            one.sent_at = self._clock()
            one.activation = activations.get(one.node, "")
            if number is None:
                one.lost_at = self._clock()
            else:
                one.open.add(number)

    def _activations(self) -> dict[int, str]:
        """Return the nodes that are there, and when each has come in last."""
        return {int(node.node_id): node.last_activated_at for node in self._grid.get_nodes()}

    def set_run(self, run: Run) -> None:
        """Hand on."""
        self._grid.set_run(run)

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._grid.run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Hand on."""
        return self._grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes that are there."""
        return self._grid.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Hand on."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Hand on."""
        return self._grid.pull_messages(message_ids)


def patient(grid: Grid) -> Grid:
    """Return a grid of real nodes with patience; simulated ones neither come nor go.

    Flower's simulation would also work on a message and its repetition at the same time.
    """
    if not isinstance(grid, HttpGrid):
        return grid
    setattr(http_grid, "pull_objects", partial(pull_objects, **FETCHING))  # noqa: B010
    return PatientGrid(grid)


def _is_lost(reply: Message) -> bool:
    return reply.has_error() and reply.error.code in LOST


def _copy(message: Message, valid: float | None) -> Message:
    """Return the message anew, as valid for so many seconds: Flower takes each one once."""
    metadata = message.metadata
    return Message(
        message.content,
        metadata.dst_node_id,
        metadata.message_type,
        ttl=valid,
        group_id=metadata.group_id or None,
    )
