"""``fedinterest server``: the host of a server, from its folder to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from commands import enrolment_server

if TYPE_CHECKING:
    from deployment.server.certificates import Certificate
    from deployment.server.host import ServerStatus

app = typer.Typer(help="The server's host: Flower's SuperLink behind nginx.", no_args_is_help=True)

_NAMES = Optional[list[str]]  # noqa: UP045  (typer 0.20 reads this spelling)


@app.command()
def init(
    folder: Path,
    host: Annotated[
        _NAMES,
        typer.Option("--host", help="Name or address by which regions reach it; repeatable."),
    ] = None,
    listen: Annotated[
        str, typer.Option(help="Address of this machine to listen at; 0.0.0.0 is all.")
    ] = "0.0.0.0",  # noqa: S104
    port: Annotated[int, typer.Option(help="The public port.")] = 8443,
    superlink_port: Annotated[int, typer.Option(help="On loopback, for Flower.")] = 9443,
    enrolment_port: Annotated[int, typer.Option(help="On loopback, for enrolment.")] = 9444,
    renew_certificate: Annotated[
        bool,
        typer.Option(
            "--renew-certificate", help="Only make a new certificate, from the same authority."
        ),
    ] = False,
) -> None:
    """Make a server's folder: settings, certificates, and the key that signs requests.

    FOLDER must be new or empty. Nothing is ever written over, but for the certificate with
    --renew-certificate, which is for the hosts in server.toml and is taken up by a running server.

    Example: fedinterest server init server --host fed.example.org
    """
    if renew_certificate:
        _renew(folder, host)
        return
    if not host:
        raise typer.BadParameter("name at least one, such as --host fed.example.org")
    from deployment.server.init import make_server

    made = make_server(
        folder,
        host,
        listen=listen,
        port=port,
        superlink_port=superlink_port,
        enrolment_port=enrolment_port,
    )
    settings = made.settings
    typer.echo(f"{folder} is a server for {', '.join(settings.hosts)}, port {settings.port}.")
    typer.echo(f"Requests are signed by   {made.public_key}")
    typer.echo(f"Regions need             {settings.ca_certificate}")
    typer.echo(f"whose SHA-256 is         {made.authority.fingerprint}")
    typer.echo("Next: fedinterest server up " + str(folder))


def _renew(folder: Path, host: list[str] | None) -> None:
    if host:
        raise typer.BadParameter("with --renew-certificate the hosts are those of server.toml")
    from deployment.server.host import reload_certificate
    from deployment.server.init import renew

    certificate = renew(folder)
    typer.echo(f"The new certificate is for {', '.join(certificate.hosts)}.")
    typer.echo(_lasts(certificate))
    if reload_certificate(folder):
        typer.echo("The running server has it.")


@app.command()
def up(folder: Path) -> None:
    """Start the server in FOLDER, and wait until it answers.

    It goes on in the background, and what is killed is started again, until `server down`.

    Example: fedinterest server up server
    """
    import os

    from deployment.server.host import up as start

    if os.geteuid() == 0:
        typer.echo("Running as root. Better make a user of its own for the server.", err=True)
    certificate = start(folder)
    typer.echo("The server is up: SuperLink, enrolment and nginx answer.")
    typer.echo(_lasts(certificate))


@app.command()
def status(folder: Path) -> None:
    """Show how the server in FOLDER fares; exit status 0 if regions can reach it, else 1.

    Example: fedinterest server status server
    """
    from deployment.server.host import status as look

    found = look(folder)
    _show(found)
    raise typer.Exit(0 if found.is_well else 1)


def _show(found: ServerStatus) -> None:
    for program in found.programs:
        typer.echo(program.line())
    if not found.programs:
        typer.echo("Nothing is supervised: fedinterest server up FOLDER.")
    for name, answers in (
        ("SuperLink", found.superlink_answers),
        ("enrolment", found.enrolment_answers),
        ("nginx", found.nginx_answers),
    ):
        typer.echo(f"{name:<12}{'answers' if answers else 'does not answer'}")
    if found.nodes is not None:
        typer.echo(f"{'nodes':<12}{found.nodes.online} connected of {found.nodes.registered}")
    typer.echo(_lasts(found.certificate))


@app.command()
def down(folder: Path) -> None:
    """End the server in FOLDER and all that it started.

    A run that is under way ends with it.

    Example: fedinterest server down server
    """
    from deployment.server.host import down as stop

    typer.echo("The server is down." if stop(folder) else "Nothing ran.")


for verb in (
    enrolment_server.token,
    enrolment_server.requests,
    enrolment_server.approve,
    enrolment_server.revoke,
    enrolment_server.nodes,
):
    app.command()(verb)


def _lasts(certificate: Certificate) -> str:
    from deployment.server.certificates import RENEW_DAYS

    days = certificate.days_left
    if days <= 0:
        return f"The certificate ended {-days:.1f} days ago: init FOLDER --renew-certificate."
    hint = ": renew it, init FOLDER --renew-certificate" if days < RENEW_DAYS else ""
    return f"The certificate lasts {days:.1f} days more{hint}."
