"""Kinds of columns that hold the same on SQLite and PostgreSQL, whatever comes from a network.

texts without NUL and lone surrogates; names short enough for an index; times in UTC; finite numbers
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Double, String, Text
from sqlalchemy.types import TypeDecorator

LONGEST_NAME = 160
"""Characters; PostgreSQL's index takes no more than 2,700 bytes."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """Return ``text`` with U+FFFD for what no database or no UTF-8 can hold."""
    return _UNSTORABLE.sub("\ufffd", text)


def name_of(text: str) -> str:
    """Return ``text`` as a key: storable, and where it is long, cut, with a digest of the whole."""
    if len(text) <= LONGEST_NAME and not _UNSTORABLE.search(text):
        return text
    # Two names that differ only in what cannot be stored must stay two.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{storable(text[: LONGEST_NAME - 18])}~{digest}"


class PlainText(TypeDecorator[str]):
    """A text of any length."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Take out what cannot be stored."""
        return None if value is None else storable(value)


class Name(TypeDecorator[str]):
    """A text that rows are found by."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make it short and storable; the same text always gives the same name."""
        return None if value is None else name_of(value)


class Json(TypeDecorator[Any]):
    """A value of JSON, as ASCII text: databases' own kinds of JSON do not hold all texts."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Spell it."""
        return None if value is None else json.dumps(value, sort_keys=True, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read it."""
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """A moment with a time zone; UTC when it comes back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, which SQLite keeps without saying so."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Finite(TypeDecorator[float]):
    """A number, or nothing where it is infinite or none: SQLite cannot tell NaN from nothing."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """Leave out what is not finite; numpy's numbers become Python's."""
        return None if value is None or not math.isfinite(value) else float(value)
