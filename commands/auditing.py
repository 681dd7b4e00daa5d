"""``fedinterest audit``: whether ledgers hold what was promised."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from server.run_store.opening import Store


def audit(
    paths: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(show_default=False),
    ] = None,
    heads: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="What a server kept, besides heads.json beside the ledgers."),
    ] = None,
    witness: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A witness, besides any beside its ledger; may be repeated."),
    ] = None,
    policy: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="A policy that was approved; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for audit.json and audit.html."),
    ] = None,
    sign: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The officer's key, to sign the JSON (from `fedinterest key`)."),
    ] = None,
    empirical: Annotated[
        bool, typer.Option("--empirical", help="Examine this program's mechanism, by trying.")
    ] = False,
    noise: Annotated[str, typer.Option(help="With --empirical: the noise to examine.")] = (
        "discrete"
    ),
    store: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Run store that keeps the result: a file, or a PostgreSQL URL."),
    ] = None,
    check: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Tell whether a signed audit.json was changed, instead of auditing."),
    ] = None,
    officer: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="With --check: the officer's public key, or a file that holds it."),
    ] = None,
) -> None:
    """Audit ledgers: is what was promised what was spent? Exit status 0 if so, 1 if not.

    PATHS are ledgers, folders of ledgers, or a run's folder.

    Exit status 2 means that there was nothing that could be audited.

    Example: fedinterest audit runs/demo --out runs/demo --sign officer.key
    """
    from privacy.audit.evidence import EvidenceError
    from server.audit_view import show_audit, show_signature

    if check is not None:
        from privacy.audit.sealing import officers_key, read_sealed

        expected = officers_key(officer) if officer else None
        report = read_sealed(check)
        show_signature(report, expected)
        raise typer.Exit(0 if report.is_signed_by(expected) else 1)
    if officer:
        raise EvidenceError("--officer is for --check. Nothing was audited.")
    if sign and out is None and not as_json:
        raise EvidenceError(
            "--sign signs the JSON report, and none was asked for. Nothing was audited. Add --out "
            "FOLDER or --json."
        )
    if not paths and not empirical:
        raise EvidenceError(
            "No ledger was named. Nothing was audited. Name ledgers or a run's folder, or ask for "
            "--empirical."
        )

    from privacy.audit.auditing import Audit
    from privacy.audit.auditing import audit as look
    from privacy.audit.document import pieces, present_setting
    from privacy.audit.ledger_audit import Verdict
    from privacy.signing import SigningKey

    key = SigningKey.load(sign) if sign else None
    kept = _opened(store) if store else None  # a wrong place is told before anything is looked at
    found = Audit()
    if paths:
        found = look(
            paths,
            heads=heads or (),
            witnesses=witness or (),
            policies=policy or (),
            with_details=as_json or out is not None,
        )
    pipeline = None
    if empirical:
        import logging

        from privacy.audit.experiment import examine
        from simulations.given_vectors import noise_kind_of
        from simulations.pipeline_audit import audit_pipeline

        logging.getLogger("flwr").setLevel(logging.ERROR)  # its own lines about the attacked run
        found.checks = examine(noise=noise_kind_of(noise))
        pipeline = audit_pipeline(epsilon=4.0, seed=1).told()
    setting = present_setting(pipeline)
    if out is not None:
        from server.audit_files import DOCUMENT, PAGE, write_audit

        write_audit(out, found, setting, key)
    if as_json:
        from privacy.audit.sealing import sealed

        sys.stdout.writelines(sealed(pieces(found, setting), key))
    else:
        show_audit(found, pipeline)
        if out is not None:
            typer.echo(f"Report: {out / PAGE}, {out / DOCUMENT}")
    if kept is not None:
        from server.run_store.audits import record_audit

        audit_id = record_audit(kept, found, setting, paths=paths or [], key=key)
        typer.echo(f"Kept in {kept.place} as {audit_id[:12]}.", err=as_json)
    statuses = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNUSABLE: 2}
    raise typer.Exit(statuses[found.verdict])


def _opened(place: str) -> Store:
    from server.run_store.opening import open_store

    return open_store(place)
