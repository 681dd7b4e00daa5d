"""Read and verify a ledger from outside: with no private key, and without changing anything.

file  (+ witness)  (+ heads that a server received)  ->  account, and what does not hold
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from privacy import ledger_file
from privacy.errors import DamagedLedgerError, LedgerError
from privacy.ledger_file import LedgerFile, LedgerRows
from privacy.records import Account, Record, add_up
from privacy.signed_head import SignedHead, Witness, check_head, check_heads


@dataclass(slots=True)
class Verification:
    """What a look at a ledger found.

    Attributes
    ----------
    account : Account, optional
        What the records add up to, if they can be read.
    faults : list of str
        What does not hold; empty if all does.
    unchecked : list of str
        What could not be looked at, and what it would take.
    """

    account: Account | None = None
    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong with what was looked at."""
        return not self.faults


def read_account(path: Path) -> Account:
    """Return what a ledger's records add up to, chain and last signature checked.

    Raises
    ------
    LedgerError
        If there is no ledger, it cannot be read, or it has been damaged.
    """
    with LedgerFile(path).reading() as rows:
        try:
            records = rows.records()
            account = add_up(records)
            check_signature(rows, account, records)
        except DamagedLedgerError as error:
            raise DamagedLedgerError(f"Ledger {path} cannot be trusted. {error}") from error
    return account


def verify_ledger(
    path: Path,
    *,
    witness: Path | None = None,
    heads: Sequence[SignedHead] | None = None,
) -> Verification:
    """Check everything that a ledger's file can tell.

    Parameters
    ----------
    path : Path
    witness : Path, optional
        File that kept the ledger's heads.
    heads : sequence of SignedHead, optional
        What servers received; heads of other regions are passed over.

    Raises
    ------
    LedgerError
        If there is no ledger, or it or the witness cannot be read.
    """
    found = Verification()
    # Before the records: one that is added meanwhile is in the ledger, and not yet expected there.
    kept = _heads_of(witness, found)
    with LedgerFile(path).reading() as rows, _noted(found):
        with _noted(found):
            rows.check_format()
        records = rows.records_of_any_format()
        account = found.account = add_up(records)
        with _noted(found):
            check_signature(rows, account, records)
        with _noted(found):
            check_all_replies(rows, account)
        if kept is not None:
            with _noted(found):
                check_heads(kept, account, records)
        with _noted(found):
            _compare_heads(found, account, records, heads)
        with _noted(found):
            rows.check_integrity()
    if found.account and is_elsewhere(path, found.account):
        found.unchecked.append(
            "This file is a copy, or was moved: its agent does not use it until it is adopted."
        )
    if kept is None:
        found.unchecked.append("Rollback since the last release: no witness was given.")
    elif found.account and (sequence := _last_release(found.account)) > _last_of(kept):
        found.unchecked.append(
            f"Rollback since the last release: the witness's latest head is of record "
            f"{_last_of(kept)}, the last release of record {sequence}."
        )
    return found


def _last_release(account: Account) -> int:
    """Return the number of the record that committed the last release; 0 if there is none."""
    return max((sequence for sequence, _ in account.answers.values()), default=0)


def _last_of(heads: Sequence[SignedHead]) -> int:
    return max((head.sequence for head in heads), default=0)


@contextmanager
def _noted(found: Verification) -> Iterator[None]:
    """Note what does not hold, and go on: there may be more."""
    try:
        yield
    except DamagedLedgerError as error:
        found.faults.append(str(error))


def _heads_of(witness: Path | None, found: Verification) -> list[SignedHead] | None:
    """Return what a witness kept, or None where there is none or it is damaged."""
    if witness is None:
        return None
    try:
        heads = Witness(witness).heads()
    except DamagedLedgerError as error:
        found.faults.append(str(error))
        return None
    for head in heads:
        if not head.is_genuine:
            found.faults.append(
                f"Witness {witness} has a head of record {head.sequence} that its key did not sign."
            )
            return None
    return heads


def _compare_heads(
    found: Verification,
    account: Account,
    records: Sequence[Record],
    heads: Sequence[SignedHead] | None,
) -> None:
    ours = [head for head in heads or () if head.region == account.identity.region]
    if not ours:
        found.unchecked.append("Exchange of the key: no head that a server received was given.")
    for head in ours:
        check_head(head, account, [record.hash for record in records])


def check_signature(rows: LedgerRows, account: Account, records: Sequence[Record]) -> None:
    """Raise unless the last record is signed by the ledger's key, and nothing beyond it is.

    Each record holds the signature before it, so the last one vouches for all.
    """
    last = records[-1]
    if not last.signature:
        raise DamagedLedgerError(f"Record {last.sequence} is not signed.")
    head = SignedHead(
        region=account.identity.region,
        sequence=last.sequence,
        head=last.hash,
        public_key=account.identity.public_key,
        signature=last.signature,
    )
    if not head.is_genuine:
        raise DamagedLedgerError(f"The signature of record {last.sequence} is wrong.")
    if (sequence := rows.signature_too_many(records)) is not None:
        raise DamagedLedgerError(f"A signature of record {sequence} belongs to no record.")


def check_replies(rows: LedgerRows, account: Account) -> set[int]:
    """Raise unless all kept replies are those that were committed; return their entries."""
    kept = set()
    for entry, reply in rows.replies():
        _, digest = account.answers.get(entry, (0, None))
        if digest != hashlib.sha256(reply).hexdigest():
            raise DamagedLedgerError(f"The reply of entry {entry} is not the one committed.")
        kept.add(entry)
    return kept


def check_all_replies(rows: LedgerRows, account: Account) -> None:
    """Raise unless kept replies are as committed, and all are there that can be asked for.

    For whoever looks from outside; an agent goes on without, and refuses to answer again.
    """
    if missing := _kept_replies(account) - check_replies(rows, account):
        raise DamagedLedgerError(f"The reply of entry {min(missing)} is missing.")


def _kept_replies(account: Account) -> set[int]:
    """Return the entries whose replies a ledger still has: each new one drops the oldest."""
    kept, dropped = set(), 0
    by_time = sorted(account.answers.items(), key=lambda answer: answer[1][0], reverse=True)
    for entry, (_, digest) in by_time:
        if digest is not None:
            if entry > dropped:
                kept.add(entry)
            dropped = max(dropped, entry - ledger_file.REPLIES_KEPT)
    return kept


def is_elsewhere(path: Path, account: Account) -> bool:
    """Tell whether the file at ``path`` is a copy of the one that the ledger lives in."""
    try:
        return LedgerFile(path).identity != account.file
    except OSError as error:
        raise LedgerError(f"Ledger {path} cannot be read ({error.strerror}).") from error
