"""The verbs, as the command mounts them, and files of an agent for them."""

from __future__ import annotations

from pathlib import Path

import typer
from click.testing import Result
from typer.testing import CliRunner

from commands import enrolment_agent, enrolment_server
from privacy.policy import write_default_policy

app = typer.Typer(pretty_exceptions_enable=False)
_agent, _server = typer.Typer(), typer.Typer()
_agent.command()(enrolment_agent.enroll)
for verb in (
    enrolment_server.token,
    enrolment_server.requests,
    enrolment_server.approve,
    enrolment_server.revoke,
    enrolment_server.nodes,
):
    _server.command()(verb)
app.add_typer(_agent, name="agent")
app.add_typer(_server, name="server")


@_agent.callback()
def _several() -> None:
    """Keep `enroll` a verb, though here it is the only one."""


def run(*arguments: object, answer: str = "") -> Result:
    """Run a command line; an expected error is in ``exception``."""
    return CliRunner().invoke(app, [str(one) for one in arguments], input=answer)


def write_agent(folder: Path, region: str = "north", policy_region: str = "") -> Path:
    """Write an agent's settings and policy; its events and catalogue are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.toml").unlink(missing_ok=True)
    write_default_policy(folder / "policy.toml", policy_region or region)
    settings = folder / "agent.toml"
    settings.write_text(
        f'region = "{region}"\nevents = "events.parquet"\ncatalogue = "catalogue.parquet"\n'
        'policy = "policy.toml"\nledger = "ledger.sqlite"\ncluster-map = "map.npz"\n'
        'rejected-events = "rejected.csv"\ncache = "cache"\n',
        encoding="utf-8",
    )
    return settings


def point_at(settings: Path, server: str, certificate: Path) -> None:
    """Say in agent.toml which server it enrols with."""
    content, _, _ = settings.read_text(encoding="utf-8").partition("[deployment]")
    section = f'[deployment]\nserver = "{server}"\ncertificate = "{certificate}"\n'
    settings.write_text(content + section, encoding="utf-8")


def write_token(folder: Path, text: str) -> Path:
    """Keep a token as its receiver does."""
    path = folder / "token.txt"
    path.touch(0o600)
    path.write_text(text)
    return path
