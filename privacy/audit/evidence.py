"""What there is to look at: ledgers, what servers kept, witnesses and approved policies.

paths that an officer names  ->  Evidence
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from privacy.audit.server_claim import REPORT, ServerClaim, read_claim
from privacy.errors import LedgerError, PrivacyError
from privacy.ledger import witness_beside
from privacy.ledger_check import read_account
from privacy.policy import Policy, read_policy
from privacy.server_record import HEADS, ServerRecord, read_server_record
from privacy.signed_head import SignedHead, Witness

LEDGERS = "ledgers"
SERVER_LEDGER = "server-ledger.sqlite"
PATTERN = "*.sqlite"


class EvidenceError(PrivacyError):
    """Inputs that cannot be audited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found.

    Attributes
    ----------
    ledgers : tuple of Path
        Of clients.
    server_ledgers : tuple of Path
        Of servers that added noise under ``central``.
    records : tuple of (Path, ServerRecord)
        What servers kept, and the file it is in.
    claims : tuple of ServerClaim
        What servers published of runs whose ledgers are here.
    unusable : tuple of str
        Why a report beside the ledgers could not be compared.
    whole_folders : bool
        Whether all ledgers of the records' folders are here, so that one that is not
        is missing.
    witnesses : tuple of Path
        That were named.
    approved : tuple of Policy
    """

    ledgers: tuple[Path, ...]
    server_ledgers: tuple[Path, ...]
    records: tuple[tuple[Path, ServerRecord], ...]
    claims: tuple[ServerClaim, ...]
    unusable: tuple[str, ...]
    whole_folders: bool
    witnesses: tuple[Path, ...]
    approved: tuple[Policy, ...]

    @property
    def heads(self) -> list[SignedHead]:
        """All heads that servers kept."""
        return [head for _, record in self.records for head in record.heads]

    def witness_of(self, ledger: Path) -> Path | None:
        """Return the witness beside a ledger, or else the named one of its region."""
        beside = witness_beside(ledger)
        if beside.exists() or not self.witnesses:
            return beside if beside.exists() else None
        try:
            region = read_account(ledger).identity.region
        except LedgerError:
            return None  # whatever is wrong is told where the ledger is looked at
        return next((path for path in self.witnesses if region in _regions(path)), None)


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
        Ledgers, folders of ledgers, or a run's folder.
    heads : sequence of Path
        What servers kept; left out, ``heads.json`` beside the ledgers.
    witnesses, policies : sequence of Path

    Raises
    ------
    EvidenceError
        If there is nothing to audit, or a file beside the ledgers cannot be used.
    PolicyError
        If an approved policy cannot be used.
    """
    ledgers: dict[Path, None] = {}
    servers: dict[Path, None] = {}
    folders: list[Path] = []
    for path in paths:
        if path.is_dir():
            folder = path / LEDGERS if (path / LEDGERS).is_dir() else path
            inside = sorted(one for one in folder.glob(PATTERN) if one.name != SERVER_LEDGER)
            if not inside:
                raise EvidenceError(
                    f"{path} holds no ledger ({PATTERN}). Nothing was audited. Name a ledger, a "
                    "folder of ledgers, or a run's folder."
                )
            ledgers |= dict.fromkeys(one.resolve() for one in inside)
            folders.append(folder.resolve())
        elif path.exists():
            (servers if path.name == SERVER_LEDGER else ledgers)[path.resolve()] = None
        else:
            raise EvidenceError(f"There is no {path}. Nothing was audited.")
    if not ledgers and not servers:
        raise EvidenceError("No ledger was named. Nothing was audited.")
    for folder in [*folders, *(path.parent for path in ledgers)]:
        servers |= {
            path: None
            for path in (folder / SERVER_LEDGER, folder.parent / SERVER_LEDGER)
            if path.is_file() and (path.parent == folder or folder.name == LEDGERS)
        }
    claims, unusable = _claims([*folders, *(path.parent for path in ledgers)])
    beside = dict.fromkeys(path.parent / HEADS for path in ledgers)
    kept = list(heads) or [path for path in beside if path.is_file()]
    return Evidence(
        ledgers=tuple(ledgers),
        server_ledgers=tuple(servers),
        records=tuple((path, _record(path)) for path in kept),
        claims=claims,
        unusable=unusable,
        whole_folders=bool(folders),
        witnesses=tuple(witnesses),
        approved=tuple(read_policy(path) for path in policies),
    )


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


def _record(path: Path) -> ServerRecord:
    try:
        return read_server_record(path)
    except ValueError as error:
        raise EvidenceError(f"{error} Nothing was audited.") from error


def _regions(witness: Path) -> set[str]:
    return {head.region for head in Witness(witness).heads()}
