"""Connections to a run store that wait for others, but never for ever.

SQLite: write-ahead log, foreign keys, a busy timeout.  PostgreSQL: limits on locks and silence.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from server.run_store.errors import StoreError
from server.run_store.reach import refuse_to_leave_a_log

SLOWEST_STATEMENT_SECONDS = 60


def file_engine(path: Path, busy_seconds: float) -> Engine:
    """Return an engine on an SQLite file that exists.

    Each transaction opens the file anew: one that was deleted is noticed, not written on into
    nothing; it is never made again by opening it.
    """
    address = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        refuse_to_leave_a_log(path)
        return sqlite3.connect(
            address, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
        )

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def server_engine(url: str, busy_seconds: float) -> Engine:
    """Return an engine on a PostgreSQL database."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    limits = {
        "lock_timeout": f"{busy_seconds:g}s",
        "statement_timeout": f"{SLOWEST_STATEMENT_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{SLOWEST_STATEMENT_SECONDS}s",
    }
    try:
        return create_engine(
            parsed,
            connect_args={
                # psycopg takes whole seconds, and at least two
                "connect_timeout": max(2, math.ceil(busy_seconds)),
                "tcp_user_timeout": int(1000 * max(busy_seconds, 2)),
                "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
                "application_name": "fedinterest",
            },
            pool_pre_ping=True,
            hide_parameters=True,
        )
    except ImportError as error:
        raise StoreError(
            "PostgreSQL needs psycopg, which is not installed here. Nothing was written. "
            "Install fedinterest[postgres], or name a file for SQLite."
        ) from error


def _prepare(connection: Any, entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    # Another process may be turning it just now; and some disks cannot have one.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Begin a transaction ourselves: sqlite3 would begin too late for tables to be part of it."""
    # A writer asks for the lock at once. Later, SQLite would refuse without waiting.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
