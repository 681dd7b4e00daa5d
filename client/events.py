"""Behaviour events: private, read where they lie, never sent.

file (Parquet, CSV, JSON Lines)  ->  usable events  +  rejected rows with a reason
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from client.errors import EventsError
from client.event_files import NEEDED, UNPARSED, read_rows

ACTIONS = frozenset(
    {"view", "click", "search", "purchase", "favourite", "like", "rating", "review"}
)


def read_events(path: Path, known_items: Collection[str], rejected: Path) -> pd.DataFrame:
    """Read the events that can be used; keep the others apart, with the reason.

    Parameters
    ----------
    path : Path
        Columns ``user_id``, ``item_id``, ``action``, ``timestamp`` (with a time
        zone) and, optionally, ``value`` (how often, how much; 1 if left out).
    known_items : collection of str
        Item ids of the catalogue.
    rejected : Path
        CSV file of the rows that cannot be used; written only if there are any.

    Returns
    -------
    DataFrame
        ``user_id`` (str), ``item_id`` (str), ``action``, ``timestamp`` (UTC),
        ``value`` (float), oldest first.

    Raises
    ------
    EventsError
        If the file cannot be read, a needed column is missing, or its
        timestamps have no time zone.
    """
    table = read_rows(path)
    missing = [column for column in NEEDED if column not in table]
    if missing:
        raise EventsError(
            f"Events {path} have no column {missing[0]!r} (found: {', '.join(map(str, table))}). "
            f"Nothing was read. They need {', '.join(NEEDED)}, and may have value."
        )
    if pd.api.types.is_datetime64_dtype(table.timestamp):
        raise EventsError(
            f"Events {path} have timestamps without a time zone. Nothing was read. "
            "Write them with one, for example 2017-01-31T18:00:00+01:00."
        )
    table = table.assign(**{name: None for name in ("value", UNPARSED) if name not in table})
    table["user_id"], table["item_id"] = ids(table.user_id), ids(table.item_id)
    when = timestamps(table.timestamp)
    values = _values(table.value)
    reasons = _reasons(table, when, values, known_items)
    keep_rejected(table, reasons, rejected)
    usable = table[list(NEEDED)].assign(timestamp=when, value=values)[reasons == ""]
    texts = ["user_id", "item_id", "action"]
    usable[texts] = usable[texts].astype(str)
    return usable.sort_values("timestamp", kind="stable", ignore_index=True)


def ids(column: pd.Series) -> pd.Series:
    """Return ids as texts; an empty one is missing."""
    texts = column.astype("string").str.strip()
    return texts.mask(texts == "")


def _values(column: pd.Series) -> pd.Series:
    """Return numbers; one event where nothing is said, missing where it is no number."""
    said = column.replace("", None).fillna(1.0)
    if pd.api.types.is_numeric_dtype(said):
        return pd.Series(said.astype("float64"))
    return pd.Series([number(one) for one in said], index=column.index, dtype="float64")


def number(said: object) -> float:
    """Return what one row says; missing where it is no number, however odd."""
    try:
        return float(said)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def timestamps(column: pd.Series) -> pd.Series:
    """Return UTC timestamps; what has no time zone or is no time becomes missing."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return pd.Series(column.dt.tz_convert("UTC").dt.as_unit("us"))
    # Nanoseconds in one row would narrow the years that all rows can have.
    texts = column.astype("string").str.replace(r"([.,]\d{6})\d+", r"\1", regex=True)
    zoned = texts.str.contains(r"[T ]\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$", regex=True, na=False)
    parsed = pd.to_datetime(texts.where(zoned), utc=True, errors="coerce", format="ISO8601")
    return pd.Series(parsed.dt.as_unit("us"))


def _reasons(
    table: pd.DataFrame, when: pd.Series, values: pd.Series, known_items: Collection[str]
) -> pd.Series:
    """Name what is wrong with each row; an empty string where nothing is."""
    reasons = pd.Series("", index=table.index)
    problems = {
        "value is not a positive number": ~(np.isfinite(values) & (values > 0)),
        "timestamp is not a time with a time zone": when.isna(),
        "unknown action": ~table.action.isin(ACTIONS),
        "item is not in the catalogue": ~table.item_id.astype(str).isin(known_items),
        "no item": table.item_id.isna(),
        "line cannot be parsed": table[UNPARSED].notna(),
        "no user": table.user_id.isna(),
    }
    for reason, rows in problems.items():
        reasons[rows] = reason
    return reasons


def keep_rejected(table: pd.DataFrame, reasons: pd.Series, path: Path) -> None:
    """Write the rows that cannot be used, or remove the file of an earlier read."""
    rows = reasons != ""
    if not rows.any():
        path.unlink(missing_ok=True)
        return
    rejected = table[rows].assign(reason=reasons[rows]).dropna(axis="columns", how="all")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(path.suffix + ".unfinished")
    rejected.to_csv(unfinished, index=False)
    unfinished.replace(path)
