"""What was shown to whom, and what came of it: one SQLite file that never leaves the client.

lists that are shown  ->  rows  <-  accepted, skipped, dwell
                          rows  ->  whole numbers for each user and arm (client.feedback)

Each change is one durable transaction: whatever fails, the file is as before. Only its owner can
read it; what is erased is overwritten.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from client.errors import FeedbackError

APPLICATION = 0x4645_4446  # "FEDF": what SQLite keeps in the file's header
FORMAT = 1
BUSY_SECONDS = 10.0
SECONDS_PER_DAY = 86400.0
LONGEST_DWELL = 86400.0
"""Seconds; longer ones are kept as it."""

NOT_SHOWN = "item was not shown to this user before"
OUTDATED = "a later response is kept"

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE shown (
    id          INTEGER PRIMARY KEY,
    list        TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    item_id     TEXT NOT NULL,
    place       INTEGER NOT NULL,
    shown_at    REAL NOT NULL,
    experiment  TEXT NOT NULL,
    arm         TEXT NOT NULL,
    reason      TEXT NOT NULL,
    response    TEXT CHECK (response IN ('accepted', 'skipped')),
    dwell_ms    INTEGER CHECK (dwell_ms >= 0),
    answered_at REAL
) STRICT;
CREATE INDEX shown_to ON shown (user_id, item_id, shown_at);
CREATE INDEX shown_when ON shown (shown_at);
"""


class Response(StrEnum):
    """What somebody did with an item that was shown."""

    ACCEPTED = "accepted"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownList:
    """A list that one user is shown.

    Attributes
    ----------
    user_id : str
    items : sequence of (str, str)
        Item ids and the kinds of their reasons, best first.
    experiment, arm : str
        Empty where none made the list.
    """

    user_id: str
    items: Sequence[tuple[str, str]]
    experiment: str = ""
    arm: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of one shown item.

    Attributes
    ----------
    user_id, item_id : str
    response : Response
    moment : datetime
    dwell : float, optional
        Seconds.
    """

    user_id: str
    item_id: str
    response: Response
    moment: datetime
    dwell: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of the items that one user was shown by one arm, in whole numbers.

    Attributes
    ----------
    shown, accepted, skipped : int
        Items.
    dwell_ms : int
        Milliseconds, each item's up to a cap.
    """

    shown: int
    accepted: int
    skipped: int
    dwell_ms: int


