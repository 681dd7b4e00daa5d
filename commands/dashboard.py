"""``fedinterest dashboard``: what an operator opens every morning."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

app = typer.Typer()
user = typer.Typer(help="Who may log in.", no_args_is_help=True)
token = typer.Typer(help="Tokens with which programs read the API.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(token, name="token")

SettingsFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--settings", help="The dashboard's settings (TOML).", show_default=False),
]
Data = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(help="Folder of users and tokens.", show_default=False),
]
RoleName = Annotated[str, typer.Option("--role", help="viewer, or auditor.")]


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context,
    settings: SettingsFile = None,
    store: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The run store: a file, or a database's URL.", show_default=False),
    ] = None,
    host: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Address to listen at; left out, 127.0.0.1.", show_default=False),
    ] = None,
    port: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Port to listen at; left out, 8600.", show_default=False),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Show runs, clusters, regions and budgets in the browser.

    Nobody beyond this machine sees it, unless there are users and TLS: docs/dashboard.md.

    Example: fedinterest dashboard --store runs/dashboard.sqlite --open
    """
    if context.invoked_subcommand is not None:
        return
    read = _settings(settings, store=store, host=host, port=port)

    from server.dashboard.serving import serve
    from server.dashboard.site import create_site

    serve(create_site(read), read, opens=opens)


@user.command("add")
def add_user(
    name: str,
    role: RoleName = "viewer",
    settings: SettingsFile = None,
    data: Data = None,
) -> None:
    """Let NAME log in. The password is asked for, or read from a pipe.

    Example: fedinterest dashboard user add maria --role auditor
    """
    accounts = _accounts(settings, data)
    accounts.add(name, _role(role), _password())
    typer.echo(f"{name} may log in as {role}.")


@user.command("password")
def change_password(name: str, settings: SettingsFile = None, data: Data = None) -> None:
    """Give NAME another password; who is logged in by the old one is logged out.

    Example: fedinterest dashboard user password maria
    """
    _accounts(settings, data).change_password(name, _password())
    typer.echo(f"{name} has another password from now on.")


@user.command("remove")
def remove_user(name: str, settings: SettingsFile = None, data: Data = None) -> None:
    """Shut NAME out, at once.

    Example: fedinterest dashboard user remove maria
    """
    _accounts(settings, data).remove(name)
    typer.echo(f"{name} may log in no more.")


@user.command("list")
def list_users(settings: SettingsFile = None, data: Data = None) -> None:
    """Show who may log in.

    Example: fedinterest dashboard user list
    """
    users = _accounts(settings, data).users()
    for found in users:
        typer.echo(f"{found.name}\t{found.role}\tsince {found.since}")
    if not users:
        typer.echo("There is nobody. Add one: fedinterest dashboard user add NAME")


@token.command("add")
def add_token(
    purpose: str,
    role: RoleName = "viewer",
    days: Annotated[int, typer.Option(help="How long it is valid.")] = 90,
    settings: SettingsFile = None,
    data: Data = None,
) -> None:
    """Make a token for PURPOSE, and show it this once.

    Example: fedinterest dashboard token add prometheus --days 365
    """
    made = _tokens(settings, data).make(purpose, _role(role), days)
    typer.echo("Send it in a header, never in an address: Authorization: Bearer TOKEN", err=True)
    typer.echo(made)


@token.command("remove")
def remove_token(identity: str, settings: SettingsFile = None, data: Data = None) -> None:
    """End the token IDENTITY at once; `token list` shows identities.

    Example: fedinterest dashboard token remove 0123456789ab
    """
    _tokens(settings, data).remove(identity)
    typer.echo(f"Token {identity} is of no use any more.")


@token.command("list")
def list_tokens(settings: SettingsFile = None, data: Data = None) -> None:
    """Show which tokens there are, without their secrets.

    Example: fedinterest dashboard token list
    """
    tokens = _tokens(settings, data).tokens()
    for found in tokens:
        typer.echo(f"{found.id}\t{found.role}\tuntil {found.expires:%Y-%m-%d}\t{found.purpose}")
    if not tokens:
        typer.echo("There is none. Make one: fedinterest dashboard token add PURPOSE")


def _settings(path: Path | None, **options: Any) -> Any:
    require_extra()
    from server.dashboard.settings import read_settings

    return read_settings(path, **options)


def _accounts(path: Path | None, data: Path | None) -> Any:
    settings = _settings(path, data=data)
    from server.dashboard.accounts import Accounts

    return Accounts(settings.data)


def _tokens(path: Path | None, data: Path | None) -> Any:
    settings = _settings(path, data=data)
    from server.dashboard.tokens import Tokens

    return Tokens(settings.data)


def _role(name: str) -> Any:
    from server.dashboard.errors import DashboardError
    from server.dashboard.roles import Role, role_of

    found = role_of(name)
    if found is None:
        raise DashboardError(f"There is no role {name!r}: {', '.join(Role)}. Nothing was changed.")
    return found


def _password() -> str:
    """Return a password from a prompt, twice, or the first line of a pipe."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def require_extra() -> None:
    """Refuse in words where the optional packages are missing."""
    from importlib.util import find_spec

    from server.dashboard.errors import DashboardError

    needed = ("argon2", "itsdangerous", "prometheus_client", "python_multipart", "sse_starlette")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise DashboardError(
            f"The dashboard needs packages that are not installed ({', '.join(missing)}). Nothing "
            "was done. Install them: pip install 'fedinterest[dashboard]'"
        )
