"""The verbs of `fedinterest server` for what comes up once in months."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def new_authority(
    folder: Path,
    switch: Annotated[
        bool, typer.Option("--switch", help="Put the prepared authority in force.")
    ] = False,
) -> None:
    """Change the certificate authority of the server in FOLDER, in two steps.

    First it is prepared, and regions add its certificate to their ca.crt, so that they trust both.
    Then, with the server down, --switch puts it in force, with new keys for TLS.

    Example: fedinterest server new-authority server
    """
    from deployment.server.authority import prepare_authority, switch_authority

    if switch:
        made, old = switch_authority(folder)
        typer.echo(f"In force from the next `server up` on: {made.certificate.fingerprint}")
        typer.echo(
            f"The old one lies in {old}. Regions take it out of their ca.crt; then remove it."
        )
        return
    made = prepare_authority(folder)
    typer.echo(f"Regions add {made.file} to their ca.crt: cat NEW >> ca.crt, then agent down, up.")
    typer.echo(f"Its SHA-256 is {made.certificate.fingerprint}")
    typer.echo("Once all have: fedinterest server down, then this with --switch, then up.")


def unit(
    folder: Path,
    user: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Whom it runs as; left out, the folder's owner.", show_default=False),
    ] = None,
) -> None:
    """Print a hardened unit for systemd that keeps the server in FOLDER running.

    Example: fedinterest server unit server > fedinterest-server.service
    """
    from deployment.server.service import server_unit

    typer.echo(server_unit(folder, user), nl=False)