class FeedbackStore:
    """The file.

    Parameters
    ----------
    path : Path
    keep_days : float
        What was shown earlier is neither read nor kept.
    """

    def __init__(self, path: Path, keep_days: float) -> None:
        self.path = path
        self.keep_days = keep_days

    def record(self, lists: Iterable[ShownList], moment: datetime) -> int:
        """Keep what is shown, all of it or nothing; return how many items that is."""
        rows = (
            (name, one.user_id, item, place, moment.timestamp(), one.experiment, one.arm, reason)
            for one, name in ((one, secrets.token_hex(8)) for one in lists)
            for place, (item, reason) in enumerate(one.items, start=1)
        )
        with self._writing(moment) as database:
            return database.executemany(
                "INSERT INTO shown (list, user_id, item_id, place, shown_at, experiment, arm, "
                "reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            ).rowcount

    @contextmanager
    def answering(self, responses: Iterable[Answered], moment: datetime) -> Iterator[list[str]]:
        """Keep what came of shown items, all of it or nothing, when the block ends.

        Each response goes to the latest showing before it. The same one again changes nothing.

        Yields
        ------
        list of str
            Why each could not be kept; empty texts where nothing is wrong.
        """
        with self._writing(moment) as database:
            yield [_answer(database, one) for one in responses]

    def erase(self, user_id: str) -> int:
        """Erase all that is known of a user; return how many items that were shown."""
        if not self.path.exists():
            return 0
        with self._writing(None) as database:
            erased = database.execute("DELETE FROM shown WHERE user_id = ?", (user_id,)).rowcount
        with self._open() as database:  # the log still has what it held
            busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise FeedbackError(
                f"{erased} rows of {user_id!r} are erased from {self.path}, but another process "
                "has it open, and they may still stand in its log. Erase once more when it is done."
            )
        return erased

    def outcomes(
        self, experiment: str, since: datetime, until: datetime, dwell_cap: float
    ) -> dict[tuple[str, str], Outcome]:
        """Return what came of an experiment's lists, by user and arm. Private.

        Parameters
        ----------
        experiment : str
        since, until : datetime
            Of what was shown from the one on, up to but without the other.
        dwell_cap : float
            Seconds; a longer dwell counts as it.
        """
        if not self.path.exists():
            return {}
        with self._reading() as database:
            rows = database.execute(
                "SELECT user_id, arm, count(*), sum(ifnull(response = 'accepted', 0)), "
                "sum(ifnull(response = 'skipped', 0)), sum(min(ifnull(dwell_ms, 0), ?)) "
                "FROM shown WHERE experiment = ? AND shown_at >= ? AND shown_at < ? "
                "GROUP BY user_id, arm",
                (int(1000 * dwell_cap), experiment, since.timestamp(), until.timestamp()),
            )
            return {
                (user, arm): Outcome(shown=shown, accepted=yes, skipped=no, dwell_ms=dwell)
                for user, arm, shown, yes, no, dwell in rows
            }

    def exact_counts(self, moment: datetime) -> list[tuple[str, str, int, int, int, int]]:
        """Return experiment, arm, users, shown, accepted, skipped items: exact, hence private."""
        if not self.path.exists():
            return []
        with self._reading() as database:
            return database.execute(
                "SELECT experiment, arm, count(DISTINCT user_id), count(*), "
                "sum(ifnull(response = 'accepted', 0)), sum(ifnull(response = 'skipped', 0)) "
                "FROM shown WHERE shown_at >= ? GROUP BY experiment, arm ORDER BY experiment, arm",
                (self._oldest(moment),),
            ).fetchall()

    def _oldest(self, moment: datetime) -> float:
        return moment.timestamp() - self.keep_days * SECONDS_PER_DAY

    @contextmanager
    def _writing(self, moment: datetime | None) -> Iterator[sqlite3.Connection]:
        """Open the file for one durable transaction; what is too old at ``moment`` goes first."""
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                if not _tables(database):
                    _lay_out(database)
                if moment is not None:
                    oldest = self._oldest(moment)
                    database.execute("DELETE FROM shown WHERE shown_at < ?", (oldest,))
                yield database
            except BaseException:
                with suppress(sqlite3.Error):  # where SQLite has done so already
                    database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._open() as database:
            if not _tables(database):  # whoever made the file was stopped before laying it out
                with self._writing(None):
                    pass
            database.execute("PRAGMA query_only = ON")
            database.execute("BEGIN")
            yield database

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._errors():
            self._make_private()
            database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            with closing(database):
                self._check_format(database)
                # Where another process sets it at the same moment, this one need not.
                with suppress(sqlite3.OperationalError):
                    database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                database.execute("PRAGMA secure_delete = ON")
                database.execute("PRAGMA trusted_schema = OFF")
                yield database

    def _make_private(self) -> None:
        """Let nobody but the owner read the file; SQLite gives its log the same mode."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o600)

    def _check_format(self, database: sqlite3.Connection) -> None:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if _tables(database) and application != APPLICATION:
            raise FeedbackError(f"{self.path} holds something else than feedback. It was left so.")
        if _tables(database) and version != FORMAT:
            raise FeedbackError(
                f"{self.path} has format {version}, this program knows {FORMAT}. Nothing was "
                "kept or read. Use the program that made it."
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise FeedbackError(
                f"Feedback {self.path}: {_what(error)}. The file is as it was before."
            ) from error


def _what(error: Exception) -> str:
    match getattr(error, "sqlite_errorname", None):
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return f"another process has kept it for more than {BUSY_SECONDS:g} seconds; try again"
        case "SQLITE_FULL":
            return "the disk is full; make room and try again"
    return f"it cannot be used ({error})"


def _tables(database: sqlite3.Connection) -> int:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(tables)


def _lay_out(database: sqlite3.Connection) -> None:
    for statement in filter(str.strip, _SCHEMA.split(";")):
        database.execute(statement)


def _answer(database: sqlite3.Connection, one: Answered) -> str:
    """Keep one response; return why it cannot be, or nothing."""
    moment = one.moment.timestamp()
    found = database.execute(
        "SELECT id, answered_at FROM shown WHERE user_id = ? AND item_id = ? AND shown_at <= ? "
        "ORDER BY shown_at DESC, id DESC LIMIT 1",
        (one.user_id, one.item_id, moment),
    ).fetchone()
    if found is None:
        return NOT_SHOWN
    row, answered_at = found
    if answered_at is not None and answered_at > moment:
        return OUTDATED
    dwell = None if one.dwell is None else round(1000 * min(one.dwell, LONGEST_DWELL))
    database.execute(
        "UPDATE shown SET response = ?, dwell_ms = ?, answered_at = ? WHERE id = ?",
        (one.response.value, dwell, moment, row),
    )
    return ""
