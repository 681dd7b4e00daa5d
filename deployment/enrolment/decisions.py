"""What a person decides on the server: which requests there are, approve one, revoke a region.

waiting  --approve-->  approved  --revoke-->  revoked
         --revoke--->  declined

Approving registers the node first and records it then; revoking records first and unregisters
then. Killed in between, the region is not known to runs, and saying the same again finishes it.
"""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from deployment.enrolment.errors import EnrolmentError
from deployment.enrolment.intake import INCIDENTS
from deployment.enrolment.known_regions import write_known_regions
from deployment.enrolment.places import EnrollingServer
from deployment.enrolment.request import EnrolmentRequest, spell_time
from deployment.enrolment.store import EnrolmentStore
from deployment.enrolment.superlink import reach
from privacy.signing import SigningKey

_INCIDENTS = frozenset(reason.value for reason in INCIDENTS)


@dataclass(frozen=True)
class Enrolment:
    """One request and what was decided on it; of the columns of the record."""

    id: int
    region: str
    request: EnrolmentRequest
    received: str
    state: str
    node_id: str | None
    approved_by: str | None
    approved_at: str | None
    ended_by: str | None
    ended_at: str | None
    unregistered_at: str | None


@dataclass(frozen=True)
class RefusalCount:
    """How often something was refused on one day.

    Attributes
    ----------
    region : str
        The token's; empty where the sender held none.
    is_incident : bool
        Somebody with a real token did what its holder does not do.
    """

    day: str
    reason: str
    region: str
    times: int
    last: str

    @property
    def is_incident(self) -> bool:
        """Whether somebody should look into it."""
        return self.reason in _INCIDENTS


def enrolments(store: EnrolmentStore, *states: str) -> list[Enrolment]:
    """Return the requests in these states, oldest first.

    Raises
    ------
    StoreError
        If the record cannot be read.
    """
    with store.reading() as db:
        rows = db.execute("SELECT * FROM enrolments ORDER BY id").fetchall()
    return [_read(row) for row in rows if row["state"] in states]


def refusals(store: EnrolmentStore, since: str) -> list[RefusalCount]:
    """Return what was refused since a day (``2026-11-26``), newest first."""
    with store.reading() as db:
        rows = db.execute(
            "SELECT day, reason, region, times, last FROM refusals WHERE day >= ? "
            "ORDER BY last DESC",
            (since,),
        ).fetchall()
    return [RefusalCount(**dict(row)) for row in rows]


def to_approve(store: EnrolmentStore, region: str) -> Enrolment:
    """Return the region's request that waits, or the one that was approved.

    Raises
    ------
    EnrolmentError
        If there is none.
    """
    found = [one for one in enrolments(store, "waiting", "approved") if one.region == region]
    if not found:
        raise EnrolmentError(
            f"No request of region {region!r} waits. Nothing was approved. "
            "`fedinterest server requests` shows those that do."
        )
    return found[0]


def approve(server: EnrollingServer, seen: Enrolment, *, who: str, moment: datetime) -> int:
    """Let a region's node in; return its id.

    Approving an approved region registers it anew where the SuperLink has lost it, and writes the
    record of known regions again.

    Parameters
    ----------
    seen : Enrolment
        The request that ``who`` looked at; another one of the same region is not approved.

    Raises
    ------
    EnrolmentError
        If the request no longer waits, the SuperLink does not register the node, or a record
        cannot be written.
    """
    key = SigningKey.load(server.signing_key)  # before anything is changed
    store = EnrolmentStore(server.record)
    _check_unchanged(store, seen)
    with reach(server.control, server.control_ca) as superlink:
        node_id = superlink.register(seen.request.node_key)
    with store.writing() as db:
        changed = db.execute(
            "UPDATE enrolments SET state = 'approved', node_id = ?, "
            "approved_by = coalesce(approved_by, ?), approved_at = coalesce(approved_at, ?) "
            "WHERE id = ? AND state IN ('waiting', 'approved')",
            (str(node_id), who, spell_time(moment), seen.id),
        ).rowcount
    if not changed:
        with reach(server.control, server.control_ca) as superlink:
            superlink.unregister(seen.request.node_key)
        raise _overtaken(seen.region)
    write_known_regions(server.known_regions, store, key, moment)
    return node_id


def revoke(server: EnrollingServer, region: str, *, who: str, moment: datetime) -> str:
    """Keep a region's node out from now on, or decline its request; the record of it stays.

    Returns
    -------
    str
        ``revoked`` or ``declined``.

    Raises
    ------
    EnrolmentError
        If there is nothing to revoke, or the SuperLink cannot be reached: then the region is
        revoked in the records already, and the sentence says what is left to do.
    """
    key = SigningKey.load(server.signing_key)
    store = EnrolmentStore(server.record)
    with store.writing() as db:
        row = db.execute(
            "SELECT * FROM enrolments WHERE region = ? AND (state IN ('waiting', 'approved') "
            "OR (state IN ('revoked', 'declined') AND unregistered_at IS NULL)) ORDER BY id DESC",
            (region,),
        ).fetchone()
        if row is None:
            raise EnrolmentError(
                f"Region {region!r} is neither enrolled nor waiting. Nothing was revoked. "
                "`fedinterest server nodes` shows who is enrolled."
            )
        state = "revoked" if row["approved_at"] else "declined"
        db.execute(
            "UPDATE enrolments SET state = ?, ended_by = coalesce(ended_by, ?), "
            "ended_at = coalesce(ended_at, ?) WHERE id = ?",
            (state, who, spell_time(moment), row["id"]),
        )
    write_known_regions(server.known_regions, store, key, moment)
    _unregister(server, region, row["node_key"])
    with store.writing() as db:
        db.execute(
            "UPDATE enrolments SET unregistered_at = ? WHERE id = ?",
            (spell_time(moment), row["id"]),
        )
    return state


def _unregister(server: EnrollingServer, region: str, node_key: str) -> None:
    """Also of a declined request: an approval killed half-way may have registered it."""
    try:
        with reach(server.control, server.control_ca) as superlink:
            superlink.unregister(node_key)
    except EnrolmentError as error:
        raise EnrolmentError(
            f"Region {region!r} no longer counts as enrolled in this server's records, but its "
            f"node may still be registered at the SuperLink: {error} When it runs, say "
            f"`fedinterest server revoke` again."
        ) from error


def operator() -> str:
    """Return the name of the account that runs this, as the operating system knows it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _check_unchanged(store: EnrolmentStore, seen: Enrolment) -> None:
    if to_approve(store, seen.region).id != seen.id:
        raise _overtaken(seen.region)


def _overtaken(region: str) -> EnrolmentError:
    return EnrolmentError(
        f"The request of region {region!r} that was shown no longer waits. Nothing was approved. "
        "Look at `fedinterest server requests` again."
    )


def _read(row: sqlite3.Row) -> Enrolment:
    content = json.loads(row["request"])["request"]
    return Enrolment(
        id=row["id"],
        region=row["region"],
        request=EnrolmentRequest.model_validate(content, by_alias=True),
        received=row["received"],
        state=row["state"],
        node_id=row["node_id"],
        approved_by=row["approved_by"],
        approved_at=row["approved_at"],
        ended_by=row["ended_by"],
        ended_at=row["ended_at"],
        unregistered_at=row["unregistered_at"],
    )
