"""The client's own record of what it has released, and its limit on more.

reserve (charged from here on)  ->  commit (with the reply's bytes)
                                ->  cancel (nothing had left)

An SQLite file on the client's disk. An entry is written and synced before
anything is computed for it, so a crash at any instruction can charge for what
never left, but never miss what did. Entries hold mechanisms (sensitivity,
sigma), from which an accountant computes epsilon, and no user identifiers.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from privacy.accountant import ADJACENCY, UNIT, GaussianEvent, compose, epsilon_of
from privacy.errors import LedgerError, RefusalError
from privacy.policy import Policy
from privacy.query import SumQuery

FORMAT = "1"
BUSY_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE identity (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE entries (
    entry         INTEGER PRIMARY KEY AUTOINCREMENT,
    time          TEXT NOT NULL,
    window        TEXT NOT NULL,
    run           TEXT NOT NULL,
    round_number  INTEGER NOT NULL,
    purpose       TEXT NOT NULL,
    kind          TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    trust_model   TEXT NOT NULL,
    noise         TEXT NOT NULL,
    clipping_norm REAL NOT NULL,
    sensitivity   REAL NOT NULL,
    sigma         REAL NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('reserved', 'committed', 'cancelled')),
    reply         BLOB
) STRICT;
CREATE UNIQUE INDEX one_release_per_round ON entries (run, round_number)
    WHERE state <> 'cancelled';
CREATE TABLE refusals (
    refusal       INTEGER PRIMARY KEY AUTOINCREMENT,
    time          TEXT NOT NULL,
    run           TEXT NOT NULL,
    round_number  INTEGER NOT NULL,
    purpose       TEXT NOT NULL,
    kind          TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    reason        TEXT NOT NULL,
    sentence      TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One charged release: what was asked and the mechanism that answered."""

    entry: int
    time: str
    window: str
    run: str
    round_number: int
    purpose: str
    kind: str
    fingerprint: str
    trust_model: str
    noise: str
    clipping_norm: float
    sensitivity: float
    sigma: float
    state: str

    @property
    def event(self) -> GaussianEvent:
        """The mechanism, for an accountant."""
        return GaussianEvent(self.sensitivity, self.sigma)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRefusal:
    """One request that was refused, and why."""

    refusal: int
    time: str
    run: str
    round_number: int
    purpose: str
    kind: str
    fingerprint: str
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """A charged entry; ``reply`` holds the bytes if this very request was answered before."""

    entry: int
    reply: bytes | None = None


