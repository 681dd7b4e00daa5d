"""The signed head of a ledger: one line that vouches for everything before it.

Handed to the server with each answer, and to a witness file. Whoever holds a
head can tell later whether the ledger still contains it: a ledger that was
rolled back, or continued from a copy, does not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from privacy.errors import DamagedLedgerError, LedgerError
from privacy.records import Account, Record
from privacy.signing import SigningKey, is_signed

_PURPOSE = "fedinterest ledger head"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A ledger's state, signed by its owner.

    Attributes
    ----------
    region : str
    sequence : int
        Number of the ledger's last record.
    head : str
        Its hash, which covers all records before it.
    public_key, signature : str
        Ed25519, in hexadecimal.
    """

    region: str
    sequence: int
    head: str
    public_key: str
    signature: str

    @property
    def is_genuine(self) -> bool:
        """Whether the signature is that of ``public_key``'s owner."""
        message = _message(self.region, self.sequence, self.head)
        return is_signed(message, self.signature, self.public_key)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SignedHead:
        """Read what ``dataclasses.asdict`` gives.

        Raises
        ------
        ValueError
            If it is not that.
        """
        types = {"sequence": int, "region": str, "head": str, "public_key": str, "signature": str}
        found = {name: type(value) for name, value in content.items()}
        if found != types:
            raise ValueError(f"A signed head has {', '.join(types)}; found {', '.join(found)}.")
        return cls(**content)


def sign_head(key: SigningKey, region: str, sequence: int, head: str) -> SignedHead:
    """Sign a ledger's state."""
    return SignedHead(
        region=region,
        sequence=sequence,
        head=head,
        public_key=key.public,
        signature=key.sign(_message(region, sequence, head)),
    )


def check_head(head: SignedHead, account: Account, hashes: list[str]) -> None:
    """Raise unless the ledger still contains what ``head`` vouches for.

    Parameters
    ----------
    head : SignedHead
    account : Account
    hashes : list of str
        Of all records, in order.

    Raises
    ------
    DamagedLedgerError
        If the head is of another ledger, not genuine, ahead of this ledger, or
        on another branch.
    """
    if (head.region, head.public_key) != (account.identity.region, account.identity.public_key):
        raise DamagedLedgerError(f"Head {head.sequence} is that of another ledger.")
    if 1 <= head.sequence <= account.sequence and hashes[head.sequence - 1] == head.head:
        return
    if not head.is_genuine:
        raise DamagedLedgerError(f"Head {head.sequence} is not signed by this ledger's key.")
    if head.sequence > account.sequence:
        raise DamagedLedgerError(
            f"It ends at record {account.sequence}, but record {head.sequence} was seen before: "
            "it has been rolled back."
        )
    raise DamagedLedgerError(f"Record {head.sequence} was seen before with other contents.")


class Witness:
    """A file, best on another disk, with every head under which something left.

    A JSON object per line, appended to and never rewritten, so that it can lie on a medium
    that allows nothing else.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, head: SignedHead) -> None:
        """Append a head, durably.

        Raises
        ------
        LedgerError
            If it cannot be written.
        """
        if self.path.exists() and head in self.heads():
            return  # a repeated request adds nothing
        line = ("\n" + json.dumps(asdict(head), sort_keys=True) + "\n").encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(28, "no space left")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LedgerError(
                f"Witness {self.path} cannot be written ({error.strerror}). Nothing was sent."
            ) from error

    @property
    def has_begun(self) -> bool:
        """Whether it holds a head."""
        return self.path.exists() and bool(self.heads())

    def heads(self) -> list[SignedHead]:
        """Return all heads; lines that a crash cut short do not count.

        A line is cut short if it begins as a head does, and does not end as one.

        Raises
        ------
        LedgerError
            If the file is missing or cannot be read.
        DamagedLedgerError
            If a line is no head.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError as error:
            raise LedgerError(
                f"Witness {self.path} cannot be read ({error.strerror}). Nothing was sent. "
                "If it is lost for good, say so with `fedinterest ledger adopt`."
            ) from error
        try:
            whole = [line for line in lines if line and not _is_cut_short(line)]
            return [SignedHead.from_json(json.loads(line)) for line in whole]
        except (ValueError, TypeError, AttributeError) as error:
            raise DamagedLedgerError(f"Witness {self.path} has a line that is no head.") from error


def _is_cut_short(line: bytes) -> bool:
    return b'{"head": "'.startswith(line[:10]) and not line.endswith(b"}")


def check_heads(heads: Sequence[SignedHead], account: Account, records: list[Record]) -> None:
    """Raise unless the ledger contains every head that its witness kept.

    There has to be one as soon as something has been answered; before that, a witness is
    empty whose client died while it wrote the first.
    """
    hashes = [record.hash for record in records]
    if not heads and account.answers:
        raise DamagedLedgerError("Its witness holds no head.")
    for head in heads:
        check_head(head, account, hashes)


def _message(region: str, sequence: int, head: str) -> bytes:
    return json.dumps([_PURPOSE, region, sequence, head], separators=(",", ":")).encode()
