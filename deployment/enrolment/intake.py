"""What the service does with one body: check all of it, use up the token, queue the request.

body  ->  canonical form  ->  three proofs  ->  time  ->  token, nonce, keys, queue  ->  waiting

Only the last step writes, in one transaction. Whoever holds the same token and both private keys
may ask again and is told how the request stands; everybody else gets the same refusal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from deployment.enrolment.request import (
    LONGEST_BODY,
    EnrolmentRequest,
    MalformedRequestError,
    SignedRequest,
    spell_time,
)
from deployment.enrolment.store import EnrolmentStore

CLOCK_SECONDS = 300.0
"""How far the clocks of a region and the server may be apart."""
LONGEST_QUEUE = 64
"""Requests that wait; more are refused and do not use up their tokens."""


class Reason(StrEnum):
    """Why a request was refused; for the server's own records."""

    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    TOKEN_PROOF = "token-proof-broken"  # noqa: S105  (a reason, no secret)
    NODE_PROOF = "node-proof-broken"
    LEDGER_PROOF = "ledger-proof-broken"
    CLOCK = "time-out-of-range"
    UNKNOWN_TOKEN = "unknown-token"  # noqa: S105
    WRONG_REGION = "token-of-another-region"
    EXPIRED = "token-expired"
    CANCELLED = "token-replaced"
    USED_TWICE = "token-used-twice"
    REPLAYED = "request-replayed"
    NODE_KEY_KNOWN = "node-key-seen-before"
    LEDGER_KEY_KNOWN = "ledger-key-of-another-region"
    REGION_TAKEN = "region-has-a-request"
    QUEUE_FULL = "queue-full"


INCIDENTS = frozenset(
    {
        Reason.WRONG_REGION,
        Reason.USED_TWICE,
        Reason.REPLAYED,
        Reason.NODE_KEY_KNOWN,
        Reason.LEDGER_KEY_KNOWN,
    }
)
"""Refusals of somebody who holds a real token, or what was sent with one: look into these."""
_PROOFS = {"token": Reason.TOKEN_PROOF, "node": Reason.NODE_PROOF, "ledger": Reason.LEDGER_PROOF}


