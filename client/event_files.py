"""Rows of an events file, whatever its format; a line that is none becomes a row of its own.

One bad line must not keep a region from answering, nor tell anybody that it is there.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd

from client.errors import EventsError

UNPARSED = "unparsed"
"""Column with what could not be parsed."""


def read_rows(path: Path) -> pd.DataFrame:
    """Read Parquet, JSON Lines (``.jsonl``) or, whatever else it is called, CSV.

    Ids keep their spelling: ``007`` stays ``007``, in a column with gaps too.

    Raises
    ------
    EventsError
        If the file cannot be opened, or is no Parquet although it says so.
    """
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, dtype_backend="numpy_nullable")
        return _read_json_lines(path) if path.suffix == ".jsonl" else _read_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        raise EventsError(f"Events {path} cannot be read ({error}). Nothing was read.") from error


def _read_json_lines(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8", errors="replace") as file:
        rows = [_parse_object(line) for line in file if line.strip()]
    if rows:
        return pd.DataFrame(rows, dtype=object)
    return pd.DataFrame(columns=["user_id", "item_id", "action", "timestamp"], dtype=object)


def _parse_object(line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    return row if isinstance(row, dict) else {UNPARSED: line.rstrip()}


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.DictReader(file, restkey=UNPARSED)
        rows = list(reader)
        columns = list(reader.fieldnames or [])
    return pd.DataFrame(rows, columns=None if rows else columns, dtype=object)
