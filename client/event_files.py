"""Rows of an events file, whatever its format; a line that is none becomes a row of its own.

One bad line must not keep a region from answering, nor tell anybody that it is there.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd

from client.errors import ClientError, EventsError

NEEDED = ("user_id", "item_id", "action", "timestamp")
UNPARSED = "unparsed"
"""Column with what could not be parsed."""
LONGEST_LINE = 100_000
"""Longer lines of CSV are not parsed."""


def read_rows(
    path: Path, what: str = "Events", failure: type[ClientError] = EventsError
) -> pd.DataFrame:
    """Read Parquet, JSON Lines (``.jsonl``) or, whatever else it is called, CSV.

    Ids keep their spelling: ``007`` stays ``007``, in a column with gaps too.

    Parameters
    ----------
    path : Path
    what : str
        What is in it, as the error begins.
    failure : type of ClientError
        Raised if the file cannot be opened, or is no Parquet although it says so.
    """
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, dtype_backend="numpy_nullable")
        return _read_json_lines(path) if path.suffix == ".jsonl" else _read_csv(path)
    except (OSError, ValueError) as error:
        raise failure(f"{what} {path} cannot be read ({error}). Nothing was read.") from error


def _read_json_lines(path: Path) -> pd.DataFrame:
    """Read one object per line; keys that all lines lack are columns of gaps."""
    with path.open(encoding="utf-8", errors="replace") as file:
        rows = [_parse_object(line) for line in file if line.strip()]
    table = pd.DataFrame(rows, dtype=object)
    return table.assign(**{name: None for name in NEEDED if name not in table})


def _parse_object(line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        row = None
    return row if isinstance(row, dict) else {UNPARSED: line.rstrip()}


def _read_csv(path: Path) -> pd.DataFrame:
    """Read one record per line: a quote that is never closed spoils its own line only."""
    with path.open(encoding="utf-8", errors="replace") as file:
        columns = _parse_record(file.readline()) or []
        rows = [_name_fields(columns, line) for line in file if line.strip()]
    return pd.DataFrame(rows, columns=[*columns, UNPARSED], dtype=object)


def _name_fields(columns: list[str], line: str) -> dict[str, str]:
    fields = _parse_record(line)
    if fields is None or len(fields) > len(columns):
        return {UNPARSED: line.rstrip()}
    return dict(zip(columns, fields, strict=False))


def _parse_record(line: str) -> list[str] | None:
    """Return a line's fields, or None where it is no record."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        return next(csv.reader([line.rstrip("\r\n")], strict=True), [])
    except csv.Error:
        return None
