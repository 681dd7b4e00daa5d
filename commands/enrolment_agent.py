"""The verb of `fedinterest agent` that makes a region known to a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def enroll(
    token_file: Annotated[
        Path, typer.Option(help="File with the one-time token; readable by you alone.")
    ],
    settings: Annotated[Path, typer.Option(help="The agent's settings.")] = Path("agent.toml"),
) -> None:
    """Ask the server to enrol this region; said again, it tells how that stands.

    The server, and the certificate of its authority, are those of agent.toml.

    Example: fedinterest agent enroll --token-file token.txt
    """
    from datetime import UTC, datetime

    from client.settings import read_settings
    from deployment.agent.enrolment_note import note_state
    from deployment.agent.settings import read_agent, server_of
    from deployment.enrolment.enrolling import agent_of
    from deployment.enrolment.enrolling import enroll as ask
    from deployment.enrolment.keys import fingerprint
    from deployment.enrolment.token import read_token

    token = read_token(token_file)  # a token that cannot be used is told before anything is made
    deployed = read_agent(settings)
    server, deployment = server_of(deployed), deployed.deployment
    agent = agent_of(read_settings(settings), deployment.node_key)
    typer.echo(f"Region {agent.region}")
    typer.echo(f"  node key    {fingerprint(agent.node_key.public)}")
    typer.echo(f"  ledger key  {fingerprint(agent.ledger_key)}")
    state = ask(agent, token, server=server, ca=deployment.certificate, moment=datetime.now(UTC))
    note_state(deployed, state)
    typer.echo(_NEXT[state])


def join(
    folder: Path,
    invitation: Annotated[
        Path, typer.Option(help="From the server's operator; readable by you alone.")
    ],
    events: Annotated[Path, typer.Option(help="Behaviour events: Parquet, CSV or JSON Lines.")],
    catalogue: Annotated[Path, typer.Option(help="The public catalogue: Parquet or CSV.")],
    bundle: Annotated[Path, typer.Option(help="The bundle to approve, from the operator.")],
    wait_minutes: Annotated[
        float, typer.Option(help="How long to wait for the server's approval.")
    ] = 60.0,
    yes: Annotated[bool, typer.Option("--yes", help="Approve the bundle without asking.")] = False,
) -> None:
    """Set up a region's agent, approve a bundle, enrol, and start once the server has approved.

    FOLDER is made. Said again after an interruption, it goes on. It is `agent init`, `approve`,
    `enroll` and `up` in one.

    Example: fedinterest agent join north --invitation north.invitation --events events.parquet
    --catalogue catalogue.parquet --bundle fedinterest.fab
    """
    from client.settings import read_settings
    from commands.agent import approve_bundle
    from deployment.agent.enrolment_note import note_state
    from deployment.agent.host import up
    from deployment.enrolment.enrolling import agent_of
    from deployment.enrolment.invitation import read_invitation
    from deployment.enrolment.joining import ask_until_decided, settle
    from deployment.enrolment.keys import fingerprint

    invited = read_invitation(invitation)
    deployed = settle(folder, invited, events, catalogue)
    approve_bundle(deployed, bundle, yes=yes)
    agent = agent_of(read_settings(deployed.path), deployed.deployment.node_key)
    typer.echo(f"Region {agent.region} asks {invited.server} to be enrolled.")
    typer.echo(f"  node key    {fingerprint(agent.node_key.public)}")
    typer.echo(f"  ledger key  {fingerprint(agent.ledger_key)}")
    state = ask_until_decided(
        agent,
        invited,
        deployed.deployment.certificate,
        seconds=60 * wait_minutes,
        tell=lambda found: typer.echo(_NEXT[found]),
    )
    note_state(deployed, state)
    if state != "approved":
        raise typer.Exit(1)
    up(deployed)
    typer.echo(f"The agent of {agent.region} is up.")


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
