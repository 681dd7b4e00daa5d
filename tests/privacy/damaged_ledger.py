"""A ledger to damage: put back in place, into the same files, before each new damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from privacy.door import Contribute, Door
from privacy.errors import LedgerError
from privacy.ledger_check import verify_ledger
from privacy.query import Contributions, NoiseKind, SumQuery, TrustModel
from privacy.release import Answer, Release
from privacy.signed_head import SignedHead
from privacy.window import Window
from tests.privacy.examples import a_door, a_query, giving, users

PEOPLE: Mapping[str, Contributions] = {"sums": users([[1, 0], [0, 1]])}
FIRST, LAST, NEW = 1, 7, 8
"""Rounds: answered first and last, and not asked for yet."""
LEDGER, LOG, KEY, WITNESS = "ledger.sqlite", "ledger.sqlite-wal", "ledger.key", "witness.jsonl"


def asked(round_number: int, **changes: Any) -> SumQuery:
    return a_query(round_number=round_number, **changes)


Rows = list[tuple[Any, ...]]
STORED = (
    "SELECT application_id, user_version FROM pragma_application_id, pragma_user_version",
    "SELECT * FROM records",
    "SELECT * FROM checkpoints",
    "SELECT * FROM replies",
)


class StoredValues(NamedTuple):
    """All that a ledger's file holds; None where SQLite cannot read it."""

    header: Rows | None
    records: Rows | None
    signatures: Rows | None
    replies: Rows | None

    @property
    def chain(self) -> tuple[Rows | None, ...]:
        """What every charge stands on."""
        return self[:3]


class Specimen:
    """A ledger with something of everything in it.

    Parameters
    ----------
    folder : Path
    witnessed : bool
    with_log : bool
        Leave the later half of it in SQLite's log, as after a crash.
    """

    def __init__(self, folder: Path, *, witnessed: bool, with_log: bool = False) -> None:
        self.folder = folder / "specimen"
        self.path = self.folder / LEDGER
        self.witness = self.folder / WITNESS if witnessed else None
        self._scratch = folder / "scratch.sqlite"
        self._removed = folder / "removed"
        self._removed.mkdir()
        self.sent: dict[int, Release] = {}
        self.send(FIRST)
        idle = sqlite3.connect(self.path)  # as long as it is open, SQLite's log stays
        idle.execute("SELECT count(*) FROM records").fetchall()
        self.live()
        self.files = {
            path.name: path.read_bytes()
            for path in self.folder.iterdir()
            if not path.name.endswith("-shm")
        }
        idle.close()
        if not with_log:
            self.door().ledger.account()  # the last to close the file removes the log
            self.files = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        self.values = self.stored_values()

    def live(self) -> None:
        """Release, fail, refuse, die and answer without a reply; release last."""
        self.send(2)
        for round_number, end in ((3, ValueError), (5, KeyboardInterrupt)):
            with suppress(end):
                self.door().answer(asked(round_number), ending_in(end))
        self.door().answer(asked(4, kind="moments"), giving(PEOPLE))
        self.door().answer(asked(6, trust_model=TrustModel.CENTRAL), giving(PEOPLE))
        self.send(LAST)

    def door(self) -> Door:
        """Open the door, as a new process does."""
        return a_door(
            self.folder,
            noise=NoiseKind.DISCRETE,
            witness=self.witness,
            epsilon=1e3,
            trust_models=set(TrustModel),
        )

    def send(self, round_number: int) -> None:
        answer = self.door().answer(asked(round_number), giving(PEOPLE))
        if not isinstance(answer, Release):
            raise RuntimeError(f"Round {round_number} was not released: {answer}")
        self.sent[round_number] = answer

    @property
    def heads(self) -> list[SignedHead]:
        """What the server received."""
        return [answer.head for answer in self.sent.values() if answer.head]

    def remove(self, *names: str) -> None:
        """Take files away; :meth:`restore` brings back the same ones."""
        for name in names:
            if (self.folder / name).exists():
                (self.folder / name).rename(self._removed / name)

    def restore(self) -> None:
        """Put everything back as it was, into the same files."""
        for path in self._removed.iterdir():
            path.replace(self.folder / path.name)
        for path in self.folder.iterdir():
            if path.is_dir():
                path.rmdir()
            elif path.name not in self.files:
                path.unlink()
        for name, content in self.files.items():
            self.overwrite(name, content)
        (self.folder / KEY).chmod(0o600)

    def overwrite(self, name: str, content: bytes) -> None:
        """Change a file's content; it stays the same file."""
        with (self.folder / name).open("r+b" if (self.folder / name).exists() else "wb") as file:
            file.write(content)
            file.truncate()

    @contextmanager
    def opened_by_force(self) -> Iterator[sqlite3.Connection]:
        """Open the file as somebody does who can write to the disk, and leaves no trace.

        Nothing is append-only meanwhile, and any value fits into any column.
        """
        with closing(sqlite3.connect(self.path)) as database:
            schema = database.execute("SELECT name, sql, type FROM sqlite_master").fetchall()
            for name, _, kind in schema:
                if kind == "trigger":
                    database.execute(f"DROP TRIGGER {name}")
            declare(database, {name: loose(sql) for name, sql, _ in schema})
        with closing(sqlite3.connect(self.path)) as database:
            yield database
            database.commit()
            for _, sql, kind in schema:
                if kind == "trigger":
                    database.execute(sql)
            declare(database, {name: sql for name, sql, _ in schema})

    def stored_values(self) -> StoredValues:
        """Read all values from a copy."""
        for name in (LEDGER, LOG):
            source = self.folder / name
            copy = self._scratch.with_name(name.replace(LEDGER, self._scratch.name))
            copy.unlink(missing_ok=True)
            copy.with_name(f"{self._scratch.name}-shm").unlink(missing_ok=True)
            if source.exists():
                copy.write_bytes(source.read_bytes())
        with closing(sqlite3.connect(self._scratch)) as database:
            database.text_factory = partial(str, encoding="utf-8", errors="replace")
            return StoredValues(*(read(database, query) for query in STORED))

    def holds(self) -> bool:
        """Verify the ledger with all that there is; what cannot be read does not hold."""
        try:
            found = verify_ledger(self.path, witness=self.witness, heads=self.heads)
        except LedgerError as error:
            if not str(error):
                raise
            return False
        return found.holds


def read(database: sqlite3.Connection, query: str) -> Rows | None:
    try:
        return database.execute(query).fetchall()
    except (sqlite3.Error, UnicodeError):
        return None


def declare(database: sqlite3.Connection, tables: Mapping[str, str]) -> None:
    """Exchange what the file says of its tables; the tables stay as they are."""
    (version,) = database.execute("PRAGMA schema_version").fetchone()
    database.execute("PRAGMA writable_schema = ON")
    for name, sql in tables.items():
        database.execute(
            "UPDATE sqlite_master SET sql = ? WHERE name = ? AND type = 'table'", (sql, name)
        )
    database.execute(f"PRAGMA schema_version = {version + 1}")
    database.commit()


def loose(sql: str) -> str:
    return sql.replace(" STRICT", "").replace(" NOT NULL", "")


def ending_in(end: type[BaseException]) -> Contribute:
    """Let a client fail, or be stopped, while it computes."""

    def contribute(window: Window) -> Mapping[str, Contributions]:
        raise end

    return contribute


def says_the_same(answer: Answer, other: Answer) -> bool:
    """Tell whether two answers are the same, head, signature and all."""
    return (answer.to_bytes(), answer.head, answer.signature) == (
        other.to_bytes(),
        other.head,
        other.signature,
    )
