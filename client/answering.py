"""What a client says to a request: it is understood, asked of the door, and answered.

request  ->  understood?  ->  contributions of this client's users  ->  door  ->  answer

Nothing of Flower here; ``client.app`` carries messages to and fro.
"""

from __future__ import annotations

import logging
from typing import Protocol

from client.contributions import Users, batches_of_contributions
from client.experiment import Experiment
from privacy.door import Door
from privacy.errors import RefusalError
from privacy.ledger import Ledger
from privacy.policy import Policy
from privacy.query import SumQuery
from privacy.release import Answer, Refusal
from privacy.window import Window
from strategies.cluster_map import ClusterMap
from strategies.item_space import ItemSpace
from strategies.questions import ListFeedback, ListVotes, MapQuality, Question, Request

UNPAID = frozenset({"budget-exhausted", "lifetime-exhausted"})
"""Refusals of a request that the region's rules let in, but for its price."""

log = logging.getLogger("fedinterest.client")


class Client(Protocol):
    """Who answers: a door, and the users behind it."""

    @property
    def door(self) -> Door:
        """The one way out."""
        ...

    @property
    def encoder_fingerprint(self) -> str:
        """Of the model that made the users' vectors."""
        ...

    @property
    def catalogue_fingerprint(self) -> str:
        """Of the public items."""
        ...

    @property
    def n_items(self) -> int:
        """How many public items there are."""
        ...

    @property
    def dim(self) -> int:
        """Dimensions of the users' vectors."""
        ...

    @property
    def experiment(self) -> Experiment | None:
        """The experiment with lists that is on."""
        ...

    @property
    def everybody(self) -> Users:
        """All users. Private."""
        ...

    def users_for(self, policy: Policy, window: Window) -> Users:
        """Return the users as answers charged to ``window`` may know them. Private."""
        ...

    def users_with_feedback(
        self, question: ListFeedback, policy: Policy, window: Window | None
    ) -> Users:
        """Return the same with what came of their lists; without a window, all of it. Private."""
        ...

    def keep(self, pushed: ClusterMap) -> None:
        """Keep the map that the server has pushed back; may raise OSError."""
        ...


def answer(client: Client, request: Request) -> Answer:
    """Answer ``request`` through the client's door.

    Of a failure the server learns that it happened: what it was could tell of data.
    """
    try:
        if refusal := _misunderstanding(client, request):
            return refusal
        _ = client.everybody  # a client that cannot read its events is charged nothing
        door, query, question = client.door, request.query(), request.question
        if isinstance(question, ListFeedback):  # the same for its feedback
            client.users_with_feedback(question, door.policy, None)
        pushed = question.cluster_map if isinstance(question, MapQuality) else None
        known = pushed is not None and door.ledger.knows(query)
        reply = door.answer(
            query,
            lambda window: batches_of_contributions(
                question, _users(client, question, door.policy, window)
            ),
        )
        if pushed is not None and _is_news(door.ledger, query, reply, known=known):
            _keep_map(client, pushed)
        return reply
    except Exception:
        log.exception("The request could not be answered")
        return client.door.refuse(
            request.query(), "client-failed", "The client failed. Nothing was sent."
        )


def _users(client: Client, question: Question, policy: Policy, window: Window) -> Users:
    if isinstance(question, ListFeedback):
        return client.users_with_feedback(question, policy, window)
    return client.users_for(policy, window)


def _is_news(ledger: Ledger, query: SumQuery, reply: Answer, *, known: bool) -> bool:
    """Tell whether a pushed-back map is let in: paid for or not, but not an old one again."""
    if isinstance(reply, Refusal):
        return reply.reason in UNPAID and not known and ledger.knows(query)
    return reply.entry == ledger.latest(query.kind)


def _keep_map(client: Client, pushed: ClusterMap) -> None:
    try:
        client.keep(pushed)
    except OSError:
        log.exception("The cluster map could not be kept")


def _misunderstanding(client: Client, request: Request) -> Refusal | None:
    """Refuse a question whose vectors or item numbers mean something else here."""
    question, query = request.question, request.query()
    try:
        client.door.policy.check_sender(query)
        client.door.policy.check_time(query, client.door.ledger.clock())
    except RefusalError as error:  # whoever has no business here learns nothing else
        return client.door.refuse(query, error.reason, error.sentence)
    pushed = question.cluster_map if isinstance(question, MapQuality | ListVotes) else request
    if {request.encoder, pushed.encoder} != {client.encoder_fingerprint}:
        return client.door.refuse(
            query,
            "another-encoder",
            "This region encodes texts with another model than the request's.",
        )
    space: ItemSpace | None = getattr(question, "space", None)
    dim = client.dim if space is None else space.dim(client.dim)
    if getattr(question, "dim", dim) != dim:
        return client.door.refuse(
            query,
            "another-encoder",
            "This region's vectors have another length than the request's.",
        )
    if {request.catalogue, pushed.catalogue} != {client.catalogue_fingerprint}:
        return client.door.refuse(
            query,
            "another-catalogue",
            "This region has another catalogue than the request's.",
        )
    lengths = {getattr(part, "n_items", client.n_items) for part in (question, space)}
    if lengths != {client.n_items}:
        return client.door.refuse(
            query,
            "another-catalogue",
            "This region's catalogue has another length than the request's.",
        )
    if isinstance(question, ListFeedback) and not _runs(client.experiment, question):
        return client.door.refuse(
            query,
            "another-experiment",
            "This region runs no experiment of that name with those arms in that order.",
        )
    return None


def _runs(experiment: Experiment | None, question: ListFeedback) -> bool:
    """Tell whether a question is about the experiment that is on: by settings, not by data."""
    if experiment is None:
        return False
    return (experiment.name, experiment.arm_names) == (question.experiment, question.arms)
