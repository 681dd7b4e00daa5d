"""Users of the dashboard, and whether a password is theirs.

Kept in ``users.toml``: Argon2id hashes (RFC 9106), by argon2-cffi with its own parameters.
Where those have changed since, a hash is made anew at its user's next login.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.dashboard.errors import DashboardError
from server.dashboard.private_files import PrivateTable, Rows
from server.dashboard.roles import Role, role_of

FILE = "users.toml"
LEAST_PASSWORD, MOST_PASSWORD = 12, 256
"""Characters. The upper bound keeps a login from being made to hash megabytes."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may log in.

    Attributes
    ----------
    name : str
    role : Role
    password : str
        Its Argon2id hash.
    stamp : str
        Another one after each change of password or role: sessions of an older one end.
    since : str
        Day of the last change (ISO 8601).
    """

    name: str
    role: Role
    password: str = field(repr=False)
    stamp: str
    since: str


class Accounts:
    """The users in a folder, as the file is now: a verb's change needs no restart."""

    def __init__(self, folder: Path, hasher: PasswordHasher | None = None) -> None:
        self._table = PrivateTable(folder / FILE, "users")
        self._hasher = hasher or PasswordHasher()
        # Who is unknown has a password checked too, so that time does not tell who is known.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    @property
    def file(self) -> Path:
        """Where users are kept."""
        return self._table.path

    def users(self) -> list[User]:
        """Return all users, by name."""
        return [_user(name, row) for name, row in sorted(self._table.rows().items())]

    def find(self, name: str) -> User | None:
        """Return the user of that name, or None."""
        row = self._table.rows().get(name)
        return None if row is None else _user(name, row)

    def add(self, name: str, role: Role, password: str) -> None:
        """Let somebody in from now on.

        Raises
        ------
        DashboardError
            If there is such a user, or name or password are unfit.
        """
        if not _NAME.fullmatch(name):
            raise DashboardError(
                f"{name!r} is no name for a user. Nobody was added. Use up to 64 lower-case "
                "letters, digits, and . _ @ -, beginning with a letter or a digit."
            )
        hashed = self._hashed(name, password)
        with self._table.changing() as rows:
            if name in rows:
                raise DashboardError(
                    f"There is a user {name} already, who was left alone. For another password: "
                    f"fedinterest dashboard user password {name}"
                )
            rows[name] = _row(role, hashed)

    def remove(self, name: str) -> None:
        """Shut somebody out; their sessions end with their next request."""
        with self._changing(name) as rows:
            del rows[name]

    def change_password(self, name: str, password: str) -> None:
        """Give a user another password; sessions of the old one end."""
        hashed = self._hashed(name, password)
        with self._changing(name) as rows:
            rows[name] = _row(_user(name, rows[name]).role, hashed)

    def verified(self, name: str, password: str) -> User | None:
        """Return the user if the password is theirs, else None, after the same time."""
        user = self.find(name)
        try:
            self._hasher.verify(user.password if user else self._nobody, _normal(password))
        except (VerificationError, InvalidHashError):
            return None
        if user and self._hasher.check_needs_rehash(user.password):
            self._hash_anew(user, password)
        return user

    def _hash_anew(self, user: User, password: str) -> None:
        with self._table.changing() as rows:
            # Between check and lock somebody may have changed the password, or gone.
            if rows.get(user.name, {}).get("password") == user.password:
                rows[user.name]["password"] = self._hasher.hash(_normal(password))

    def _hashed(self, name: str, password: str) -> str:
        if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            raise DashboardError(
                f"A password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters; this one has "
                f"{len(password)}. Nothing was changed. Several words make a good one."
            )
        if password.casefold() == name.casefold() or len(set(password)) < 5:
            raise DashboardError("That password is too easy to guess. Nothing was changed.")
        return self._hasher.hash(_normal(password))

    @contextmanager
    def _changing(self, name: str) -> Iterator[Rows]:
        with self._table.changing() as rows:
            if name not in rows:
                raise DashboardError(
                    f"There is no user {name!r}. Nothing was changed. "
                    "`fedinterest dashboard user list` shows who there is."
                )
            yield rows


def _row(role: Role, hashed: str) -> dict[str, Any]:
    return {
        "role": role.value,
        "password": hashed,
        "stamp": secrets.token_hex(16),
        "since": datetime.now(UTC).date().isoformat(),
    }


def _user(name: str, row: dict[str, Any]) -> User:
    role = role_of(str(row.get("role")))
    password, stamp = row.get("password"), row.get("stamp")
    if role is None or not isinstance(password, str) or not isinstance(stamp, str):
        raise DashboardError(f"User {name!r} has no role, password or stamp in {FILE}.")
    return User(
        name=name, role=role, password=password, stamp=stamp, since=str(row.get("since", ""))
    )


def _normal(password: str) -> str:
    """Return one spelling of a password, whatever keyboard it comes from."""
    return unicodedata.normalize("NFKC", password)
