"""The signed heads of the regions' ledgers, as a server receives them.

answers  ->  the latest genuine head of each region

:mod:`privacy.server_record` keeps them for auditors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from privacy.release import LEDGER_UNUSABLE, Answer, Refusal
from privacy.signed_head import SignedHead


class HeadBook:
    """One server's record of the regions' heads; the first key that it sees of a region stays.

    A key is one region's: whoever answers under a second name with it counts once.
    """

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
        if other := self._owner(answer.head.public_key, answer.region):
            return f"its key is that of {other!r}, which counts already"
        place = (answer.region, answer.head.sequence)
        if known is not None and answer.head.sequence <= known.sequence:
            if self._seen.get(place) != answer.head.head:
                return "its ledger has been rolled back since the answer before"
            return None  # the same answer, sent again
        self._seen[place] = answer.head.head
        self._heads[answer.region] = answer.head
        return None

    def _owner(self, key: str, region: str) -> str | None:
        """Return another region than ``region`` that signs with ``key``, if there is one."""
        for name, head in self._heads.items():
            if head.public_key == key and name != region:
                return name
        return None

    def kept(self) -> dict[str, Any]:
        """Return what an interrupted run needs to go on: the latest heads, and all seen ones."""
        return {"heads": dict(self._heads), "seen": dict(self._seen)}

    def restore(self, kept: dict[str, Any]) -> None:
        """Know again what :meth:`kept` returned."""
        self._heads, self._seen = dict(kept["heads"]), dict(kept["seen"])

    def __iter__(self) -> Iterator[SignedHead]:
        """Go through the latest heads, in the order of the regions' names."""
        return iter([self._heads[region] for region in sorted(self._heads)])


def _is_headless_refusal(answer: Answer) -> bool:
    return isinstance(answer, Refusal) and answer.reason == LEDGER_UNUSABLE
