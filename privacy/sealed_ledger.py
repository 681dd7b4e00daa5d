"""A ledger's file under seal: checked as a whole before each transaction, signed after it.

file  ->  chain, signature, place and witness hold  ->  one transaction  ->  new head, signed

What a transaction may record is ``ledger``'s affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from privacy.errors import DamagedLedgerError, LedgerError
from privacy.ledger_check import check_replies, check_signature
from privacy.ledger_file import LedgerFile, LedgerRows
from privacy.records import Account, Identity, RecordKind, add_up, append, make_record
from privacy.signed_head import SignedHead, Witness, check_heads, sign_head
from privacy.signing import SigningKey

Clock = Callable[[], datetime]


class OpenLedger:
    """A ledger within one transaction.

    Parameters
    ----------
    rows : LedgerRows
    account : Account
        What its records add up to; follows what is appended.
    key : SigningKey
    moment : datetime
        By the clock, when it was opened: the same for all that is added, so that no record is
        of another window than the one that it was charged to.
    """

    def __init__(
        self, rows: LedgerRows, account: Account, key: SigningKey, moment: datetime
    ) -> None:
        self.rows = rows
        self.account = account
        self.moment = moment
        self._key = key

    def append(self, kind: RecordKind, content: Mapping[str, Any]) -> None:
        """Add a record; its time is never before the one before it.

        A refusal does not move the time on: one request under a wrong clock
        must not close the ledger.
        """
        time = self.account.time
        if kind is not RecordKind.REFUSED:
            time = max(spell_time(self.moment), time)
        record = make_record(self.account, time, kind, content)
        self.rows.append(record)
        append(self.account, record)

    @property
    def head(self) -> SignedHead:
        """The signed head, as it is now."""
        account = self.account
        return sign_head(self._key, account.identity.region, account.sequence, account.head)

    def head_at(self, sequence: int) -> SignedHead:
        """Return the signed head as it was after an earlier record."""
        record = self.rows.records()[sequence - 1]
        return sign_head(self._key, self.account.identity.region, sequence, record.hash)


class SealedLedger:
    """A ledger's file, its key and its witness; made when it does not exist yet.

    Parameters
    ----------
    path, key : Path
    witness : Path, optional
    promise : Identity
        What the ledger must be about; its ``public_key`` is not looked at.
    clock : callable

    Raises
    ------
    LedgerError
        By every method, if the file is not a ledger, is another's, has been
        damaged, copied, rolled back, or cannot be written.
    """

    def __init__(
        self, path: Path, *, key: Path, witness: Path | None, promise: Identity, clock: Clock
    ) -> None:
        self.path = path
        self._file = LedgerFile(path)
        self._key_path = key
        self._witness = Witness(witness) if witness else None
        self._promise = promise
        self._clock = clock

    @cached_property
    def key(self) -> SigningKey:
        """The signing key; asking for it makes the ledger if there is none.

        The first time, all kept replies are checked; later, of those only what
        is used.
        """
        made: list[SigningKey] = []
        try:
            with self._file.writing() as rows:
                if rows.is_new:
                    made.append(self._create(rows))
                    return made[0]
                with self._distrust():
                    records = rows.records()
                    account = add_up(records)
                    check_signature(rows, account, records)
                    check_replies(rows, account)
                return SigningKey.load(self._key_path)
        except LedgerError:
            if made:  # the disk was full: a key without a ledger would stand in its way
                self._key_path.unlink(missing_ok=True)
            raise

    @contextmanager
    def transaction(self) -> Iterator[OpenLedger]:
        """Check the whole ledger, let the block add to it, and sign the new head."""
        key = self.key
        with self._file.writing() as rows:
            ledger = OpenLedger(rows, self._check(rows, key), key, self._clock())
            before = ledger.account.sequence
            yield ledger
            if ledger.account.sequence > before:
                rows.sign(ledger.account.sequence, ledger.head.signature)

    def witness(self, head: SignedHead) -> None:
        """Let the witness, if there is one, keep a head; before anything leaves under it."""
        if self._witness:
            self._witness.note(head)

    def _create(self, rows: LedgerRows) -> SigningKey:
        if self._key_path.exists():
            raise LedgerError(
                f"Ledger {self.path} is gone, but its key {self._key_path} is there. Nothing was "
                "sent. Restore the ledger; or, if nothing was ever released with this key, "
                "remove it to begin anew."
            )
        if self._witness and self._witness.path.exists():
            raise LedgerError(
                f"Ledger {self.path} is gone, but its witness {self._witness.path} is there. "
                "Nothing was sent. Restore the ledger."
            )
        key = SigningKey.create(self._key_path)
        rows.create()
        identity = asdict(replace(self._promise, public_key=key.public))
        content = identity | {"file": self._file.identity}
        record = make_record(None, spell_time(self._clock()), RecordKind.OPENED, content)
        rows.append(record)
        opened = OpenLedger(rows, append(None, record), key, self._clock())
        rows.sign(record.sequence, opened.head.signature)
        return key

    def _check(self, rows: LedgerRows, key: SigningKey) -> Account:
        """Return the account of a ledger that is whole, ours and where it was."""
        with self._distrust():
            records = rows.records()
            account = add_up(records)
            self._check_identity(account, key)
            head = OpenLedger(rows, account, key, self._clock()).head
            if records[-1].signature != head.signature:
                raise DamagedLedgerError(f"Record {account.sequence} is not signed.")
            if self._file.has_other_names:
                raise DamagedLedgerError("Its file has another name, too (a hard link).")
            if account.file != self._file.identity:
                raise DamagedLedgerError(
                    "It has been copied or moved: two copies in use would spend the budget twice. "
                    "If the other one is out of use, say so with `fedinterest ledger adopt`."
                )
            if self._witness:
                if not account.answers and not self._witness.has_begun:
                    self._witness.note(head)  # from now on, a missing witness is a lost one
                check_heads(self._witness.heads(), account, records)
        return account

    @contextmanager
    def _distrust(self) -> Iterator[None]:
        """Say of which ledger it is that something does not hold."""
        try:
            yield
        except DamagedLedgerError as error:
            raise DamagedLedgerError(
                f"Ledger {self.path} cannot be trusted. {error} Nothing was sent."
            ) from error

    def _check_identity(self, account: Account, key: SigningKey) -> None:
        found = asdict(account.identity)
        for name, value in asdict(replace(self._promise, public_key=key.public)).items():
            if found[name] != value:
                raise LedgerError(
                    f"Ledger {self.path} has {name} {found[name]!r}, expected was {value!r}. "
                    "Nothing was sent. Use the ledger's own policy and key, or begin a new ledger."
                )


def spell_time(moment: datetime) -> str:
    """Write a moment as records do: ISO 8601, UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
