"""What all routes for programs have in common: where they are, what can go wrong, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel
from starlette.responses import Response

API = "/api/v1"
"""Where the API is; another version gets another number."""
LONGEST = 200
"""Characters of a name in an address: names in the store are not longer."""

Name = Annotated[str, Path(max_length=LONGEST)]
Asked = Annotated[str | None, Query(max_length=LONGEST)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


class Problem(BaseModel):
    """Why there is no answer."""

    error: str
    """A short word, the same in all languages."""
    message: str
    """What is wrong and what to do, in the language that was asked for."""


ANSWERS: dict[int | str, dict[str, Any]] = {
    # Spelt out: as a model, FastAPI would say that a CSV route's problems are CSV, too.
    code: {
        "description": told,
        "content": {"application/json": {"schema": Problem.model_json_schema()}},
    }
    for code, told in {
        401: "No login and no token.",
        403: "For auditors only.",
        404: "There is no such thing.",
        422: "A value in the address is not of its kind.",
        503: "The run store does not answer now.",
    }.items()
}
"""For ``responses=`` of each route."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""How a cell begins that a spreadsheet may run; the last four are the first ones, full width."""


class CsvResponse(Response):
    """A CSV file; ``response_class=`` of the routes that return one, so that the schema says so."""

    media_type = "text/csv"


def csv_response(name: str, line: type[Any], rows: Iterable[Any]) -> Response:
    """Return rows as a CSV file to download.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    line : type
        Dataclass of the rows: its fields are the columns.
    rows : iterable
    """
    columns = [field.name for field in fields(line)]
    return csv_of(name, columns, ([getattr(row, column) for column in columns] for row in rows))


def csv_of(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """Return cells as a CSV file to download."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return CsvResponse(
        # The mark tells spreadsheets that it is UTF-8.
        "\ufeff" + text.getvalue(),
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


def cell(value: Any) -> Any:
    """Return a value as a spreadsheet shows it, and never runs it as a formula."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        value = "; ".join(str(part) for part in value)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
