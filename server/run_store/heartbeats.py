"""How regions' agents fare between runs, as the server sees it every half minute.

SuperLink's nodes + enrolments  ->  one ``Heartbeat`` for each region  ->  run store

Operational values alone: when a node was last heard, not what it said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from server.run_store import schema
from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.putting import put

ONLINE = "online"
OFFLINE = "offline"
NEVER_SEEN = "never seen"
"""Enrolled, and its node has not connected since."""
NOT_REGISTERED = "not registered"
"""Enrolled, and SuperLink does not let its node in: `fedinterest server nodes` says what to do."""
REVOKED = "revoked"
UNKNOWN = "unknown"
"""The server is not looking, or cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One region's agent at one moment; of several enrolments, the latest.

    Attributes
    ----------
    node_id : str
        SuperLink's number of the region's node.
    state : str
        ``online``, ``offline``, ``never seen``, ``not registered``, ``revoked`` or ``unknown``.
    last_heartbeat : datetime, optional
        None if there was none. A node that signed off may have been heard up to two of its
        intervals (a minute) later: SuperLink does not keep it.
    since : datetime, optional
        When it came into this state, if that is known.
    version, flower : str
        Of fedinterest and Flower, as the region's enrolment request told them.
    told : datetime
        When it told them: an update since is not seen here.
    """

    region: str
    node_id: str
    state: str
    last_heartbeat: datetime | None
    since: datetime | None
    version: str
    flower: str
    told: datetime


def record_heartbeats(store: Store, beats: Sequence[Heartbeat], now: datetime) -> None:
    """Bring regions' rows up to date; those of regions that are not in ``beats`` stay, and age.

    Parameters
    ----------
    store : Store
    beats : sequence of Heartbeat
        At most one for each region.
    now : datetime
        When the server looked.

    Raises
    ------
    StoreAwayError
        If the store cannot be written; nothing of it was changed then.
    """
    if not beats:
        return
    table = schema.Heartbeat
    known = select(table.region, table.node_id, table.last_heartbeat)
    with store.write() as connection:
        before = {row.region: row for row in connection.execute(known)}
        rows = [_row(beat, before.get(name_of(beat.region)), now) for beat in beats]
        put(connection, table, rows)


def _row(beat: Heartbeat, before: Any, now: datetime) -> dict[str, Any]:
    heard = beat.last_heartbeat
    # What SuperLink says of a node that signed off may be earlier than what it said before. A
    # clock that was put back must not leave a heartbeat in the future.
    if heard and before and before.node_id == beat.node_id and before.last_heartbeat:
        heard = max(heard, before.last_heartbeat) if before.last_heartbeat <= now else heard
    return {**asdict(beat), "last_heartbeat": heard, "observed": now}
