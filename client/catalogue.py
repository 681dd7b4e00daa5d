"""The public catalogue as a client reads it: item ids, texts, category paths, since when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.errors import CatalogueError

COLUMNS = ("item_id", "text", "category")
SINCE = "available_from"
"""Optional column: the day from which an item could be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Public items, in the order that numbers them.

    Attributes
    ----------
    item_ids, texts, categories : tuple of str, length n_items
        A category is a path such as ``GROCERY > BAKING``.
    since : tuple of datetime or None, length n_items or 0
        From when on an item could be had, in UTC; empty where the catalogue does not say. Not
        part of the fingerprint: regions may have begun to sell an item on different days.
    """

    item_ids: tuple[str, ...]
    texts: tuple[str, ...]
    categories: tuple[str, ...]
    since: tuple[datetime | None, ...] = ()

    def ages(self, moment: datetime) -> NDArray[np.float64] | None:
        """Return for how many days items can be had: float64, shape (n_items,); nan: not known."""
        if not self.since:
            return None
        seconds = [np.nan if day is None else (moment - day).total_seconds() for day in self.since]
        return np.array(seconds) / 86400

    def fingerprint(self) -> str:
        """SHA-256 over everything: two catalogues with the same one number items alike."""
        digest = hashlib.sha256()
        for column in (self.item_ids, self.texts, self.categories):
            for value in column:
                digest.update(value.encode() + b"\0")
            digest.update(b"\1")
        return digest.hexdigest()


def read_catalogue(path: Path) -> Catalogue:
    """Read a Parquet or CSV file with the columns ``item_id``, ``text``, ``category``.

    A column ``available_from`` may say since when items can be had.

    Raises
    ------
    CatalogueError
        If the file cannot be read, a column is missing, a text is empty, an
        item occurs twice, or a day is none.
    """
    try:
        table = _read(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CatalogueError(
            f"Catalogue {path} cannot be read ({reason}). Nothing was encoded."
        ) from error
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise CatalogueError(
            f"Catalogue {path} has no column {missing[0]!r} (found: {', '.join(map(str, table))}). "
            f"Nothing was encoded. It needs {', '.join(COLUMNS)}."
        )
    if table.empty:
        raise CatalogueError(f"Catalogue {path} has no items. Nothing was encoded.")
    empty = table[_blank(table.item_id) | _blank(table.text)]
    if len(empty):
        raise CatalogueError(
            f"Catalogue {path}: {len(empty)} items have no id or no text, the first in row "
            f"{empty.index[0]}. Nothing was encoded. Give each item a text, or leave it out."
        )
    ids = table.item_id.astype(str)
    if ids.duplicated().any():
        raise CatalogueError(
            f"Catalogue {path}: item {ids[ids.duplicated()].iloc[0]!r} occurs twice. "
            "Nothing was encoded."
        )
    return Catalogue(
        since=_since(table, path),
        item_ids=tuple(ids),
        texts=tuple(table.text.astype(str)),
        categories=tuple(table.category.fillna("").astype(str)),
    )


def _since(table: pd.DataFrame, path: Path) -> tuple[datetime | None, ...]:
    if SINCE not in table:
        return ()
    told = table[SINCE]
    days = pd.to_datetime(told, utc=True, errors="coerce", format="ISO8601")
    wrong = table[days.isna() & ~_blank(told)]
    if len(wrong):
        raise CatalogueError(
            f"Catalogue {path}: {len(wrong)} items have a {SINCE} that is no day, the first is "
            f"{wrong[SINCE].iloc[0]!r} in row {wrong.index[0]}. Nothing was encoded. Write days "
            "as 2026-01-31, or leave them empty."
        )
    return tuple(None if pd.isna(day) else day.to_pydatetime() for day in days)


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=str, keep_default_na=False)  # "007" and "NA" are ids, too


def _blank(column: pd.Series) -> pd.Series:
    return column.fillna("").astype(str).str.strip() == ""
