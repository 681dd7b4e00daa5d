"""The public catalogue as a client reads it: item ids, texts, category paths."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from client.errors import CatalogueError

COLUMNS = ("item_id", "text", "category")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Public items, in the order that numbers them.

    Attributes
    ----------
    item_ids, texts, categories : tuple of str, length n_items
        A category is a path such as ``GROCERY > BAKING``.
    """

    item_ids: tuple[str, ...]
    texts: tuple[str, ...]
    categories: tuple[str, ...]

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

    Raises
    ------
    CatalogueError
        If the file cannot be read, a column is missing, a text is empty, or an
        item occurs twice.
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
        item_ids=tuple(ids),
        texts=tuple(table.text.astype(str)),
        categories=tuple(table.category.fillna("").astype(str)),
    )


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=str, keep_default_na=False)  # "007" and "NA" are ids, too


def _blank(column: pd.Series) -> pd.Series:
    return column.fillna("").astype(str).str.strip() == ""
