"""The verbs of `fedinterest server` that decide which regions may take part."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from deployment.enrolment.decisions import Enrolment
    from deployment.enrolment.places import EnrollingServer

Folder = Annotated[Path, typer.Option(help="The server's folder.")]


def token(
    region: str,
    hours: Annotated[float, typer.Option(help="How long it can be used.")] = 72.0,
    folder: Folder = Path("."),
) -> None:
    """Make a one-time token for a region, and show it once.

    REGION is the region's name, as in its policy. The token alone goes to standard output.

    Example: fedinterest server token north > north.token
    """
    from datetime import UTC, datetime

    from deployment.enrolment.decisions import operator
    from deployment.enrolment.places import record_of
    from deployment.enrolment.store import EnrolmentStore
    from deployment.enrolment.tokens import make_token

    made = make_token(
        EnrolmentStore(record_of(folder)),
        region,
        hours=hours,
        who=operator(),
        moment=datetime.now(UTC),
    )
    typer.echo(
        f"This is region {region}'s token, good for one request within {hours:g} hours. It is not "
        "kept and not shown again. Give it to the region's operator in a way that nobody else "
        "reads. Older unused tokens of the region no longer count.",
        err=True,
    )
    typer.echo(made.text)


def invite(
    regions: list[str],
    out: Annotated[Path, typer.Option(help="Folder for the files, one for each region.")],
    address: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="HOST:PORT that regions reach; left out, the first of server.toml."),
    ] = None,
    hours: Annotated[float, typer.Option(help="How long they can be used.")] = 72.0,
    folder: Folder = Path("."),
) -> None:
    """Make invitations: for each region a file with the server's address, keys and a token.

    REGIONS are the regions' names, as in their policies.

    Example: fedinterest server invite north south --folder server --out invitations
    """
    from datetime import UTC, datetime

    from deployment.enrolment.decisions import operator
    from deployment.enrolment.invitation import Invitation
    from deployment.enrolment.places import record_of
    from deployment.enrolment.store import EnrolmentStore
    from deployment.enrolment.tokens import make_token
    from deployment.hosting.secret_files import private_folder, write_once
    from deployment.server.settings import read_server_settings
    from privacy.signing import SigningKey

    settings = read_server_settings(folder)
    key = SigningKey.load(settings.signing_key).public
    store = EnrolmentStore(record_of(folder))
    private_folder(out)
    for region in regions:
        token = make_token(store, region, hours=hours, who=operator(), moment=datetime.now(UTC))
        made = Invitation(
            region=region,
            server=address or f"{settings.hosts[0]}:{settings.port}",
            server_key=key,
            authority=settings.ca_certificate.read_text(encoding="ascii"),
            token=token,
        )
        path = out / f"{region}.invitation"
        write_once(path, made.write())
        typer.echo(path)
    typer.echo(
        f"Each is good for one request within {hours:g} hours, and holds a secret: give it to the "
        "region's operator in a way that nobody else reads or changes. Older unused tokens of "
        "these regions no longer count.",
        err=True,
    )


def requests(folder: Folder = Path(".")) -> None:
    """Show the requests that wait for approval, and what was refused in the last week.

    Example: fedinterest server requests
    """
    from datetime import UTC, datetime, timedelta

    from deployment.enrolment.decisions import enrolments, refusals
    from deployment.enrolment.places import record_of
    from deployment.enrolment.store import EnrolmentStore

    store = EnrolmentStore(record_of(folder))
    waiting = enrolments(store, "waiting")
    for one in waiting:
        _show(one)
    if not waiting:
        typer.echo("No request waits.")
    refused = refusals(store, (datetime.now(UTC) - timedelta(days=7)).date().isoformat())
    if refused:
        typer.echo("\nRefused in the last week:")
    for row in refused:
        mark = "  INCIDENT" if row.is_incident else ""
        region = f"  region {row.region}" if row.region else ""
        typer.echo(f"  {row.times:6d} x {row.reason}{region}, last {row.last}{mark}")


def approve(
    regions: list[str],
    folder: Folder = Path("."),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the keys are compared.")] = False,
) -> None:
    """Let regions take part: register their nodes, and record their keys.

    REGIONS are the regions' names. Each is shown, and asked about, by itself.

    Example: fedinterest server approve north
    """
    from datetime import UTC, datetime

    from deployment.enrolment.decisions import approve as decide
    from deployment.enrolment.decisions import operator, to_approve
    from deployment.enrolment.store import EnrolmentStore

    server = _server(folder)
    store = EnrolmentStore(server.record)
    waiting = [to_approve(store, region) for region in regions]  # all, before one is approved
    for seen in waiting:
        _show(seen)
        if not yes and not typer.confirm(
            "Has the region's operator read out the same groups to you by telephone?"
        ):
            typer.echo(f"{seen.region} was not approved, and none after it.", err=True)
            raise typer.Exit(1)
        node = decide(server, seen, who=operator(), moment=datetime.now(UTC))
        typer.echo(f"Region {seen.region} takes part as node {node}. Its agent can be started.")


def revoke(
    region: str,
    folder: Folder = Path("."),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Keep a region out from now on, or decline its request. The record of it stays.

    REGION is the region's name.

    Example: fedinterest server revoke north
    """
    from datetime import UTC, datetime

    from deployment.enrolment.decisions import operator
    from deployment.enrolment.decisions import revoke as decide

    if not yes and not typer.confirm(f"Keep region {region} out from now on?"):
        typer.echo("Nothing was revoked.", err=True)
        raise typer.Exit(1)
    server = _server(folder)
    state = decide(server, region, who=operator(), moment=datetime.now(UTC))
    typer.echo(
        f"Region {region} is {state}. What it has released stays released. To enrol it again, "
        "make a new token; it needs a new node key."
    )


def nodes(
    folder: Folder = Path("."),
) -> None:
    """Show the enrolled and revoked regions, and whether SuperLink and records agree.

    Exit status 1 if they do not.

    Example: fedinterest server nodes
    """
    from deployment.enrolment.overview import look

    seen = look(_server(folder))
    for one in seen.rows:
        typer.echo(f"{one.region}: {one.sentence}")
    if not seen.rows:
        typer.echo("No region is enrolled.")
    for trouble in seen.troubles:
        typer.echo(f"! {trouble}", err=True)
    if seen.troubles:
        sys.exit(1)


def _server(folder: Path) -> EnrollingServer:
    from deployment.enrolment.places import EnrollingServer
    from deployment.server.node_addresses import nginx_log
    from deployment.server.settings import read_server_settings

    settings = read_server_settings(folder)
    return EnrollingServer(
        folder,
        settings.control,
        settings.ca_certificate,
        settings.signing_key,
        nginx_log(settings),
    )


def _show(one: Enrolment) -> None:
    from deployment.enrolment.keys import fingerprint

    request = one.request
    typer.echo(f"Region {one.region}  (received {one.received}, {one.state})")
    typer.echo(f"  node key    {fingerprint(request.node_key)}")
    typer.echo(f"  ledger key  {fingerprint(request.ledger_key)}")
    typer.echo(
        f"  fedinterest {request.fedinterest}, Flower {request.flower}, Python {request.python}"
    )
    if request.encoder:
        typer.echo(f"  encoder {request.encoder} {request.encoder_fingerprint}".rstrip())
