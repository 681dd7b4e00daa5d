"""What an officer sees of an audit in a terminal: the claim, what does not hold, who is where.

Audit  ->  a few lines, and a row for each ledger that deserves attention
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from privacy.audit.auditing import Audit
from privacy.audit.claims import claim, first_of, together
from privacy.audit.ledger_audit import LedgerAudit, Span, Verdict
from privacy.audit.sealing import SignedReport
from privacy.audit.side_by_side import by_attention, near_limit
from privacy.record_values import printable

console = Console(highlight=False)

ROWS = 25
COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.UNUSABLE: "yellow"}


def show_audit(audit: Audit, pipeline: Mapping[str, Any] | None = None) -> None:
    """Show an audit: the claim first, then what does not hold, then the rest."""
    if audit.is_simulated:
        console.print("[bold yellow]SIMULATED[/]: these clients do not exist; nobody is protected.")
    verdict, _, sentence = claim(audit).partition(": ")
    console.print(
        f"[bold {COLOURS[audit.verdict]}]{verdict}[/]: {_plain(sentence)}", soft_wrap=True
    )
    for fault in [*_about(audit, "faults"), *audit.comparison.faults]:
        _tell("red", "FAIL", fault)
    if audit.ledgers:
        _show_ledgers(audit)
    for sentence in first_of(_about(audit, "incidents")):
        _tell("yellow", "noted", sentence)
    for sentence in first_of([*_about(audit, "unchecked"), *audit.comparison.unchecked]):
        _tell("yellow", "not checked", sentence)
    _show_checks(audit)
    if pipeline:
        console.print(str(pipeline["sentence"]), soft_wrap=True)


def _about(audit: Audit, what: str) -> list[str]:
    """Return sentences about ledgers, each once with the regions in front."""
    return together(
        (one.region or Path(one.path).name, sentence)
        for one in [*audit.ledgers, *audit.servers]
        for sentence in getattr(one, what)
    )


def _tell(colour: str, what: str, sentence: str) -> None:
    console.print(f"[{colour}]{what}[/] {_plain(sentence)}", soft_wrap=True)


def _plain(text: str) -> str:
    """Return a text as it may reach a terminal: it steers nothing, and is no markup."""
    return escape(printable(text))


def _show_ledgers(audit: Audit) -> None:
    table = Table(title="Ledgers, those that deserve most attention first", title_justify="left")
    for column in ("region", "verdict", "releases", "refused", "window", "lifetime", "left"):
        table.add_column(column, justify="left" if column in ("region", "verdict") else "right")
    for one in [*by_attention(audit.ledgers)[:ROWS], *audit.servers]:
        colour = COLOURS[one.verdict]
        table.add_row(
            _plain(one.region or Path(one.path).name),
            f"[{colour}]{one.verdict}[/]",
            str(one.releases),
            str(sum(one.refusals.values())),
            _spent(one.windows[-1] if one.windows else None),
            _spent(one.lifetime),
            _left(one),
        )
    console.print(table)
    if (more := len(audit.ledgers) - ROWS) > 0:
        near = len({one.path for one, _, _ in near_limit(audit.ledgers)})
        console.print(f"... and {more} more; {near} of all are near a limit.")


def _spent(span: Span | None) -> str:
    if span is None:
        return "-"
    limit = "" if span.limit is None else f" of {span.limit:g}"
    return f"{span.cost.epsilon:.4f}{limit}"


def _left(one: LedgerAudit) -> str:
    left = [span.left for span in one.spans[-2:] if span.left is not None]
    return f"{min(left):.4f}" if left else "-"


def _show_checks(audit: Audit) -> None:
    for check in audit.checks:
        colour, word = ("green", "PASS") if check.passed else ("red", "FAIL")
        console.print(
            f"[{colour}]{word}[/] {_plain(check.name)}: {_plain(check.detail)}", soft_wrap=True
        )


def show_signature(report: SignedReport, officer: str | None = None) -> None:
    """Show whether a signed report is as it was signed, by whom, and what it says.

    Parameters
    ----------
    report : SignedReport
    officer : str, optional
        The key that should have signed it.
    """
    key = _plain(report.public_key)
    if not report.is_genuine:
        _tell("red", "FAIL", "The report has been changed since it was signed.")
        return
    if officer is None:
        told = f"Signed by the owner of key {key}, and not changed since; compare {key} with the "
        _tell("yellow", "UNCHANGED", f"{told}officer's key, or name that with --officer.")
    elif officer != report.public_key:
        told = f"Signed by the owner of key {key}, who is not the officer ({officer})."
        _tell("red", "FAIL", told)
        return
    else:
        _tell("green", "OK", f"Signed by the officer, the owner of key {key}; not changed since.")
    console.print(f"SHA-256 of the audit, as on its page: {report.digest}", soft_wrap=True)
    console.print(f"It says: {_plain(str(report.content.get('claim')))}", soft_wrap=True)
