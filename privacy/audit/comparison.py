"""What comparing ledgers comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from privacy.audit.evidence import LEDGERS
from privacy.audit.ledger_audit import LedgerAudit


@dataclass(slots=True)
class Comparison:
    """What ledgers say together.

    Attributes
    ----------
    faults, unchecked : list of str
        Of no ledger alone.
    disagreeing : list of str
        Regions whose ledger and whose server tell different things.
    counting : list of LedgerAudit
        One of each region: a copy charges for nothing.
    unread : list of Path
        Ledgers that could not be read: what is missing may be in there.
    """

    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)
    counting: list[LedgerAudit] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)

    def unread_in(self, home: Path) -> int:
        """Return how many of a run's ledgers could not be read, by the run's or their folder."""
        folders = {one.resolve() for one in (home, home / LEDGERS)}
        return sum(path.parent.resolve() in folders for path in self.unread)
