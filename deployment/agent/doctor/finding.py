"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands."""

    WELL = "well"
    NOT_CHECKED = "not checked"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome; never a secret, a user's id or a row in it.

    Attributes
    ----------
    name : str
        What was looked at: kebab-case, always the same.
    state : State
    found : str
        One or more sentences.
    remedy : str
        What to do; empty where there is nothing to be done.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


def well(name: str, found: str) -> Finding:
    """Return that all is as it should be."""
    return Finding(name, State.WELL, found)


def not_checked(name: str, found: str, remedy: str = "") -> Finding:
    """Return that this could not be looked at."""
    return Finding(name, State.NOT_CHECKED, found, remedy)


def warning(name: str, found: str, remedy: str) -> Finding:
    """Return that this works now, and will not for long, or is careless."""
    return Finding(name, State.WARNING, found, remedy)


def wrong(name: str, found: str, remedy: str) -> Finding:
    """Return that this keeps the region from answering, or from being safe."""
    return Finding(name, State.WRONG, found, remedy)


def exit_status(findings: list[Finding]) -> int:
    """Return 0 if all is well or could not be checked, 1 for a warning, 2 if something is wrong."""
    states = {finding.state for finding in findings}
    if State.WRONG in states:
        return 2
    return 1 if State.WARNING in states else 0
