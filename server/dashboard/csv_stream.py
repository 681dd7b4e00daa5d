"""A long table as CSV, sent while it is read.

parts of rows  ->  text, part by part
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from starlette.responses import Response, StreamingResponse

from server.dashboard.api import cell


def csv_stream(name: str, line: type[Any], parts: Iterable[Sequence[Any]]) -> Response:
    """Return rows as a CSV file to download, like :func:`server.dashboard.api.csv_response`.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    line : type
        Dataclass of the rows: its fields are the columns.
    parts : iterable of sequences
        Rows. Whoever gives them has read the first, so that what fails can be told in words.
    """
    columns = [field.name for field in fields(line)]
    return StreamingResponse(
        _texts(columns, parts),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def _texts(columns: Sequence[str], parts: Iterable[Sequence[Any]]) -> Iterator[str]:
    # The mark tells spreadsheets that it is UTF-8.
    yield "\ufeff" + _text([columns])
    for part in parts:
        yield _text([cell(getattr(row, column)) for column in columns] for row in part)


def _text(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
