"""Rows that are put: new ones added, known ones brought up to date, on either database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.dialects import postgresql, sqlite

from server.run_store.schema import Base

Row = Mapping[str, Any]


def insert_into(connection: Connection, model: type[Base]) -> Any:
    """Return an INSERT that can say what to do about rows that are there already."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(model)


def put(
    connection: Connection,
    model: type[Base],
    rows: Sequence[Row],
    *,
    keep: Collection[str] = (),
    unless_before: str = "",
) -> None:
    """Add rows, or bring those with the same key up to date.

    Parameters
    ----------
    connection : Connection
    model : type
    rows : sequence of dict
        All with the same columns.
    keep : collection of str
        Columns that stay as they are in rows that are there.
    unless_before : str
        A column; a row that is there stays whole where it is later by it.
    """
    if not rows:
        return
    table = model.__table__
    keys = [column.name for column in inspect(model).primary_key]
    statement = insert_into(connection, model)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in {*keys, *keep}}
    newer = statement.excluded[unless_before] >= table.c[unless_before] if unless_before else None
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed, where=newer),
        [dict(row) for row in rows],
    )
