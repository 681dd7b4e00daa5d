"""A ledger's file: SQLite with write-ahead log, one durable transaction at a time.

records      the chain
checkpoints  signatures over the chain's heads
replies      bytes of recent answers, to be sent again when asked again
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from privacy.errors import DamagedLedgerError, LedgerError
from privacy.records import FORMAT, Record

APPLICATION = 0x4645_444C  # "FEDL": what SQLite keeps in the file's header
BUSY_SECONDS = 10.0
REPLIES_KEPT = 100
"""Older answers can no longer be asked for again; their digests stay in the chain."""

_RECORD_TYPES = [int, str, str, str, str, str, str]
_APPEND_ONLY = """
CREATE TRIGGER {table}_are_not_changed BEFORE UPDATE ON {table}
    BEGIN SELECT RAISE(ABORT, 'a ledger is append-only'); END;
CREATE TRIGGER {table}_are_not_removed BEFORE DELETE ON {table}
    BEGIN SELECT RAISE(ABORT, 'a ledger is append-only'); END;
"""
_SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE records (
    sequence INTEGER PRIMARY KEY,
    time     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    content  TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash     TEXT NOT NULL
) STRICT;
CREATE TABLE checkpoints (
    sequence  INTEGER PRIMARY KEY REFERENCES records (sequence),
    signature TEXT NOT NULL
) STRICT;
CREATE TABLE replies (
    entry INTEGER PRIMARY KEY,
    reply BLOB NOT NULL
) STRICT;
""" + "".join(_APPEND_ONLY.format(table=table) for table in ("records", "checkpoints"))


