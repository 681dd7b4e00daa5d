"""What `agent enroll` was told last, kept beside the node's key: public, for the operator alone.

The server decides who is enrolled. This note only says which key it was told about, so that an
exchanged key is found without asking.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from deployment.agent.errors import AgentError
from deployment.agent.settings import Agent
from deployment.hosting.node_key import NodeKey
from deployment.hosting.secret_files import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentNote:
    """How an enrolment stood.

    Attributes
    ----------
    time : str
        When the server told; ISO 8601.
    server : str
        ``host:port``.
    state : str
        ``waiting``, ``approved``, ``declined`` or ``revoked``.
    node_key : str
        Public: the uncompressed point in hexadecimal.
    """

    time: str
    server: str
    state: str
    node_key: str


def note_path(node_key: Path) -> Path:
    """Return where the note lies, by the node's key."""
    return node_key.with_name("enrolment.json")


def write_note(node_key: Path, note: EnrolmentNote) -> None:
    """Keep a note, in place of the one before; may raise SecretFileError."""
    replace(note_path(node_key), json.dumps(asdict(note), indent=1).encode() + b"\n")


def note_state(agent: Agent, state: str) -> None:
    """Keep what the server has just told of this agent's node key; may raise NodeKeyError."""
    key = agent.deployment.node_key
    note = EnrolmentNote(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        server=agent.deployment.server or "",
        state=state,
        node_key=NodeKey.load(key).public,
    )
    write_note(key, note)


def read_note(node_key: Path) -> EnrolmentNote | None:
    """Return the note; None if there is none.

    Raises
    ------
    AgentError
        If it cannot be read.
    """
    path = note_path(node_key)
    if not path.exists():
        return None
    try:
        return EnrolmentNote(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise AgentError(
            f"{path} is no note of an enrolment ({type(error).__name__}). It was not used. "
            "Remove it; `agent enroll` with the same token writes it anew."
        ) from error
