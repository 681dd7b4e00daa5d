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

from client.answering import answer
from client.errors import ClientError, SettingsError, UnreadableRequestError
from client.region import Region, open_region
from privacy.code_identity import code_hash
from strategies.messages import MessageError, answer_to_records, records_to_request

SIMULATION = "FEDINTEREST_SIMULATION"
"""Environment variable: folder with ``regions/region-<number>/agent.toml``."""

ANOTHER_VERSION = (
    "A server's request cannot be read: %s. Nothing was answered or charged. The server runs "
    "another version than this program (code %s...): install the release that its bundle was built "
    "from; `fedinterest agent doctor` compares the two."
)
LONGEST_WORDS = 300

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
    except MessageError as error:
        log.error(ANOTHER_VERSION, _printable(error), code_hash()[:16])
        raise UnreadableRequestError(UnreadableRequestError.__name__) from None
    except Exception as error:
        log.exception("The message could not be answered")
        raise ClientError(type(error).__name__) from None


@app.evaluate()
def receive_map(message: Message, context: Context) -> Message:
    """Keep the pushed-back map, and say with noise how well it fits."""
    return answer_question(message, context)


def _printable(error: MessageError) -> str:
    """Return an error's words for the log; some are the server's, which may be hostile."""
    words = str(error)[:LONGEST_WORDS]
    return "".join(letter if letter.isprintable() else "?" for letter in words)


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
