"""What one check of the examination found, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckKind(StrEnum):
    """What a check's verdict rests on."""

    EXACT = "exact"
    """Every case that was tried holds, to the last bit. It says nothing of other cases."""
    STATISTICAL = "statistical"
    """What was drawn is no surprise; the check's error bounds how often it is by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question put to the door, and the answer.

    Attributes
    ----------
    name : str
        In kebab-case.
    question : str
        In one sentence; ``passed`` means yes.
    passed : bool
    kind : CheckKind
    measured, bound : float
        What was found, and the limit it was held against; ``detail`` says which way.
    confidence : float
        One less the probability that an intact door fails; 1 where nothing is left to chance.
    detail : str
        For people: figures with their units, what failed first, the check's power.
    """

    name: str
    question: str
    passed: bool
    kind: CheckKind
    measured: float
    bound: float
    confidence: float
    detail: str


def exactly(name: str, question: str, faults: int, detail: str) -> Check:
    """Return an exact check that passes if there are no faults."""
    return Check(
        name=name,
        question=question,
        passed=faults == 0,
        kind=CheckKind.EXACT,
        measured=float(faults),
        bound=0.0,
        confidence=1.0,
        detail=detail,
    )
