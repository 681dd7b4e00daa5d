"""Where a run store lies: told in one text, without a password.

"runs/dashboard.sqlite"  or  "postgresql://user@host/database"

Flower keeps run configurations, and shows them to whoever may list runs: what is in this text
is not secret. Nothing is imported for it, so that a run without a store starts as quickly.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

SERVERS = ("postgresql", "postgres", "postgresql+psycopg")
_SECRETS = ("password", "sslpassword")


def is_url(place: str) -> bool:
    """Tell whether ``place`` is a URL, and not a path."""
    return "://" in place


def absolute(place: str, folder: Path) -> str:
    """Return ``place`` so that it means the same everywhere; relative paths start at ``folder``."""
    if not place or is_url(place):
        return place
    return str((folder / Path(place).expanduser()).resolve())


def objection_to(place: str) -> str | None:
    """Return why no store can lie at ``place``, without repeating it, or None."""
    if "\0" in place:
        return "a file's name cannot contain a NUL"
    if not is_url(place):
        return None
    try:
        parts = urlsplit(place)
        password, query = parts.password, dict(parse_qsl(parts.query, keep_blank_values=True))
        port = parts.port
    except ValueError:
        return "it is no URL that can be read"
    if password is not None or any(secret in query for secret in _SECRETS):
        return (
            "the URL has a password in it, and run configurations are kept and shown. Take it out "
            "and name a file of passwords in PGPASSFILE, or set PGPASSWORD, where the server runs"
        )
    if parts.scheme not in SERVERS:
        return (
            f"a store is the path of a file (SQLite), such as runs/dashboard.sqlite, or a URL of "
            f"PostgreSQL, found {parts.scheme}://"
        )
    if port == 0:
        return "port 0 is none"
    return None
