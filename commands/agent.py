"""``fedinterest agent``: what a region's operator types to let a server's questions in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands import agent_doctor, enrolment_agent

if TYPE_CHECKING:
    from deployment.agent.bundle import Bundle
    from deployment.agent.settings import Agent

app = typer.Typer(
    help="A region's agent: set it up, and say which bundles it takes questions of.",
    no_args_is_help=True,
)

Settings = Annotated[Path, typer.Option(help="The region's agent.toml.")]


@app.command()
def init(
    folder: Path,
    region: Annotated[str, typer.Option(help="The region's name.")],
    events: Annotated[Path, typer.Option(help="Behaviour events: Parquet, CSV or JSON Lines.")],
    catalogue: Annotated[Path, typer.Option(help="The public catalogue: Parquet or CSV.")],
    server: Annotated[
        str | None, typer.Option(help="Where the server is: HOST:PORT.", show_default=False)
    ] = None,
) -> None:
    """Lay out an agent: settings, policy, keys, and an empty list of approved bundles.

    FOLDER is made, or has none of these yet: nothing is overwritten.

    Example: fedinterest agent init north --region north --events events.parquet
    --catalogue catalogue.parquet --server server.example.org:443
    """
    from deployment.agent.layout import lay_out
    from deployment.hosting.ports import free_port

    made = lay_out(
        folder,
        region=region,
        events=events,
        catalogue=catalogue,
        server=server,
        port=free_port(),
    )
    typer.echo(
        f"{made.folder} is laid out: {made.n_events} events can be used, {made.n_rejected} cannot; "
        f"{made.n_items} items."
    )
    typer.echo(f"This region signs with {made.public_key}")
    typer.echo(f"For the server's operator, the node's key: {made.node_key}")
    typer.echo(
        f"Read {made.folder / 'policy.toml'} and change it to suit. No bundle is approved yet: "
        "`fedinterest agent approve BUNDLE.fab`."
    )


@app.command()
def approve(
    bundle: Annotated[Path | None, typer.Argument(show_default=False)] = None,
    settings: Settings = Path("agent.toml"),
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List what is approved.")] = False,
    withdraw: Annotated[
        str | None, typer.Option(help="Withdraw the approval of the bundle with this hash.")
    ] = None,
    signature: Annotated[
        Path | None,
        typer.Option(help="A pinned release key's signature of the bundle; then nobody is asked."),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(help="Sign the bundle with this release key instead; approves nothing."),
    ] = None,
) -> None:
    """Show what a bundle is and what it changes, and let it in after a yes.

    BUNDLE is what `flwr build` makes, by whoever runs the server. What runs at the region is the
    installed program, never the bundle's; only messages of approved bundles reach it.

    Example: fedinterest agent approve tests.fedinterest.0-1-0.fab --settings north/agent.toml
    """
    if [bundle is not None, listed, withdraw is not None].count(True) != 1:
        raise typer.BadParameter("give one of BUNDLE, --list and --withdraw HASH.")
    if bundle is None and (signature or sign):
        raise typer.BadParameter("--signature and --sign are for a BUNDLE.")
    if bundle is not None and sign is not None:
        _sign(bundle, sign)
        return
    from deployment.agent.settings import read_agent

    agent = read_agent(settings)
    if bundle is not None:
        approve_bundle(agent, bundle, signature, yes=yes)
    elif withdraw is not None:
        _withdraw(agent, withdraw)
    else:
        _list(agent)


def _sign(path: Path, key: Path) -> None:
    from deployment.agent.approvals import sign_bundle
    from deployment.agent.bundle import load_bundle
    from deployment.hosting.secret_files import replace
    from privacy.signing import SigningKey

    signing = SigningKey.load(key)
    beside = path.with_name(f"{path.name}.sig")
    replace(beside, sign_bundle(load_bundle(path).hash, signing).encode() + b"\n")
    typer.echo(f"{beside} is the word of release key {signing.public}")


def approve_bundle(
    agent: Agent, path: Path, signature: Path | None = None, *, yes: bool = False
) -> None:
    """Show what a bundle is, and put it on the list after a yes."""
    from deployment.agent.approving import approve as put_on_list
    from deployment.agent.approving import last_approved, read_signature
    from deployment.agent.bundle import load_bundle

    found = load_bundle(path)
    _show(found, last_approved(agent))
    word = read_signature(signature) if signature else None
    if word is None and not yes:
        answer = typer.prompt(f"Approve {found.hash[:16]}... for {agent.region}? Type yes")
        if answer.strip() != "yes":
            typer.echo("Nothing was approved.")
            raise typer.Exit(1)
    entry = put_on_list(agent, found, word)
    typer.echo(f"Approved: {entry.hash}. It counts from the next message on.")


def _show(found: Bundle, before: Bundle | None) -> None:
    from deployment.agent.comparison import compare_with_installed
    from deployment.agent.view import describe_bundle, describe_changes, describe_code

    for line in (
        *describe_bundle(found),
        *describe_changes(before, found),
        *describe_code(compare_with_installed(found)),
    ):
        typer.echo(line)


def _withdraw(agent: Agent, bundle: str) -> None:
    from deployment.agent.approving import withdraw as take_off_list

    entry = take_off_list(agent, bundle)
    typer.echo(f"Withdrawn: {entry.hash}. Its messages are refused from now on.")


def _list(agent: Agent) -> None:
    from deployment.agent.approvals import read_approvals
    from deployment.agent.view import describe_approvals

    for line in describe_approvals(read_approvals(agent.deployment.approvals)):
        typer.echo(line)


app.command()(enrolment_agent.enroll)
app.command()(enrolment_agent.join)
app.command()(agent_doctor.doctor)


@app.command()
def up(
    settings: Settings = Path("agent.toml"),
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay here until told to end; for systemd.")
    ] = False,
) -> None:
    """Start the agent; it goes on in the background until `agent down`.

    Example: fedinterest agent up --settings north/agent.toml
    """
    from deployment.agent.host import run
    from deployment.agent.host import up as start
    from deployment.agent.settings import read_agent

    agent = read_agent(settings)
    if foreground:
        run(agent)
    start(agent)
    typer.echo(f"The agent of {agent.region} is up. `fedinterest agent status` tells how it fares.")


@app.command()
def status(settings: Settings = Path("agent.toml")) -> None:
    """Show how the agent fares; exit status 0 if both of its processes run, else 1.

    Example: fedinterest agent status --settings north/agent.toml
    """
    from deployment.agent.host import status as look
    from deployment.agent.settings import read_agent

    found = look(read_agent(settings))
    for program in found.programs:
        typer.echo(program.line())
    if not found.programs:
        typer.echo("Nothing is supervised: fedinterest agent up.")
    typer.echo(f"Approved bundles: {found.approved}")
    for refused in found.refused:
        typer.echo(f"Refused {refused.time}: {refused.reason}, {refused.shown_hash}")
    raise typer.Exit(0 if found.is_well else 1)


@app.command()
def down(settings: Settings = Path("agent.toml")) -> None:
    """End the agent, after the answer that is under way.

    Example: fedinterest agent down --settings north/agent.toml
    """
    from deployment.agent.host import down as stop
    from deployment.agent.settings import read_agent

    typer.echo("The agent is down." if stop(read_agent(settings)) else "Nothing ran.")


@app.command()
def unit(
    settings: Settings = Path("agent.toml"),
    user: Annotated[
        str | None,
        typer.Option(help="Whom it runs as; left out, the folder's owner.", show_default=False),
    ] = None,
) -> None:
    """Print a hardened unit for systemd that keeps the agent running.

    Example: fedinterest agent unit --settings north/agent.toml > fedinterest-agent-north.service
    """
    from deployment.agent.service import agent_unit
    from deployment.agent.settings import read_agent

    typer.echo(agent_unit(read_agent(settings), user), nl=False)
