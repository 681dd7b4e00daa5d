"""Tokens with which programs read the API: shown once, kept as hashes, with an end.

A token is 256 random bits, so a plain SHA-256 keeps it: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from server.dashboard.errors import DashboardError
from server.dashboard.private_files import PrivateTable
from server.dashboard.roles import Role, role_of

FILE = "tokens.toml"
MOST_DAYS = 366
_FORM = re.compile(r"fedinterest_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_PURPOSE = re.compile(r"[^\x00-\x1f\x7f]{1,80}")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, without its secret.

    Attributes
    ----------
    id : str
        What it is called where it is listed or removed; no secret.
    purpose : str
    role : Role
    expires : datetime
        In UTC; of no use from then on.
    """

    id: str
    purpose: str
    role: Role
    expires: datetime


class Tokens:
    """The tokens in a folder, as the file is now."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = _now) -> None:
        self._table = PrivateTable(folder / FILE, "tokens")
        self._now = now

    def tokens(self) -> list[Token]:
        """Return all tokens, also those that have expired, by their end."""
        found = [_token(name, row) for name, row in self._table.rows().items()]
        return sorted(found, key=lambda token: token.expires)

    def make(self, purpose: str, role: Role, days: int) -> str:
        """Return a new token, whose secret is kept nowhere.

        Raises
        ------
        DashboardError
            If it should last longer than a year, or its purpose is no short line.
        """
        if not 1 <= days <= MOST_DAYS:
            raise DashboardError(f"A token lasts 1 to {MOST_DAYS} days, not {days}. None was made.")
        if not _PURPOSE.fullmatch(purpose):
            raise DashboardError("A purpose is one line of 1 to 80 characters. No token was made.")
        identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        with self._table.changing() as rows:
            rows[identity] = {
                "purpose": purpose,
                "role": role.value,
                "sha256": _hash(secret),
                "expires": self._now() + timedelta(days=days),
            }
        return f"fedinterest_{identity}_{secret}"

    def remove(self, identity: str) -> None:
        """End a token at once."""
        with self._table.changing() as rows:
            if identity not in rows:
                raise DashboardError(
                    f"There is no token {identity!r}. Nothing was changed. "
                    "`fedinterest dashboard token list` shows which there are."
                )
            del rows[identity]

    def verified(self, given: str) -> Token | None:
        """Return the token whose secret was given and that has not expired, or None."""
        form = _FORM.fullmatch(given)
        row = self._table.rows().get(form[1]) if form else None
        if form is None or row is None:
            return None
        if not hmac.compare_digest(str(row.get("sha256", "")), _hash(form[2])):
            return None
        token = _token(form[1], row)
        return token if self._now() < token.expires else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(identity: str, row: dict[str, Any]) -> Token:
    role, expires = role_of(str(row.get("role"))), row.get("expires")
    if role is None or not isinstance(expires, datetime) or expires.tzinfo is None:
        raise DashboardError(f"Token {identity!r} has no role or no end in {FILE}.")
    return Token(id=identity, purpose=str(row.get("purpose", "")), role=role, expires=expires)