class LedgerRows:
    """The rows of a ledger's file, within one transaction.

    Parameters
    ----------
    database : sqlite3.Connection
    path : Path
        For errors.
    """

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path

    @property
    def is_new(self) -> bool:
        """Whether nothing has ever been written."""
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return not tables

    def create(self) -> None:
        """Lay out the tables."""
        _lay_out(self._database)

    def check_format(self) -> None:
        """Raise :class:`LedgerError` if the file is no ledger, or one of another format."""
        schema = _schema_of(self._database)
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        has_tables = {"records", "checkpoints", "replies"} <= {name for _, name, *_ in schema}
        if not has_tables and application != APPLICATION:
            raise LedgerError(f"{self._path} is not a ledger. Nothing was sent.")
        if schema != _own_schema():
            raise DamagedLedgerError("Its tables or triggers have been changed.")
        if (application, version) != (APPLICATION, FORMAT):
            raise DamagedLedgerError(
                f"Its format is {version} of application {application:#x}, expected was {FORMAT} "
                f"of {APPLICATION:#x}."
            )

    def records(self) -> list[Record]:
        """Return the chain with its signatures, oldest first.

        Raises
        ------
        LedgerError
            If the file is no ledger, or one of another format.
        """
        self.check_format()
        return self.records_of_any_format()

    def records_of_any_format(self) -> list[Record]:
        """Return the same from a file whose format has been changed, to tell what else was."""
        rows = self._database.execute(
            "SELECT records.*, ifnull(signature, '') FROM records LEFT JOIN checkpoints "
            "USING (sequence) ORDER BY sequence"
        )
        found = rows.fetchall()
        for number, row in enumerate(found, start=1):
            if [type(value) for value in row] != _RECORD_TYPES:
                raise DamagedLedgerError(f"Record {number} has a value of another type.")
        return [Record(*row) for row in found]

    def append(self, record: Record) -> None:
        """Add a record."""
        self._database.execute(
            "INSERT INTO records (sequence, time, kind, content, previous, hash) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                record.sequence,
                record.time,
                record.kind,
                record.content,
                record.previous,
                record.hash,
            ),
        )

    def signature_too_many(self, records: Sequence[Record]) -> int | None:
        """Return the number of a signature that belongs to no record, or not once."""
        signed = {record.sequence for record in records if record.signature}
        for (sequence,) in self._database.execute("SELECT sequence FROM checkpoints NOT INDEXED"):
            if sequence not in signed:
                return int(sequence)
            signed.discard(sequence)
        return None

    def check_integrity(self) -> None:
        """Raise :class:`DamagedLedgerError` if SQLite finds the file's structure damaged."""
        (found,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            told = " ".join(found.split())
            raise DamagedLedgerError(f"The structure of its file is damaged ({told}).")

    def sign(self, sequence: int, signature: str) -> None:
        """Add a checkpoint."""
        self._database.execute("INSERT INTO checkpoints VALUES (?, ?)", (sequence, signature))

    def replies(self) -> Iterator[tuple[int, bytes]]:
        """Go through the answers that are kept, with their entries."""
        for entry, reply in self._database.execute("SELECT entry, reply FROM replies"):
            if type(entry) is not int or type(reply) is not bytes:
                raise DamagedLedgerError(f"The reply of entry {entry} is of another type.")
            yield entry, reply

    def reply(self, entry: int) -> bytes | None:
        """Return the bytes of an entry's answer, if they are kept."""
        row = self._database.execute(
            "SELECT reply FROM replies WHERE entry = ?", (entry,)
        ).fetchone()
        if row is not None and type(row[0]) is not bytes:
            raise DamagedLedgerError("A reply has a value of another type.")
        return None if row is None else row[0]

    def keep_reply(self, entry: int, reply: bytes) -> None:
        """Keep an answer, and drop those that are too old to be asked for."""
        self._database.execute("INSERT INTO replies VALUES (?, ?)", (entry, reply))
        self._database.execute("DELETE FROM replies WHERE entry <= ?", (entry - REPLIES_KEPT,))


def _lay_out(database: sqlite3.Connection) -> None:
    statement = ""
    for line in _SCHEMA.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            database.execute(statement)
            statement = ""


def _schema_of(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    rows = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name")
    return rows.fetchall()


@cache
def _own_schema() -> list[tuple[str, ...]]:
    """Return what a ledger's file declares: a trigger more could undo what is written."""
    with closing(sqlite3.connect(":memory:")) as database:
        _lay_out(database)
        return _schema_of(database)


class LedgerFile:
    """The file itself.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def identity(self) -> str:
        """Which file this is in which folder: a copy has another, a renamed file the same.

        The folder counts, since SQLite keeps a file's log beside it: one file
        under two paths would have two.
        """
        return f"{self.path.stat().st_ino}@{self.path.absolute().parent.stat().st_ino}"

    @property
    def has_other_names(self) -> bool:
        """Whether a hard link leads to it: SQLite would keep two logs for one file."""
        return self.path.stat().st_nlink > 1

    @property
    def _log(self) -> Path:
        real = self.path.resolve()  # of a link, SQLite keeps it beside what is linked to
        return real.with_name(f"{real.name}-wal")

    @contextmanager
    def writing(self) -> Iterator[LedgerRows]:
        """Open the file for one transaction that is durable when the block ends.

        Raises
        ------
        LedgerError
            If it cannot be used; whatever the block had written is undone then.
        """
        with self._errors():
            if self.path.is_dir():
                raise LedgerError(f"{self.path} is a folder, not a ledger. Nothing was sent.")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                # Where another process sets it at the same moment, this one need not.
                with suppress(sqlite3.OperationalError):
                    database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = EXTRA")
                database.execute("PRAGMA trusted_schema = OFF")
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield LedgerRows(database, self.path)
                except BaseException:
                    with suppress(sqlite3.Error):  # where SQLite has done so already
                        database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
            finally:
                database.close()

    @contextmanager
    def reading(self) -> Iterator[LedgerRows]:
        """Open the file to look at it; nothing is written.

        Raises
        ------
        LedgerError
            If there is none or it cannot be read.
        """
        with self._errors():
            if not self.path.is_file():
                raise LedgerError(f"There is no ledger in {self.path}.")
            uri = f"{self.path.resolve().as_uri()}?{self._reading_mode()}"
            database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                database.execute("PRAGMA query_only = ON")
                database.execute("BEGIN")
                yield LedgerRows(database, self.path)
            finally:
                database.close()

    def _reading_mode(self) -> str:
        """Return how to look at the file; who may write removes SQLite's own files afterwards."""
        if os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK):
            return "mode=rw"
        return "mode=ro" if self._log.exists() else "mode=ro&immutable=1"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, OverflowError, UnicodeError) as error:
            raise LedgerError(
                f"Ledger {self.path} cannot be used ({error}). Nothing was sent."
            ) from error
