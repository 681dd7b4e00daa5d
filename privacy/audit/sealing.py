"""A signed report: JSON in one spelling, and an officer's Ed25519 signature over it.

{"audit": ..., "signature": {...}}  ->  genuine, or changed since

The text between is canonical (keys in order, no spaces), so that whoever reads
the file with any JSON reader can write the same bytes again and check them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privacy.audit.ledger_audit import canonical
from privacy.errors import PrivacyError
from privacy.signing import SigningKey, is_signed

_PURPOSE = "fedinterest audit"


class ReportError(PrivacyError):
    """A report that cannot be read, or was never signed."""


@dataclass(frozen=True, slots=True)
class SignedReport:
    """A report that was read back.

    Attributes
    ----------
    content : dict
        The audit.
    public_key : str
        Of whoever signed, in hexadecimal.
    is_genuine : bool
        Whether nothing has been changed since.
    """

    content: dict[str, Any]
    public_key: str
    is_genuine: bool


def sealed(pieces: Iterable[str], key: SigningKey | None) -> Iterator[str]:
    """Go through a report's text with its signature at the end.

    Parameters
    ----------
    pieces : iterable of str
        Canonical JSON of the audit, in parts: it can be larger than is good for memory.
    key : SigningKey, optional
        The officer's; left out, the report says that it is not signed.
    """
    digest = hashlib.sha256()
    yield '{"audit":'
    for piece in pieces:
        digest.update(piece.encode())
        yield piece
    signature = (
        {
            "algorithm": "ed25519",
            "public_key": key.public,
            "sha256": digest.hexdigest(),
            "signature": key.sign(_message(digest.hexdigest())),
        }
        if key
        else None
    )
    yield f',"signature":{canonical(signature)}}}\n'


def read_sealed(path: Path) -> SignedReport:
    """Read a signed report and check its signature.

    Raises
    ------
    ReportError
        If it cannot be read, is no report, or is not signed.
    """
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        content, signature = whole["audit"], whole["signature"]
        text = canonical(content)
    except OSError as error:
        raise ReportError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReportError(f"{path} is not an audit's report.") from error
    if not isinstance(content, dict) or not isinstance(signature, dict):
        raise ReportError(f"{path} is not signed. Make it anew with --sign KEY.")
    digest = hashlib.sha256(text.encode()).hexdigest()
    public, signed = str(signature.get("public_key")), str(signature.get("signature"))
    return SignedReport(
        content=content,
        public_key=public,
        is_genuine=signature.get("sha256") == digest
        and is_signed(_message(digest), signed, public),
    )


def _message(digest: str) -> bytes:
    return canonical([_PURPOSE, digest]).encode()
