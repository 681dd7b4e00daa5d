"""What there is to look at: ledgers, what servers kept, witnesses and approved policies.

paths that an officer names  ->  Evidence
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from privacy.audit.server_claim import REPORT, ServerClaim, read_claim
from privacy.errors import LedgerError, PrivacyError
from privacy.policy import Policy, read_policy
from privacy.server_record import HEADS, ServerRecord, read_server_record
from privacy.signed_head import SignedHead, Witness

LEDGERS = "ledgers"
SERVER_LEDGER = "server-ledger.sqlite"
PATTERN = "*.sqlite"


class EvidenceError(PrivacyError):
    """Inputs that cannot be audited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecord:
    """What a server kept of a run, and where.

    Attributes
    ----------
    path : Path
    record : ServerRecord
    folder : Path, optional
        That all its ledgers should lie in; None where ledgers were named one by one, so
        that one which is not here need not be missing.
    """

    path: Path
    record: ServerRecord
    folder: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found.

    Attributes
    ----------
    ledgers : tuple of Path
        Of clients.
    server_ledgers : tuple of Path
        Of servers that added noise under ``central``.
    records : tuple of KeptRecord
    claims : tuple of ServerClaim
        What servers published of runs whose ledgers are here.
    witnesses : dict of Path to tuple of SignedHead
        That were named, and the heads that they kept.
    policies : dict of Path to Policy
        That an officer approved.
    folders : frozenset of Path
        Whose ledgers are all here.
    unused : tuple of str
        What lies there and was not looked at, and why.
    """

    ledgers: tuple[Path, ...]
    server_ledgers: tuple[Path, ...]
    records: tuple[KeptRecord, ...]
    claims: tuple[ServerClaim, ...]
    witnesses: dict[Path, tuple[SignedHead, ...]]
    policies: dict[Path, Policy]
    folders: frozenset[Path]
    unused: tuple[str, ...]

    @property
    def heads(self) -> list[SignedHead]:
        """All heads that servers and named witnesses kept."""
        servers = [head for kept in self.records for head in kept.record.heads]
        return [*servers, *(head for heads in self.witnesses.values() for head in heads)]

    def last_witnessed(self, region: str) -> int:
        """Return the last record of a region that a named witness kept a head of; 0 of none."""
        heads = [head for heads in self.witnesses.values() for head in heads]
        return max((head.sequence for head in heads if head.region == region), default=0)

    @property
    def files(self) -> list[Path]:
        """Return everything beside the ledgers that the audit rests on."""
        return [
            *(kept.path for kept in self.records),
            *(claim.path for claim in self.claims),
            *self.witnesses,
            *self.policies,
        ]


def find_evidence(
    paths: Sequence[Path],
    *,
    heads: Sequence[Path] = (),
    witnesses: Sequence[Path] = (),
    policies: Sequence[Path] = (),
) -> Evidence:
    """Find the ledgers in files and folders, and what belongs to them.

    Parameters
    ----------
    paths : sequence of Path
        Ledgers, folders of ledgers, or runs' folders. A run's folder at a server may hold no
        ledger: what was kept and published there is compared with the ledgers of the others.
    heads : sequence of Path
        What servers kept, besides any ``heads.json`` beside the ledgers.
    witnesses, policies : sequence of Path

    Raises
    ------
    EvidenceError
        If there is nothing to audit, or a file that came with the ledgers cannot be used.
    PolicyError
        If an approved policy cannot be used.
    """
    found = _Ledgers()
    for path in paths:
        found.add(path)
    if not found.ledgers and not found.servers:
        raise EvidenceError("No ledger was named. Nothing was audited.")
    homes = [*found.folders, *found.runs, *(path.parent for path in found.ledgers.values())]
    claims, unused = _claims(homes)
    beside = {
        (home / HEADS).resolve(): home for home in reversed(homes) if (home / HEADS).is_file()
    }
    only = found.folders[0] if len(found.folders) == 1 and not found.has_files else None
    records = [
        _kept(home / HEADS, home if home in found.folders else None) for home in beside.values()
    ]
    records += [_kept(path, only) for path in heads if path.resolve() not in beside]
    return Evidence(
        ledgers=tuple(found.ledgers.values()),
        server_ledgers=tuple(found.servers.values()),
        records=tuple(records),
        claims=claims,
        witnesses={path: _heads_in(path) for path in witnesses},
        policies={path: read_policy(path) for path in policies},
        folders=frozenset(found.folders),
        unused=(*unused, *found.unused),
    )


class _Ledgers:
    """The ledgers that were named, each once, by where they really are."""

    def __init__(self) -> None:
        self.ledgers: dict[Path, Path] = {}
        self.servers: dict[Path, Path] = {}
        self.folders: list[Path] = []
        self.runs: list[Path] = []
        self.unused: list[str] = []
        self.has_files = False

    def add(self, path: Path) -> None:
        try:
            self._add(path)
        except (OSError, RuntimeError) as error:  # a name too long, or links in a circle
            cause = getattr(error, "strerror", None) or error
            raise EvidenceError(f"{path} cannot be read ({cause}). Nothing was audited.") from error

    def _add(self, path: Path) -> None:
        if path.is_dir():
            self._add_folder(path)
        elif path.exists():
            self.has_files = True
            where = self.servers if path.name == SERVER_LEDGER else self.ledgers
            where.setdefault(path.resolve(), path.absolute())
            self._add_server(path.absolute().parent)
        else:
            raise EvidenceError(f"There is no {path}. Nothing was audited.")

    def _add_folder(self, path: Path) -> None:
        folder = (path / LEDGERS if (path / LEDGERS).is_dir() else path).absolute()
        inside = sorted(one for one in folder.glob(PATTERN) if one.name != SERVER_LEDGER)
        if not inside and (folder / HEADS).is_file() and not (folder / SERVER_LEDGER).exists():
            self.runs.append(folder)
            return
        if not inside and not (folder / SERVER_LEDGER).exists():
            raise EvidenceError(
                f"{path} holds no ledger ({PATTERN}). Nothing was audited. Name a ledger, a "
                "folder of ledgers, or a run's folder."
            )
        for one in inside:
            self.ledgers.setdefault(_where(one), one)
        self.folders.append(folder)
        self._add_server(folder)
        beside = sorted(one.name for one in path.glob(PATTERN) if one.name != SERVER_LEDGER)
        if folder != path.absolute() and beside:
            self.unused.append(f"{path} also holds {', '.join(beside)}, beside its {LEDGERS}.")

    def _add_server(self, folder: Path) -> None:
        homes = [folder, *([folder.parent] if folder.name == LEDGERS else [])]
        for path in (home / SERVER_LEDGER for home in homes):
            if path.is_file():
                self.servers.setdefault(path.resolve(), path)


def _where(path: Path) -> Path:
    """Return where a file really is; itself where its links lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _claims(folders: Sequence[Path]) -> tuple[tuple[ServerClaim, ...], tuple[str, ...]]:
    """Read the reports of the runs that the folders belong to."""
    homes = dict.fromkeys(folder.parent if folder.name == LEDGERS else folder for folder in folders)
    claims, unusable = [], []
    for path in (home / REPORT for home in homes):
        if path.is_file():
            try:
                claims.append(read_claim(path))
            except ValueError as error:
                unusable.append(f"{error} It was not compared with the ledgers.")
    return tuple(claims), tuple(unusable)


def _kept(path: Path, folder: Path | None) -> KeptRecord:
    try:
        return KeptRecord(path=path, record=read_server_record(path), folder=folder)
    except ValueError as error:
        raise EvidenceError(f"{error} Nothing was audited.") from error


def _heads_in(witness: Path) -> tuple[SignedHead, ...]:
    try:
        heads = tuple(Witness(witness).heads())
    except LedgerError as error:
        cause = getattr(error.__cause__, "strerror", None) or "it has a line that is no head"
        raise EvidenceError(
            f"Witness {witness} cannot be used ({cause}). Nothing was audited."
        ) from error
    for head in heads:
        if not head.is_genuine:
            raise EvidenceError(
                f"Witness {witness} has a head of record {head.sequence} that its key did not "
                "sign. Nothing was audited."
            )
    if not heads:
        raise EvidenceError(
            f"Witness {witness} is empty: it kept no head of any ledger. Nothing was audited. "
            "Name the file that a region writes its heads to, or none."
        )
    return heads
