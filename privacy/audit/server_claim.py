"""What a server's published report claims of a run, as far as ledgers can tell.

``report.json``  ->  run, every epsilon that it tells, delta, releases
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from privacy.accountant import Adjacency
from privacy.query import NoiseKind, TrustModel
from privacy.record_values import is_printable
from privacy.statement import statement

REPORT = "report.json"
_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_FACTOR = re.compile(rf"e\^{_NUMBER}")
"""How a sentence of privacy tells epsilon: ``a factor e^4``."""
_PROBABILITY = re.compile(rf"probability of {_NUMBER}")
"""How it tells delta."""


@dataclass(frozen=True, slots=True)
class Told:
    """One more epsilon that a report tells.

    Attributes
    ----------
    where : str
    epsilon, delta : float
    """

    where: str
    epsilon: float
    delta: float


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
    adjacency, unit, trust_model, noise : str
        Empty where the report does not say, or says what nobody knows.
    told : tuple of Told
        In its sentence, by each accountant, and for the lifetime.
    sentence_fits : bool
        Whether its sentence is the one that its figures make.
    """

    path: Path
    run: str
    epsilon: float | None
    delta: float
    releases: int
    adjacency: str = ""
    unit: str = ""
    trust_model: str = ""
    noise: str = ""
    told: tuple[Told, ...] = ()
    sentence_fits: bool = False


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
        epsilon, delta = _figure(privacy["epsilon"]), float(_typed(privacy["delta"], float))
        trust = _known(report["run"].get("trust_model"), TrustModel)
        claim = ServerClaim(
            path=path,
            run=_typed(run, str),
            epsilon=epsilon,
            delta=delta,
            releases=_typed(privacy["releases"], int),
            adjacency=_known(privacy.get("adjacency"), Adjacency),
            unit=_typed(privacy.get("unit", ""), str),
            trust_model=trust,
            noise=_known(privacy.get("noise"), NoiseKind),
            told=tuple(_told(privacy, delta)),
            sentence_fits=_sentence_fits(privacy, epsilon, delta, trust),
        )
        _check(claim)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{path} is not a run's report.") from error
    return claim


def _told(privacy: dict[str, Any], delta: float) -> Iterator[Told]:
    """Go through what is told beside epsilon itself; of a sentence the strongest reading."""
    by_accountant = _typed(privacy.get("epsilon_by_accountant", {}), dict)
    figures = {f"by {_typed(name, str)}": told for name, told in by_accountant.items()}
    figures["for the lifetime"] = privacy.get("lifetime_epsilon")
    for where, told in figures.items():
        if (epsilon := _figure(told)) is not None:
            yield Told(where, epsilon, delta)
    sentence = _typed(privacy.get("statement", ""), str)
    if factors := _FACTOR.findall(sentence):
        deltas = [float(found) for found in _PROBABILITY.findall(sentence)]
        yield Told("in its sentence", min(map(float, factors)), min([delta, *deltas]))


def _sentence_fits(
    privacy: dict[str, Any], epsilon: float | None, delta: float, trust: str
) -> bool:
    """Tell whether the sentence is the one that the report's own figures make."""
    noise = _known(privacy.get("noise"), NoiseKind)
    if not (trust and noise):
        return False
    return bool(
        privacy.get("statement")
        == statement(
            epsilon,
            delta,
            window=str(privacy.get("window", "")),
            trust_model=TrustModel(trust),
            seeded=noise == NoiseKind.SEEDED,
        )
    )


def _check(claim: ServerClaim) -> None:
    """Raise unless the claim can be compared with anything."""
    epsilons = [0.0 if claim.epsilon is None else claim.epsilon]
    epsilons += [told.epsilon for told in claim.told]
    if not all(math.isfinite(epsilon) and epsilon >= 0 for epsilon in epsilons):
        raise ValueError(f"its epsilons are {epsilons}")
    if not all(0 < delta < 1 for delta in (claim.delta, *(told.delta for told in claim.told))):
        raise ValueError("it has a delta that is none")
    words = [claim.run, *(told.where for told in claim.told)]
    if not all(map(is_printable, words)):
        raise ValueError("a name is no text for people")
    if claim.releases < 0:
        raise ValueError(f"it counts {claim.releases} releases")


def _known(value: Any, words: type[StrEnum]) -> str:
    """Return a word of a report; empty where it has none, or none of those that are known."""
    word = "" if value is None else _typed(value, str)
    return word if word in tuple(words) else ""


def _figure(value: Any) -> float | None:
    """Return a number of a report; None where it has none."""
    return None if value is None else float(_typed(value, float, int))


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _typed(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise TypeError(f"{value!r}")
    return value
