"""What a server keeps of its run for auditors: ``heads.json`` beside the ledgers.

heads of the regions' ledgers, as received  +  who answered in which round

Whoever compares it with the ledgers sees which of them was rolled back, had its
key exchanged, or tells of other releases than the server received.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from privacy.record_values import LARGEST_COUNT, is_printable, printable
from privacy.signed_head import SignedHead

HEADS = "heads.json"
SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCount:
    """One round of a run, by the server's count.

    Attributes
    ----------
    round_number : int
    purpose : str
    asked, answered, refused, unusable : int
        Clients; whoever was asked and is in none of the others dropped out.
    """

    round_number: int
    purpose: str
    asked: int
    answered: int
    refused: int
    unusable: int

    @property
    def dropped_out(self) -> int:
        """Clients that were asked and never heard of."""
        return max(self.asked - self.answered - self.refused - self.unusable, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """One run, as its server saw it.

    Attributes
    ----------
    run : str
    heads : tuple of SignedHead
        The latest of each region.
    rounds : tuple of RoundCount
    """

    run: str
    heads: tuple[SignedHead, ...]
    rounds: tuple[RoundCount, ...] = ()

    def head_of(self, region: str) -> SignedHead | None:
        """Return a region's head, if it answered."""
        return next((head for head in self.heads if head.region == region), None)


def write_server_record(
    path: Path, heads: Iterable[SignedHead], *, run: str, rounds: Iterable[RoundCount] = ()
) -> None:
    """Write ``heads.json``."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "heads": [asdict(head) for head in heads],
        "rounds": [asdict(count) for count in rounds],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_server_record(path: Path) -> ServerRecord:
    """Read ``heads.json``.

    Raises
    ------
    ValueError
        If it is not one, or a head is not genuine.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"its schema_version is {content['schema_version']!r}")
        record = ServerRecord(
            run=_text(content["run"]),
            heads=tuple(SignedHead.from_json(head) for head in content["heads"]),
            rounds=tuple(_round(count) for count in content["rounds"]),
        )
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} does not hold ledgers' heads ({printable(str(error))})."
        ) from error
    for head in record.heads:
        if not is_printable(head.region):
            raise ValueError(f"{path}: the name {head.region!r} cannot be printed.")
        if not head.is_genuine:
            raise ValueError(f"{path}: the head of {head.region!r} is not signed by its key.")
    return record


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} is no text")
    if not is_printable(value):
        raise ValueError(f"{value!r} cannot be printed")
    return value


def _round(content: dict[str, Any]) -> RoundCount:
    found = {name: type(value) for name, value in content.items()}
    if found != {name: str if name == "purpose" else int for name in RoundCount.__annotations__}:
        raise ValueError(f"a round has {', '.join(map(repr, found))}")
    count = RoundCount(**content)
    _text(count.purpose)
    numbers = [value for value in content.values() if type(value) is int]
    if not all(0 <= number <= LARGEST_COUNT for number in numbers):
        raise ValueError(f"a round has {numbers}")
    return count
