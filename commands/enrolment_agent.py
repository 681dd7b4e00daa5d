"""The verb of `fedinterest agent` that makes a region known to a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def enroll(
    server: Annotated[str, typer.Option(help="The server's public address, HOST:PORT.")],
    ca: Annotated[Path, typer.Option(help="The certificate authority that vouches for it (PEM).")],
    token_file: Annotated[
        Path, typer.Option(help="File with the one-time token; readable by you alone.")
    ],
    settings: Annotated[Path, typer.Option(help="The agent's settings.")] = Path("agent.toml"),
    node_key: Annotated[
        Optional[Path],  # noqa: UP045  (typer 0.20 reads this spelling)
        typer.Option(help="The SuperNode's private key; left out, node.key beside the settings."),
    ] = None,
) -> None:
    """Ask a server to enrol this region; said again, it tells how that stands.

    Example: fedinterest agent enroll --server interests.example.org:443 --ca ca.crt
    --token-file token.txt
    """
    from datetime import UTC, datetime

    from client.settings import read_settings
    from deployment.enrolment.enrolling import agent_of
    from deployment.enrolment.enrolling import enroll as ask
    from deployment.enrolment.keys import fingerprint
    from deployment.enrolment.token import read_token

    token = read_token(token_file)  # a token that cannot be used is told before anything is made
    agent = agent_of(read_settings(settings), node_key or settings.parent / "node.key")
    typer.echo(f"Region {agent.region}")
    typer.echo(f"  node key    {fingerprint(agent.node_key.public)}")
    typer.echo(f"  ledger key  {fingerprint(agent.ledger_key)}")
    state = ask(agent, token, server=server, ca=ca, moment=datetime.now(UTC))
    typer.echo(_NEXT[state])


_NEXT = {
    "waiting": (
        "The request waits for the server's operator. Call them (a number that you know, not one "
        "from a message), read out both keys' groups, and have them compared. Once they have "
        "approved, start the agent; saying this again tells how it stands."
    ),
    "approved": "The server's operator has approved. Start the agent.",
    "declined": (
        "The server's operator has declined this request. To ask again, get a new token and move "
        "the node key aside: a new one is made."
    ),
    "revoked": (
        "The server's operator has revoked this region. To be enrolled again, get a new token and "
        "move the node key aside: a new one is made. The ledger and its key stay."
    ),
}
