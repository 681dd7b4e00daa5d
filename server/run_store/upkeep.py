"""What operators ask of a store itself: which schema it has, and how large it is."""

from __future__ import annotations

from sqlalchemy import column, select, table, text

from server.run_store.opening import Store
from server.run_store.schema import VERSION_TABLE


def schema_version(store: Store) -> str:
    """Return the version of the schema, as migrations name it."""
    versions = table(VERSION_TABLE, column("version_num"))
    with store.read() as connection:
        return str(connection.execute(select(versions.c.version_num)).scalar_one())


def size_in_bytes(store: Store) -> int:
    """Return how much room the database takes, also what is free in it to be used again."""
    with store.read() as connection:
        if connection.dialect.name == "postgresql":
            size = connection.execute(text("SELECT pg_database_size(current_database())"))
            return int(size.scalar_one())
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
