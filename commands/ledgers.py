"""``fedinterest ledger``: a region's own record of what it released."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(help="A region's own record of what it released.", no_args_is_help=True)

KeyOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--key", help="The ledger's signing key; left out, beside the ledger."),
]
WitnessOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--witness", help="File that keeps the ledger's signed heads."),
]


@app.command("show")
def show_ledger(
    path: Path,
    policy: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The region's policy, for what is left."),
    ] = None,
) -> None:
    """Show what is spent and left, what was released, and what was refused and why.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger show ledger.sqlite --policy policy.toml
    """
    from client.operator_view import show_ledger as show
    from privacy.ledger_check import read_account
    from privacy.policy import read_policy

    show(read_account(path), read_policy(policy) if policy else None)


@app.command("verify")
def verify_ledger(
    path: Path,
    witness: WitnessOption = None,
    heads: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="heads.json, as a server received the ledgers' heads."),
    ] = None,
) -> None:
    """Check a ledger's chain, signatures and heads. Exit status 1 if anything does not hold.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger verify ledger.sqlite --witness witness.jsonl --heads heads.json
    """
    from client.operator_view import show_verification
    from privacy.errors import LedgerError
    from privacy.ledger_check import verify_ledger as verify
    from privacy.server_record import read_server_record

    try:
        received = read_server_record(heads).heads if heads else None
    except ValueError as error:
        raise LedgerError(str(error)) from error
    found = verify(path, witness=_witness_of(path, witness), heads=received)
    show_verification(str(path), found)
    raise typer.Exit(0 if found.holds else 1)


@app.command("renew")
def renew_ledger(
    path: Path,
    policy: Annotated[Path, typer.Option(help="The region's policy.")],
    key: KeyOption = None,
    witness: WitnessOption = None,
) -> None:
    """Open the next time window, where the policy leaves that to the operator.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger renew ledger.sqlite --policy policy.toml
    """
    from privacy.errors import LedgerError
    from privacy.ledger import Ledger
    from privacy.policy import read_policy

    if not path.exists():
        raise LedgerError(f"There is no ledger in {path}. Nothing was renewed.")
    checked, kept = read_policy(policy), _witness_of(path, witness)
    window = Ledger(path, checked, key=key, witness=kept).renew()
    typer.echo(f"Window {window.name} is open; its budget is the policy's.")


@app.command("adopt")
def adopt_ledger(
    path: Path,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    key: KeyOption = None,
    witness: WitnessOption = None,
) -> None:
    """Take over a ledger that was moved or restored; no other copy may be in use.

    PATH is the region's ledger (SQLite).

    Example: fedinterest ledger adopt ledger.sqlite --reason "new disk, old one destroyed"
    """
    from privacy.ledger import witness_beside
    from privacy.ledger_care import adopt_ledger as adopt

    head = adopt(path, key=key, witness=witness or witness_beside(path), reason=reason)
    typer.echo(f"{path} is {head.region}'s ledger from record {head.sequence} on.")


def _witness_of(ledger: Path, given: Path | None) -> Path | None:
    """Return the witness that was named, or else the one that lies beside the ledger."""
    from privacy.ledger import witness_beside

    beside = witness_beside(ledger)
    return given or (beside if beside.exists() else None)