class Refused(Exception):  # noqa: N818  (an outcome, caught in this module)
    """A request that is not queued.

    Parameters
    ----------
    reason : Reason
    region : str
        The token's, where there is one; never a name that an unknown sender chose.
    note : str
        What else is worth a line in the service's own log.
    """

    def __init__(self, reason: Reason, region: str = "", note: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.region = region
        self.note = note


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes
    ----------
    state : str
        ``waiting``, ``approved``, ``declined`` or ``revoked``; empty if it was refused.
    is_new : bool
        It has just been queued.
    log : str
        A line for the service's own log; without anything secret.
    """

    state: str
    is_new: bool
    log: str


class Intake:
    """The checks and the queue.

    Parameters
    ----------
    store : EnrolmentStore
    clock : callable
    """

    def __init__(self, store: EnrolmentStore, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = clock

    def take(self, body: bytes) -> Outcome:
        """Queue the request in ``body``, tell its sender how it stands, or refuse.

        Raises
        ------
        StoreError
            If the record cannot be read or written; the token is then not used up.
        """
        now = self.clock()
        try:
            signed = _read(body)
            self._check_time(signed.request, now)
            with self.store.writing() as db:
                return _queue(db, signed, spell_time(now))
        except Refused as refused:
            self.note(refused, now)
            region = f" of region {refused.region!r}" if refused.region else ""
            note = f" ({refused.note})" if refused.note else ""
            return Outcome("", False, f"refused{region}: {refused.reason.value}{note}")

    def note(self, refused: Refused, now: datetime) -> None:
        """Count a refusal. One row for each day, reason and region, so nobody can fill the disk."""
        time = spell_time(now)
        with self.store.writing() as db:
            db.execute(
                "INSERT INTO refusals (day, reason, region, times, first, last) "
                "VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT (day, reason, region) "
                "DO UPDATE SET times = times + 1, last = excluded.last",
                (time[:10], refused.reason.value, refused.region, time, time),
            )

    @staticmethod
    def _check_time(request: EnrolmentRequest, now: datetime) -> None:
        away = (request.moment - now).total_seconds()
        if abs(away) > CLOCK_SECONDS:
            raise Refused(Reason.CLOCK, note=f"{away:+.0f} s")


def _read(body: bytes) -> SignedRequest:
    """Return the request in ``body``, if its form and its three proofs hold."""
    if len(body) > LONGEST_BODY:
        raise Refused(Reason.TOO_LONG)
    try:
        signed = SignedRequest.parse(body)
    except MalformedRequestError as error:
        raise Refused(Reason.MALFORMED, note=str(error)) from error
    broken = signed.broken_proof()
    if broken is not None:
        raise Refused(_PROOFS[broken])
    return signed


def _queue(db: sqlite3.Connection, signed: SignedRequest, now: str) -> Outcome:
    """Use up the token and queue the request, or tell how the one before stands."""
    request = signed.request
    token = db.execute("SELECT * FROM tokens WHERE verifier = ?", (request.token,)).fetchone()
    if token is None:
        raise Refused(Reason.UNKNOWN_TOKEN)
    region: str = token["region"]
    if region != request.region:
        raise Refused(Reason.WRONG_REGION, region)
    _check_nonce(db, request, region, now)
    if token["used_at"] is not None:
        return _tell_state(db, request, region)
    if token["cancelled"] is not None:
        raise Refused(Reason.CANCELLED, region)
    if now >= token["expires"]:
        raise Refused(Reason.EXPIRED, region)
    _check_keys(db, request)
    (waiting,) = db.execute("SELECT count(*) FROM enrolments WHERE state = 'waiting'").fetchone()
    if waiting >= LONGEST_QUEUE:
        raise Refused(Reason.QUEUE_FULL, region)
    db.execute("UPDATE tokens SET used_at = ? WHERE verifier = ?", (now, request.token))
    db.execute(
        "INSERT INTO enrolments (region, verifier, node_key, ledger_key, request, received, state)"
        " VALUES (?, ?, ?, ?, ?, ?, 'waiting')",
        (
            region,
            request.token,
            request.node_key,
            request.ledger_key,
            signed.write().decode("ascii"),
            now,
        ),
    )
    return Outcome("waiting", True, f"queued a request of region {region!r}")


def _check_nonce(db: sqlite3.Connection, request: EnrolmentRequest, region: str, now: str) -> None:
    """Take each nonce once. Older ones are forgotten: their requests are out of time anyway."""
    oldest = datetime.fromisoformat(now) - timedelta(seconds=3 * CLOCK_SECONDS)
    db.execute("DELETE FROM nonces WHERE received < ?", (spell_time(oldest),))
    known = db.execute("SELECT 1 FROM nonces WHERE nonce = ?", (request.nonce,)).fetchone()
    if known is not None:
        raise Refused(Reason.REPLAYED, region)
    db.execute("INSERT INTO nonces (nonce, received) VALUES (?, ?)", (request.nonce, now))


def _tell_state(db: sqlite3.Connection, request: EnrolmentRequest, region: str) -> Outcome:
    """Tell whoever holds the same three keys how the request stands."""
    row = db.execute(
        "SELECT node_key, ledger_key, state FROM enrolments WHERE verifier = ?", (request.token,)
    ).fetchone()
    if (row["node_key"], row["ledger_key"]) != (request.node_key, request.ledger_key):
        raise Refused(Reason.USED_TWICE, region)
    return Outcome(row["state"], False, f"told region {region!r} that it is {row['state']}")


def _check_keys(db: sqlite3.Connection, request: EnrolmentRequest) -> None:
    """Refuse keys that were presented before, but for a region's own ledger key.

    The SuperLink never takes a node key twice, and a revoked region's may be in other hands; a
    region's ledger, and with it its key, goes on when the region is enrolled anew.
    """
    region = request.region
    if db.execute("SELECT 1 FROM enrolments WHERE node_key = ?", (request.node_key,)).fetchone():
        raise Refused(Reason.NODE_KEY_KNOWN, region)
    if db.execute(
        "SELECT 1 FROM enrolments WHERE ledger_key = ? AND region != ?",
        (request.ledger_key, region),
    ).fetchone():
        raise Refused(Reason.LEDGER_KEY_KNOWN, region)
    if db.execute(
        "SELECT 1 FROM enrolments WHERE region = ? AND state IN ('waiting', 'approved')", (region,)
    ).fetchone():
        raise Refused(Reason.REGION_TAKEN, region)
