"""What a server's published report claims of a run, as far as ledgers can tell.

``report.json``  ->  run, every epsilon that it tells, delta, releases
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from privacy.record_values import is_printable

REPORT = "report.json"
SENTENCE = "in its sentence"
_FACTOR = re.compile(r"e\^(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
"""How a sentence of privacy tells epsilon: ``a factor e^4``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerClaim:
    """One report's claim.

    Attributes
    ----------
    path : Path
    run : str
    epsilon : float, optional
        None where the report promises nothing.
    delta : float
    releases : int
        Of all regions together.
    adjacency, unit : str
        Of whom it promises; empty where the report does not say.
    told : dict of str to float
        Every other epsilon that it tells: in its sentence, and by each accountant.
    """

    path: Path
    run: str
    epsilon: float | None
    delta: float
    releases: int
    adjacency: str = ""
    unit: str = ""
    told: dict[str, float] = field(default_factory=dict)

    @property
    def has_sentence(self) -> bool:
        """Whether its sentence tells an epsilon."""
        return SENTENCE in self.told


def read_claim(path: Path) -> ServerClaim:
    """Read what a report claims.

    Raises
    ------
    ValueError
        If it cannot be read, or is no report of a run.
    """
    try:
        text = path.read_text(encoding="utf-8")
        report = json.loads(text, object_pairs_hook=_each_key_once)
        run, privacy = report["run"]["id"], report["privacy"]
        epsilon = privacy["epsilon"]
        claim = ServerClaim(
            path=path,
            run=_typed(run, str),
            epsilon=None if epsilon is None else float(_typed(epsilon, float, int)),
            delta=float(_typed(privacy["delta"], float)),
            releases=_typed(privacy["releases"], int),
            adjacency=_typed(privacy.get("adjacency", ""), str),
            unit=_typed(privacy.get("unit", ""), str),
            told=_told(privacy),
        )
        _check(claim)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{path} is not a run's report.") from error
    return claim


def _told(privacy: dict[str, Any]) -> dict[str, float]:
    """Return the epsilons of the sentence (the smallest) and of the accountants."""
    by_accountant = _typed(privacy.get("epsilon_by_accountant", {}), dict)
    told = {
        f"by {_typed(name, str)}": float(_typed(epsilon, float, int))
        for name, epsilon in by_accountant.items()
        if epsilon is not None
    }
    if factors := _FACTOR.findall(_typed(privacy.get("statement", ""), str)):
        told[SENTENCE] = min(map(float, factors))
    return told


def _check(claim: ServerClaim) -> None:
    """Raise unless the claim can be compared with anything."""
    epsilons = [0.0 if claim.epsilon is None else claim.epsilon, *claim.told.values()]
    if not all(math.isfinite(epsilon) and epsilon >= 0 for epsilon in epsilons):
        raise ValueError(f"its epsilons are {epsilons}")
    if not all(map(is_printable, claim.told)):
        raise ValueError("an accountant's name is no text for people")
    if not 0 < claim.delta < 1:
        raise ValueError(f"its delta is {claim.delta}")
    if claim.releases < 0 or not is_printable(claim.run):
        raise ValueError(f"it counts {claim.releases} releases in run {claim.run!r}")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _typed(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise TypeError(f"{value!r}")
    return value
