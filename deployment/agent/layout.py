"""A new agent's folder: settings, rules, keys and an empty list of approvals.

region, events, catalogue  ->  agent.toml, policy.toml, ledger, node key, secret, approvals

Nothing that is there already is changed, and nothing is written before everything was checked.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w

from client.catalogue import read_catalogue
from client.errors import EventsError
from client.events import read_events
from client.settings import AgentSettings, DeploymentSettings, read_settings
from deployment.agent.approvals import Approvals, write_approvals
from deployment.agent.errors import AgentError
from deployment.agent.node_key import create_node_key, public_path
from deployment.hosting.secret_files import write_once
from privacy.configuration import kebab
from privacy.ledger import Ledger, witness_beside
from privacy.policy import read_policy, write_default_policy

SETTINGS = "agent.toml"
HEADER = (
    "# One region's agent. Relative paths start at this folder. The server never sees this file.\n"
)


@dataclass(frozen=True, kw_only=True)
class NewAgent:
    """What was laid out.

    Attributes
    ----------
    folder : Path
    public_key : str
        Signs releases and the ledger; in hexadecimal.
    node_key : str
        Public; a line of OpenSSH, for the server's operator.
    n_events, n_rejected, n_items : int
        Rows of the events that can and cannot be used, items of the catalogue. Exact: they are
        the operator's, and never leave this machine.
    """

    folder: Path
    public_key: str
    node_key: str
    n_events: int
    n_rejected: int
    n_items: int


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many events can and cannot be used, and how many items there are."""

    used: int
    rejected: int
    items: int


def lay_out(
    folder: Path,
    *,
    region: str,
    events: Path,
    catalogue: Path,
    server: str | None,
    port: int,
    authority: str = "",
    server_keys: Sequence[str] = (),
) -> NewAgent:
    """Make an agent's folder.

    Parameters
    ----------
    folder : Path
    region : str
    events, catalogue : Path
        Files that are there already; they stay where they are.
    server : str, optional
        ``host:port``.
    port : int
        Where the node will give tasks to the executor, on this machine.
    authority : str
        The certificate that vouches for the server, in PEM; empty, the operator adds it.
    server_keys : sequence of str
        Public keys that the policy pins.

    Raises
    ------
    AgentError, PolicyError, SettingsError, KeyFileError
        If something is there already, a value is wrong, or a file cannot be written.
    EventsError, CatalogueError
        If the region's files cannot be read.
    """
    folder = folder.resolve()
    content = _settings(region, events.resolve(), catalogue.resolve(), server, port)
    deployment = DeploymentSettings.model_fields
    ledger, signing_key = folder / "ledger.sqlite", folder / "ledger.key"
    secret, node_key, approvals, certificate = (
        folder / str(deployment[name].default)
        for name in ("runtime_secret", "node_key", "approvals", "certificate")
    )
    settings, policy = folder / SETTINGS, folder / "policy.toml"
    made = [settings, policy, ledger, signing_key, secret, node_key, public_path(node_key)]
    _refuse_existing([*made, approvals, *([certificate] if authority else [])])
    counted = _read(events, catalogue, content)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_default_policy(policy, region, server_keys)
    if authority:
        write_once(certificate, authority.encode(), mode=0o644)
    # Ledger and key are made together: a key without its ledger means that one was lost.
    public = Ledger(
        ledger, read_policy(policy), key=signing_key, witness=witness_beside(ledger)
    ).public_key
    node = create_node_key(node_key)
    write_once(secret, secrets.token_hex(32).encode())
    write_approvals(approvals, Approvals())
    # Last: while it is missing, nothing can be started in this folder.
    write_once(settings, (HEADER + tomli_w.dumps(content)).encode())
    return NewAgent(
        folder=folder,
        public_key=public,
        node_key=node,
        n_events=counted.used,
        n_rejected=counted.rejected,
        n_items=counted.items,
    )


def _settings(
    region: str, events: Path, catalogue: Path, server: str | None, port: int
) -> dict[str, Any]:
    deployment = {"server": server} if server else {}
    return {
        "region": region,
        "events": str(events),
        "catalogue": str(catalogue),
        "policy": "policy.toml",
        "ledger": "ledger.sqlite",
        "signing-key": "ledger.key",
        "cluster-map": "cluster-map.npz",
        "rejected-events": "rejected.csv",
        "cache": "cache",
        "deployment": deployment
        | {
            kebab(name): str(field.default)
            for name, field in DeploymentSettings.model_fields.items()
            if field.annotation is Path
        }
        | {"runtime-port": port},
    }


def _refuse_existing(paths: Sequence[Path]) -> None:
    found = [str(path) for path in paths if os.path.lexists(path)]
    if found:
        raise AgentError(
            f"{', '.join(found)} exist already. Nothing was written. Choose another folder, or "
            "move them away if this agent has never answered: its ledger needs its key."
        )


def _read(events: Path, catalogue: Path, content: dict[str, Any]) -> RowCounts:
    """Check settings and files as the client will; return how much is in them."""
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "agent.toml"
        trial.write_text(tomli_w.dumps(content), encoding="utf-8")
        counted = count_rows(read_settings(trial))
    if not counted.used:
        raise EventsError(
            f"{events} has no event that can be used with {catalogue}. Nothing was written."
        )
    return counted


def count_rows(settings: AgentSettings) -> RowCounts:
    """Count what the client will be able to use; nothing of the agent's is written.

    Raises
    ------
    EventsError, CatalogueError
        If a file cannot be read.
    """
    with TemporaryDirectory() as folder:
        items = read_catalogue(settings.catalogue)
        rejected = Path(folder) / "rejected.csv"
        table = read_events(settings.events, items.item_ids, rejected)
        return RowCounts(len(table), sum(1 for _ in _rows(rejected)), len(items.item_ids))


def _rows(path: Path) -> Iterator[str]:
    """Yield the lines of a CSV file after its head; none, if there is no file."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            next(file, None)
            yield from file
