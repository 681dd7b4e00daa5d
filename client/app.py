"""The ClientApp: a request comes in, and what the door gives out goes back.

message  ->  request  ->  contributions of this region's users  ->  door  ->  answer

This is the only module of the client that knows messages. It can send a
``Release``, a ``ClippedSum`` or a ``Refusal`` and nothing else.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client.contributions import contributions_to
from client.errors import ClientError, SettingsError
from client.region import Region, open_region
from privacy.errors import RefusalError
from privacy.ledger import Ledger
from privacy.query import SumQuery
from privacy.release import Answer, Refusal
from strategies.cluster_map import ClusterMap
from strategies.messages import answer_to_records, records_to_request
from strategies.questions import MapQuality, Request

SIMULATION = "FEDINTEREST_SIMULATION"
"""Environment variable: folder with ``regions/region-<number>/agent.toml``."""

UNPAID = frozenset({"budget-exhausted", "lifetime-exhausted"})
"""Refusals of a request that the region's rules let in, but for its price."""

log = logging.getLogger("fedinterest.client")

app = ClientApp()


@app.train()
def answer_question(message: Message, context: Context) -> Message:
    """Answer one question of the server's.

    Raises
    ------
    ClientError
        If this client is not set up, or the message is no request. Flower tells
        the server an error's words, so it has none but the error's type.
    """
    try:
        path = settings_path(context)
        region = _region_at(path, path.stat().st_mtime_ns)
        reply = answer(region, records_to_request(message.content))
        return Message(answer_to_records(reply), reply_to=message)
    except Exception as error:
        log.exception("The message could not be answered")
        raise ClientError(type(error).__name__) from None


@app.evaluate()
def receive_map(message: Message, context: Context) -> Message:
    """Keep the pushed-back map, and say with noise how well it fits."""
    return answer_question(message, context)


def answer(region: Region, request: Request) -> Answer:
    """Answer ``request`` through the region's door.

    Of a failure the server learns that it happened: what it was could tell of data.
    """
    try:
        if refusal := _misunderstanding(region, request):
            return refusal
        _ = region.profiles  # a region that cannot read its events is charged nothing
        door, query, question = region.door, request.query(), request.question
        pushed = question.cluster_map if isinstance(question, MapQuality) else None
        known = pushed is not None and door.ledger.knows(query)
        reply = door.answer(
            query,
            lambda window: contributions_to(question, region.profiles_for(door.policy, window)),
        )
        if pushed is not None and _is_news(door.ledger, query, reply, known=known):
            _keep_map(region, pushed)
        return reply
    except Exception:
        log.exception("The request could not be answered")
        return region.door.refuse(
            request.query(), "client-failed", "The client failed. Nothing was sent."
        )


def _is_news(ledger: Ledger, query: SumQuery, reply: Answer, *, known: bool) -> bool:
    """Tell whether a pushed-back map is let in: paid for or not, but not an old one again."""
    if isinstance(reply, Refusal):
        return reply.reason in UNPAID and not known and ledger.knows(query)
    return reply.entry == ledger.latest(query.kind)


def _keep_map(region: Region, pushed: ClusterMap) -> None:
    try:
        pushed.save(region.settings.cluster_map)
    except OSError:
        log.exception("The cluster map could not be kept")


def _misunderstanding(region: Region, request: Request) -> Refusal | None:
    """Refuse a question whose vectors or item numbers mean something else here."""
    question, query = request.question, request.query()
    try:
        region.door.policy.check_sender(query)
    except RefusalError as error:  # whoever has no business here learns nothing else
        return region.door.refuse(query, error.reason, error.sentence)
    pushed = question.cluster_map if isinstance(question, MapQuality) else request
    if {request.encoder, pushed.encoder} != {region.encoder.fingerprint}:
        return region.door.refuse(
            query,
            "another-encoder",
            "This region encodes texts with another model than the request's.",
        )
    if question.dim != region.item_vectors.shape[1]:
        return region.door.refuse(
            query,
            "another-encoder",
            "This region's vectors have another length than the request's.",
        )
    if {request.catalogue, pushed.catalogue} != {region.catalogue.fingerprint()}:
        return region.door.refuse(
            query,
            "another-catalogue",
            "This region has another catalogue than the request's.",
        )
    n_items = getattr(question, "n_items", None)
    if n_items not in (None, len(region.catalogue.item_ids)):
        return region.door.refuse(
            query,
            "another-catalogue",
            "This region's catalogue has another length than the request's.",
        )
    return None


def settings_path(context: Context) -> Path:
    """Find this client's settings: from its operator, or from the simulation's folder.

    Raises
    ------
    SettingsError
        If neither says where they are.
    """
    if "agent-settings" in context.node_config:
        return Path(str(context.node_config["agent-settings"]))
    simulation = os.environ.get(SIMULATION)
    if simulation and "partition-id" in context.node_config:
        number = int(context.node_config["partition-id"]) + 1
        return Path(simulation) / "regions" / f"region-{number}" / "agent.toml"
    raise SettingsError(
        "This client does not know where its settings are. Nothing was answered. Start the "
        "SuperNode with --node-config \"agent-settings='/path/agent.toml'\", or prepare "
        f"simulated regions with `fedinterest prepare` and set {SIMULATION} to their folder."
    )


@lru_cache(maxsize=64)
def _region_at(path: Path, changed: int) -> Region:
    """Keep a region in memory between messages, as long as its settings do not change."""
    return open_region(path)
