"""The server's record of tokens, requests and decisions: one SQLite file in its folder.

tokens      verifiers (public keys), never tokens; used up by one request
enrolments  requests that a person decides on, with what was decided, by whom and when
nonces      of recent requests: none is taken twice
refusals    how often what was refused, by day; for the operator alone

Each change is one durable transaction: whatever fails, the file is as before.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from deployment.enrolment.errors import StoreError

APPLICATION = 0x4645_4445  # "FEDE": what SQLite keeps in the file's header
FORMAT = 1
BUSY_SECONDS = 5.0

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE tokens (
    verifier  TEXT PRIMARY KEY,
    region    TEXT NOT NULL,
    made_at   TEXT NOT NULL,
    made_by   TEXT NOT NULL,
    expires   TEXT NOT NULL,
    used_at   TEXT,
    cancelled TEXT
) STRICT;
CREATE TABLE enrolments (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    region          TEXT NOT NULL,
    verifier        TEXT NOT NULL UNIQUE REFERENCES tokens,
    node_key        TEXT NOT NULL UNIQUE,
    ledger_key      TEXT NOT NULL,
    request         TEXT NOT NULL,
    received        TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('waiting','approved','declined','revoked')),
    node_id         TEXT,
    approved_by     TEXT,
    approved_at     TEXT,
    ended_by        TEXT,
    ended_at        TEXT,
    unregistered_at TEXT,
    CHECK (state NOT IN ('approved', 'revoked') OR node_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX one_for_each_region ON enrolments (region)
    WHERE state IN ('waiting', 'approved');
CREATE TABLE nonces (nonce TEXT PRIMARY KEY, received TEXT NOT NULL) STRICT;
CREATE TABLE refusals (
    day    TEXT NOT NULL,
    reason TEXT NOT NULL,
    region TEXT NOT NULL,
    times  INTEGER NOT NULL,
    first  TEXT NOT NULL,
    last   TEXT NOT NULL,
    PRIMARY KEY (day, reason, region)
) STRICT;
"""


class EnrolmentStore:
    """The file; made when it does not exist yet, readable by its owner alone.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StoreError
        By both methods, if it cannot be read or written, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that no other write overlaps; undone if the block raises."""
        with self._told(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view."""
        with self._told(), closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The record of enrolments {self.path} cannot be used ({error}). Nothing was "
                "changed in it. Look whether its disk is full or another program holds it."
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if not self.path.exists():
            self._create()
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            self._check(connection)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """Make the file under another name and then put it in its place: whole, or not there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.{os.urandom(4).hex()}.new")
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.executescript(_SCHEMA)
            with suppress(FileExistsError):  # somebody else was faster, with the same schema
                os.link(new, self.path)
        finally:
            new.unlink()

    def _check(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        if found != APPLICATION:
            raise StoreError(
                f"{self.path} is no record of enrolments. Nothing was changed in it. "
                "Name the server's own folder."
            )
        known = connection.execute("PRAGMA user_version").fetchone()[0]
        if known != FORMAT:
            raise StoreError(
                f"{self.path} has format {known}, this program reads {FORMAT}. Nothing was "
                "changed in it. Use the version of fedinterest that wrote it, or a newer one."
            )
