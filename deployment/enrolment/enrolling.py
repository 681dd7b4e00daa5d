"""The region's side: say who this agent is, prove it, and tell its operator what happens next.

settings, policy, ledger, node key, token  ->  signed request  ->  TLS  ->  waiting, approved, ...
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from client.settings import AgentSettings
from deployment.enrolment.errors import EnrolmentError, UnreachableError
from deployment.enrolment.intake import CLOCK_SECONDS
from deployment.enrolment.keys import NodeKey
from deployment.enrolment.request import Proofs, SignedRequest, make_request
from deployment.enrolment.token import Token
from deployment.enrolment.transport import Answer, post
from privacy.ledger import Ledger, witness_beside
from privacy.policy import read_policy

_STATES = frozenset({"waiting", "approved", "declined", "revoked"})


@dataclass(frozen=True)
class Agent:
    """What of an agent an enrolment is about.

    Attributes
    ----------
    region : str
    ledger_key : str
        Public, hexadecimal.
    sign_as_ledger : callable
    node_key : NodeKey
    encoder, encoder_fingerprint : str
        Empty if not at hand.
    """

    region: str
    ledger_key: str
    sign_as_ledger: Callable[[bytes], str]
    node_key: NodeKey
    encoder: str = ""
    encoder_fingerprint: str = ""


def agent_of(settings: AgentSettings, node_key: Path) -> Agent:
    """Return what is to be enrolled; makes the ledger and the node key if there are none.

    Raises
    ------
    EnrolmentError
        If the agent is simulated, or its policy is another region's.
    PrivacyError
        If policy, ledger or its key cannot be used.
    """
    if settings.simulation is not None:
        raise EnrolmentError(
            "These settings are a simulated agent's. Nothing was sent. Take the [simulation] "
            "section out, and begin a new ledger."
        )
    policy = read_policy(settings.policy)
    if policy.region != settings.region:
        raise EnrolmentError(
            f"Policy {settings.policy} is for region {policy.region!r}, the agent is "
            f"{settings.region!r}. Nothing was sent."
        )
    ledger = Ledger(
        settings.ledger,
        policy,
        key=settings.signing_key,
        witness=settings.witness or witness_beside(settings.ledger),
    )
    pinned = policy.trusted.encoders
    return Agent(
        region=settings.region,
        ledger_key=ledger.public_key,
        sign_as_ledger=ledger.sign,
        node_key=NodeKey.load(node_key) if node_key.exists() else NodeKey.create(node_key),
        encoder=settings.encoder,
        # The model is not loaded for this; a policy that pins one knows it.
        encoder_fingerprint=next(iter(pinned)) if len(pinned) == 1 else "",
    )


def sign_request(agent: Agent, token: Token, moment: datetime) -> SignedRequest:
    """Make the agent's request with its three proofs.

    Raises
    ------
    EnrolmentError
        If something cannot be said in a request.
    """
    request = make_request(
        region=agent.region,
        token=token,
        node_key=agent.node_key,
        ledger_key=agent.ledger_key,
        moment=moment,
        encoder=agent.encoder,
        encoder_fingerprint=agent.encoder_fingerprint,
    )
    message = request.signed_message()
    proofs = Proofs(
        token=token.sign(message),
        node=agent.node_key.sign(message),
        ledger=agent.sign_as_ledger(message),
    )
    return SignedRequest(request=request, proofs=proofs)


def enroll(agent: Agent, token: Token, *, server: str, ca: Path, moment: datetime) -> str:
    """Ask a server to enrol the agent, or how an earlier request with this token stands.

    Returns
    -------
    str
        ``waiting``, ``approved``, ``declined`` or ``revoked``.

    Raises
    ------
    EnrolmentError
        If the server cannot be reached or trusted, or does not accept the request.
    """
    answer = post(server, ca, sign_request(agent, token, moment).write())
    if answer.status in (200, 202):
        state = _state(answer.body)
        if state is not None:
            return state
    if answer.status == 429 or answer.status >= 500:
        raise UnreachableError(
            f"{server} could not take the request now (HTTP status {answer.status}). Say the same "
            "again in some minutes; if that does not help, ask the server's operator."
        )
    raise EnrolmentError(
        f"{server} did not accept the request (HTTP status {answer.status}). It tells nobody why: "
        "the server's operator can see the reason with `fedinterest server requests`. "
        f"{_what_to_look_at(answer, moment)}"
    )


def _state(body: bytes) -> str | None:
    try:
        state = json.loads(body)["state"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return state if isinstance(state, str) and state in _STATES else None


def _what_to_look_at(answer: Answer, moment: datetime) -> str:
    """Tell what can be told from here."""
    if answer.status == 404:
        return "There is no enrolment service at this address."
    if answer.server_time is not None:
        away = (moment - answer.server_time).total_seconds()
        if abs(away) > CLOCK_SECONDS:
            side = "ahead of" if away > 0 else "behind"
            return (
                f"This machine's clock is {abs(away):.0f} s {side} the server's; more than "
                f"{CLOCK_SECONDS:.0f} s are not accepted. Set it and say the same again."
            )
    return (
        "The token may be used, replaced, expired or another region's, or this node key was "
        "presented before."
    )
