"""The verb of `fedinterest agent` that finds what is wrong at a region."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MARKS = {"well": "ok", "not checked": "?", "warning": "!", "wrong": "WRONG"}


def doctor(
    settings: Annotated[Path, typer.Option(help="The region's agent.toml.")] = Path("agent.toml"),
    json_: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Find what is wrong at a region, and say what to do. Changes nothing, and spends nothing.

    Exit status 0: all is well; 1: a warning; 2: something is wrong.

    Example: fedinterest agent doctor --settings north/agent.toml
    """
    import json
    from dataclasses import asdict

    from deployment.agent.doctor.examination import examine
    from deployment.agent.doctor.finding import exit_status

    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not json_:
            typer.echo(f"{MARKS[finding.state]:<6}{finding.name:<22}{finding.found}")
            if finding.remedy:
                typer.echo(f"{'':<28}-> {finding.remedy}")
    status = exit_status(findings)
    if json_:
        told = {"status": status, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(told, indent=1))
    raise typer.Exit(status)