class Ledger:
    """A client's ledger file; made when it does not exist yet.

    Parameters
    ----------
    path : Path
        The SQLite file.
    policy : Policy
        Region, window, budget and delta. Region and delta are fixed for the
        ledger's life.

    Raises
    ------
    LedgerError
        If the file is not a ledger, belongs to another region or delta, or
        cannot be written.
    """

    def __init__(self, path: Path, policy: Policy) -> None:
        self.path = path
        self.policy = policy
        with self._transaction() as database:
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not tables:
                self._create(database)
            self._check_identity(database)

    def reserve(self, query: SumQuery, noise: str) -> Reservation:
        """Charge for ``query``, durably, before anything is computed for it.

        Parameters
        ----------
        query : SumQuery
        noise : str
            The kind of noise, or ``server`` where the server promises to add it.

        Raises
        ------
        RefusalError
            If the budget does not allow it, the run has asked too often, or
            another question was asked in this round.
        """
        with self._transaction() as database:
            earlier = database.execute(
                "SELECT entry, fingerprint, state, reply FROM entries "
                "WHERE run = ? AND round_number = ? AND state <> 'cancelled'",
                (query.run, query.round_number),
            ).fetchone()
            if earlier is not None:
                return _repeat(query, *earlier)
            self._check_count(database, query)
            self._check_budget(database, query)
            cursor = database.execute(
                "INSERT INTO entries (time, window, run, round_number, purpose, kind, fingerprint,"
                " trust_model, noise, clipping_norm, sensitivity, sigma, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'reserved')",
                (
                    _now(),
                    self.policy.window,
                    query.run,
                    query.round_number,
                    query.purpose,
                    query.kind,
                    query.fingerprint(),
                    query.trust_model,
                    noise,
                    max(block.clipping_norm for block in query.blocks),
                    query.sensitivity,
                    query.sigma,
                ),
            )
            if cursor.lastrowid is None:
                raise LedgerError(f"Ledger {self.path} gave no entry number. Nothing was sent.")
            return Reservation(cursor.lastrowid)

    def commit(self, entry: int, reply: bytes | None) -> None:
        """Record, before it is sent, that entry's reply is final."""
        self._change_state(entry, "committed", reply)

    def cancel(self, entry: int) -> None:
        """Take a reservation back; only where nothing has left and nothing was drawn."""
        self._change_state(entry, "cancelled", None)

    def record_refusal(self, query: SumQuery, reason: str, sentence: str) -> None:
        """Record a request that was refused."""
        with self._transaction() as database:
            database.execute(
                "INSERT INTO refusals (time, run, round_number, purpose, kind, fingerprint, reason,"
                " sentence) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    _now(),
                    query.run,
                    query.round_number,
                    query.purpose,
                    query.kind,
                    query.fingerprint(),
                    reason,
                    sentence,
                ),
            )

    def entries(self) -> list[LedgerEntry]:
        """Return every charged entry, oldest first."""
        columns = ", ".join(LedgerEntry.__dataclass_fields__)
        with self._transaction() as database:
            rows = database.execute(
                f"SELECT {columns} FROM entries "  # noqa: S608  (our own field names)
                "WHERE state <> 'cancelled' ORDER BY entry"
            ).fetchall()
        return [LedgerEntry(**dict(row)) for row in rows]

    def refusals(self) -> list[LedgerRefusal]:
        """Return every refused request, oldest first."""
        with self._transaction() as database:
            rows = database.execute("SELECT * FROM refusals ORDER BY refusal").fetchall()
        return [LedgerRefusal(**dict(row)) for row in rows]

    def spent_epsilon(self) -> float:
        """Return the epsilon spent in the policy's window so far, at the policy's delta."""
        charged = [entry.event for entry in self.entries() if entry.window == self.policy.window]
        return epsilon_of(compose(charged), self.policy.delta)

    def _check_count(self, database: sqlite3.Connection, query: SumQuery) -> None:
        (count,) = database.execute(
            "SELECT count(*) FROM entries WHERE run = ?",  # what failed was an attempt, too
            (query.run,),
        ).fetchone()
        if count >= self.policy.most_releases_per_run:
            raise RefusalError(
                "too-many-releases",
                f"This run has had {count} releases, the most that {self.policy.region} makes "
                "for one run.",
            )

    def _check_budget(self, database: sqlite3.Connection, query: SumQuery) -> None:
        rows = database.execute(
            "SELECT sensitivity, sigma FROM entries WHERE window = ? AND state <> 'cancelled'",
            (self.policy.window,),
        ).fetchall()
        spent = [GaussianEvent(row["sensitivity"], row["sigma"]) for row in rows]
        asked = GaussianEvent(query.sensitivity, query.sigma)
        before = epsilon_of(compose(spent), self.policy.delta)
        after = epsilon_of(compose([*spent, asked]), self.policy.delta)
        if not (math.isfinite(after) and after <= self.policy.epsilon):
            raise RefusalError(
                "budget-exhausted",
                f"This release would raise epsilon from {before:.4f} to {after:.4f}, over the "
                f"limit of {self.policy.epsilon:g} for window {self.policy.window} "
                f"(delta {self.policy.delta:g}). Nothing was sent.",
            )

    def _change_state(self, entry: int, state: str, reply: bytes | None) -> None:
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE entries SET state = ?, reply = ? WHERE entry = ? AND state = 'reserved'",
                (state, reply, entry),
            ).rowcount
            if changed != 1:
                raise LedgerError(
                    f"Ledger {self.path}: entry {entry} is not reserved. Nothing was sent."
                )

    def _create(self, database: sqlite3.Connection) -> None:
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.executemany("INSERT INTO identity VALUES (?, ?)", self._identity().items())

    def _identity(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "region": self.policy.region,
            "delta": repr(self.policy.delta),
            "unit": UNIT,
            "adjacency": ADJACENCY,
        }

    def _check_identity(self, database: sqlite3.Connection) -> None:
        found = dict(database.execute("SELECT key, value FROM identity").fetchall())
        for key, value in self._identity().items():
            if found.get(key) != value:
                raise LedgerError(
                    f"Ledger {self.path} has {key} {found.get(key)!r}, the policy says {value!r}. "
                    "Nothing was sent. Use the ledger's own policy, or begin a new ledger."
                )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction that is durable when the block ends."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                database.row_factory = sqlite3.Row
                # Where another process sets it at the same moment, this one need not.
                with suppress(sqlite3.OperationalError):
                    database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                except BaseException:
                    database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
            finally:
                database.close()
        except (sqlite3.Error, OSError, OverflowError, UnicodeError) as error:
            raise LedgerError(
                f"Ledger {self.path} cannot be used ({error}). Nothing was sent."
            ) from error


def _repeat(
    query: SumQuery, entry: int, fingerprint: str, state: str, reply: bytes | None
) -> Reservation:
    """Answer a second request for one round: the same bytes, or not at all."""
    if fingerprint != query.fingerprint():
        raise RefusalError(
            "another-question-in-this-round",
            f"Round {query.round_number} of this run has been answered already, "
            "and to another question.",
        )
    if state != "committed" or reply is None:
        raise RefusalError(
            "already-charged",
            f"Round {query.round_number} of this run has been charged already and has no "
            "release that could be sent again.",
        )
    return Reservation(entry, reply)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
