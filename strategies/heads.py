"""The signed heads of the regions' ledgers, as a server received them.

answers  ->  the latest genuine head of each region  ->  ``heads.json``

An auditor compares them with the ledgers: one that was rolled back, or whose
key was exchanged, does not contain them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from privacy.release import LEDGER_UNUSABLE, Answer, Refusal
from privacy.signed_head import SignedHead

SCHEMA_VERSION = 1


class HeadBook:
    """One server's record of the regions' heads; the first key that it sees of a region stays."""

    def __init__(self) -> None:
        self._heads: dict[str, SignedHead] = {}
        self._seen: dict[tuple[str, int], str] = {}

    def objection(self, answer: Answer) -> str | None:
        """Return why ``answer`` cannot be used, or None after noting its head.

        A refusal without a head tells that the region's ledger cannot be used;
        nothing else may come without one.
        """
        if answer.head is None:
            return None if _is_headless_refusal(answer) else "it has no signed head"
        if not answer.is_genuine:
            return "its signature is wrong"
        known = self._heads.get(answer.region)
        if known is not None and known.public_key != answer.head.public_key:
            return "it is signed with another key than the answers before"
        place = (answer.region, answer.head.sequence)
        if known is not None and answer.head.sequence <= known.sequence:
            if self._seen.get(place) != answer.head.head:
                return "its ledger has been rolled back since the answer before"
            return None  # the same answer, sent again
        self._seen[place] = answer.head.head
        self._heads[answer.region] = answer.head
        return None

    def __iter__(self) -> Iterator[SignedHead]:
        """Go through the latest heads, in the order of the regions' names."""
        return iter([self._heads[region] for region in sorted(self._heads)])


def write_heads(path: Path, heads: Iterable[SignedHead], *, run: str) -> None:
    """Write ``heads.json``."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "heads": [asdict(head) for head in heads],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_heads(path: Path) -> list[SignedHead]:
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
        heads = [SignedHead.from_json(head) for head in content["heads"]]
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not hold ledgers' heads ({error}).") from error
    for head in heads:
        if not head.is_genuine:
            raise ValueError(f"{path}: the head of {head.region!r} is not signed by its key.")
    return heads


def _is_headless_refusal(answer: Answer) -> bool:
    return isinstance(answer, Refusal) and answer.reason == LEDGER_UNUSABLE
