"""Note in the run store how regions' agents fare: a process of its own, that only a signal ends.

python -m deployment.enrolment.heartbeats SERVER_FOLDER

enrolments + SuperLink's nodes  ->  a heartbeat for each region  ->  run store, every half minute

What is away is told once and tried again. Nothing else on this server waits for it: neither
enrolment nor SuperLink notices when it is slow or dead.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from deployment.enrolment.decisions import Enrolment, enrolments
from deployment.enrolment.places import EnrollingServer
from deployment.enrolment.store import EnrolmentStore
from deployment.enrolment.superlink import Node, reach
from deployment.errors import DeploymentError
from deployment.server.settings import ServerSettings, read_server_settings
from server.run_store.errors import StoreError
from server.run_store.heartbeats import (
    NEVER_SEEN,
    NOT_REGISTERED,
    OFFLINE,
    ONLINE,
    REVOKED,
    UNKNOWN,
    Heartbeat,
    record_heartbeats,
)
from server.run_store.opening import Store, open_store

_STATES = {"registered": NEVER_SEEN, "online": ONLINE, "offline": OFFLINE}
"""Of nodes that SuperLink lets in, by Flower's words."""

_log = logging.getLogger("fedinterest.heartbeats")


def heartbeats_of(found: Iterable[Enrolment], nodes: Mapping[str, Node]) -> list[Heartbeat]:
    """Say how each region's agent fares.

    Parameters
    ----------
    found : iterable of Enrolment
        Approved and revoked ones, oldest first: of one region, the latest counts.
    nodes : mapping of str to Node
        By their ids.
    """
    latest = {one.region: one for one in found}
    return [_heartbeat(one, nodes.get(one.node_id or "")) for one in latest.values()]


def _heartbeat(one: Enrolment, node: Node | None) -> Heartbeat:
    state, since = _state(one, node)
    return Heartbeat(
        region=one.region,
        node_id=one.node_id or "",
        state=state,
        last_heartbeat=node.last_heartbeat if node else None,
        since=since,
        version=one.request.fedinterest,
        flower=one.request.flower,
        told=datetime.fromisoformat(one.received),
    )


def _state(one: Enrolment, node: Node | None) -> tuple[str, datetime | None]:
    if one.state == "revoked":
        return REVOKED, datetime.fromisoformat(one.ended_at) if one.ended_at else None
    if node is None or not node.is_registered:
        return NOT_REGISTERED, node.since if node else None
    return _STATES.get(node.status, UNKNOWN), node.since


class Watch:
    """Looks after a server's regions, again and again.

    Parameters
    ----------
    server : EnrollingServer
    place : str
        Of the run store.
    """

    def __init__(self, server: EnrollingServer, place: str) -> None:
        self._server = server
        self._place = place
        self._store: Store | None = None
        self._trouble: type[Exception] | None = None
        self._has_recorded = False

    def look(self) -> None:
        """Look once and record it; where that fails, say so, unless it failed alike before."""
        try:
            beats, now = self._beats(), datetime.now(UTC)
            # A store that has to be waited for must not make them younger.
            self._record(beats, now)
        except Exception as error:  # whatever it is, the next look may fare better
            self._failed(error)
        else:
            self._succeeded(len(beats))

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _beats(self) -> list[Heartbeat]:
        # Records first: approving registers a node before it is recorded.
        found = enrolments(EnrolmentStore(self._server.record), "approved", "revoked")
        with reach(self._server.control, self._server.control_ca) as superlink:
            nodes = {str(node.node_id): node for node in superlink.nodes().values()}
        return heartbeats_of(found, nodes)

    def _record(self, beats: Sequence[Heartbeat], now: datetime) -> None:
        if self._store is None:
            self._store = open_store(self._place)
        record_heartbeats(self._store, beats, now)

    def _failed(self, error: Exception) -> None:
        # A store that was put back, replaced or updated is opened, and looked at, anew.
        self.close()
        if self._trouble is not type(error):
            foreseen = isinstance(error, DeploymentError | StoreError)
            _log.warning(
                "%s How regions' agents fare is not recorded until that is over; it is tried "
                "again and again.",
                error if foreseen else f"{type(error).__name__}.",
                exc_info=None if foreseen else error,
            )
        self._trouble = type(error)

    def _succeeded(self, regions: int) -> None:
        if self._trouble is not None or not self._has_recorded:
            _log.info("How the agents of %s regions fare is recorded now.", regions)
        self._trouble, self._has_recorded = None, True


def watch_of(settings: ServerSettings) -> Watch:
    """Return what looks after the regions of a server."""
    server = EnrollingServer(
        settings.folder, settings.control, settings.ca_certificate, settings.signing_key
    )
    return Watch(server, settings.store)


def main(arguments: Sequence[str] | None = None) -> None:
    """Look again and again, until told to end (SIGTERM)."""
    parser = argparse.ArgumentParser(prog="python -m deployment.enrolment.heartbeats")
    parser.add_argument("folder", type=Path, help="The server's folder.")
    settings = read_server_settings(parser.parse_args(arguments).folder)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s heartbeats: %(message)s")
    for wordy in ("httpx", "alembic"):  # a line for each look
        logging.getLogger(wordy).setLevel(logging.WARNING)
    watch = watch_of(settings)
    while True:
        watch.look()
        time.sleep(settings.heartbeat_seconds)


if __name__ == "__main__":
    main()
