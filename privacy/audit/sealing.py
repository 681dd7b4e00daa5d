"""A signed report: JSON in one spelling, and an officer's Ed25519 signature over it.

{"audit": ..., "signature": {...}}  ->  genuine, or changed since

The text between is canonical (keys in order, no spaces), so that whoever reads
the file with any JSON reader can write the same bytes again and check them.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privacy.audit.ledger_audit import canonical
from privacy.errors import PrivacyError
from privacy.signing import PUBLIC_KEY, SigningKey, is_signed

_PURPOSE = "fedinterest audit"
_ALGORITHM = "ed25519"
_PARTS = {"audit", "signature"}
_OF_SIGNATURE = {"algorithm", "public_key", "sha256", "signature"}


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
    digest : str
        SHA-256 of the audit's text, as the page beside it has it.
    is_genuine : bool
        Whether nothing has been changed since.
    """

    content: dict[str, Any]
    public_key: str
    digest: str
    is_genuine: bool

    def is_signed_by(self, public_key: str | None) -> bool:
        """Tell whether it is genuine, and of that key; None stands for any."""
        return self.is_genuine and public_key in (None, self.public_key)


def sealed(
    pieces: Iterable[str], key: SigningKey | None, digest: hashlib._Hash | None = None
) -> Iterator[str]:
    """Go through a report's text with its signature at the end.

    Parameters
    ----------
    pieces : iterable of str
        Canonical JSON of the audit, in parts: it can be larger than is good for memory.
    key : SigningKey, optional
        The officer's; left out, the report says that it is not signed.
    digest : SHA-256, optional
        That of the audit's text when all is gone through.
    """
    digest = digest or hashlib.sha256()
    yield '{"audit":'
    for piece in pieces:
        digest.update(piece.encode())
        yield piece
    signature = (
        {
            "algorithm": _ALGORITHM,
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
        found = _Found()
        whole = json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=found.as_object,
            parse_constant=found.as_constant,
            parse_float=found.as_number,
        )
        content, signature = whole["audit"], whole["signature"]
        text = "" if found.another_spelling else canonical(content)
    except OSError as error:
        raise ReportError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReportError(f"{path} is not an audit's report.") from error
    if isinstance(content, dict) and "claim" not in content:
        raise ReportError(f"{path} is not an audit's report.")
    if not isinstance(content, dict) or not isinstance(signature, dict):
        raise ReportError(f"{path} is not signed. Make it anew with --sign KEY.")
    digest = hashlib.sha256(text.encode()).hexdigest()
    public, signed = str(signature.get("public_key")), str(signature.get("signature"))
    return SignedReport(
        content=content,
        public_key=public,
        digest=digest,
        is_genuine=not found.another_spelling
        and (set(whole), set(signature)) == (_PARTS, _OF_SIGNATURE)
        and (signature["algorithm"], signature["sha256"]) == (_ALGORITHM, digest)
        and is_signed(_message(digest), signed, public),
    )


class _Found:
    """What a reader meets that no signed report has: it could be read in two ways.

    Of two equal keys some readers take the first; numbers that are none are no JSON.
    """

    def __init__(self) -> None:
        self.another_spelling = False

    def as_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        self.another_spelling |= len(content) < len(pairs)
        return content

    def as_constant(self, text: str) -> None:
        self.another_spelling = True

    def as_number(self, text: str) -> float:
        number = float(text)
        self.another_spelling |= not math.isfinite(number)
        return number


def officers_key(told: str) -> str:
    """Return a public key that was named, or is in the file that was named.

    Parameters
    ----------
    told : str
        64 hexadecimal digits; or a file with those, or with the officer's own key.

    Raises
    ------
    ReportError
        If it is neither.
    KeyFileError
        If the file is a private key that cannot be used.
    """
    text, path = told.strip().lower(), Path(told)
    if not re.match(PUBLIC_KEY, text) and _is_file(path):
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if text.startswith("-----BEGIN"):
            return SigningKey.load(path).public
    if not re.match(PUBLIC_KEY, text.lower()):
        raise ReportError(f"{told} is no public key of 64 hexadecimal digits, nor a file with one.")
    return text.lower()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long for a name
        return False


def _message(digest: str) -> bytes:
    return canonical([_PURPOSE, digest]).encode()
