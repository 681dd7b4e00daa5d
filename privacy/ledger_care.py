"""What an operator may do to a ledger by hand: take over a file that was moved or restored.

The chain goes on from where it is, and says that it was taken over.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from privacy.errors import DamagedLedgerError, LedgerError
from privacy.ledger import key_beside
from privacy.ledger_file import LedgerFile
from privacy.record_values import is_printable
from privacy.records import RecordKind, add_up, append, make_record
from privacy.signed_head import SignedHead, Witness, check_heads, sign_head
from privacy.signing import SigningKey


def adopt_ledger(
    path: Path, *, key: Path | None = None, witness: Path | None = None, reason: str
) -> SignedHead:
    """Declare that the file at ``path`` is the ledger from now on, and no other copy is in use.

    Parameters
    ----------
    path : Path
    key : Path, optional
        The ledger's key; left out, beside it.
    witness : Path, optional
        Where heads are kept. One that exists must agree: a ledger that is
        behind its witness has lost charges and cannot be adopted. One that is
        lost is begun anew.
    reason : str
        For the record.

    Raises
    ------
    LedgerError
        If the ledger is damaged, behind its witness, or the key is not its own.
    """
    if not reason.strip() or not is_printable(reason):
        raise LedgerError(
            "A reason is needed for the record, in one line of printable text. Nothing was adopted."
        )
    if not path.is_file() or not path.stat().st_size:
        raise LedgerError(f"There is no ledger in {path}. Nothing was adopted.")
    with LedgerFile(path).writing() as rows:
        signing = SigningKey.load(key or key_beside(path))
        try:
            records = rows.records()
            account = add_up(records)
            if signing.public != account.identity.public_key:
                raise DamagedLedgerError("The key is not its own.")
            region = account.identity.region
            last = sign_head(signing, region, account.sequence, account.head)
            if records[-1].signature != last.signature:
                raise DamagedLedgerError(f"Record {account.sequence} is not signed.")
            if witness and witness.exists():
                check_heads(Witness(witness).heads(), account, records)
        except DamagedLedgerError as error:
            raise DamagedLedgerError(
                f"Ledger {path} cannot be adopted. {error} Nothing was changed."
            ) from error
        time = account.time
        if not account.identity.simulated:  # those have clocks of their own
            time = max(time, datetime.now(UTC).isoformat(timespec="milliseconds"))
        content = {"file": LedgerFile(path).identity, "reason": reason}
        record = make_record(account, time, RecordKind.ADOPTED, content)
        rows.append(record)
        append(account, record)
        head = sign_head(signing, region, account.sequence, account.head)
        rows.sign(account.sequence, head.signature)
    if witness:
        Witness(witness).note(head)
    return head
