"""Who is enrolled, as records, SuperLink and the signed file of known regions tell it.

Three places that must agree; each disagreement is told with what to do, and so is a node that seems
to be in two places.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from deployment.enrolment.decisions import Enrolment, enrolments
from deployment.enrolment.known_regions import is_current
from deployment.enrolment.places import EnrollingServer
from deployment.enrolment.store import EnrolmentStore
from deployment.enrolment.superlink import Node, reach
from deployment.hosting.node_key import read_point
from deployment.server.node_addresses import addresses_in_turn, mark_of
from privacy.signing import SigningKey
from server.known_regions import KnownRegionsError, read_known_regions


@dataclass(frozen=True)
class Row:
    """One region's line."""

    region: str
    sentence: str


@dataclass(frozen=True)
class Overview:
    """All regions, and what does not agree."""

    rows: list[Row]
    troubles: list[str]


def look(server: EnrollingServer) -> Overview:
    """Compare the three places.

    Raises
    ------
    EnrolmentError
        If the record cannot be read, or the SuperLink cannot be reached.
    KeyFileError
        If the server's signing key cannot be used.
    """
    store = EnrolmentStore(server.record)
    key = SigningKey.load(server.signing_key)
    found = enrolments(store, "approved", "revoked")
    with reach(server.control, server.control_ca) as superlink:
        nodes = {str(node.node_id): node for node in superlink.nodes().values()}
    rows = [Row(one.region, _sentence(one, nodes.get(one.node_id or ""))) for one in found]
    troubles = [text for one in found if (text := _trouble(one, nodes.get(one.node_id or "")))]
    ours = {one.node_id for one in found}
    troubles += [
        f"Node {node.node_id} is registered at the SuperLink and is no enrolled region's. "
        "Whoever registered it went round `fedinterest server approve`, or an approval was cut "
        "short: approve or revoke what waits, and unregister what is left."
        for name, node in nodes.items()
        if node.is_registered and name not in ours
    ]
    troubles += _file_troubles(server, store, key, bool(found))
    troubles += _copied_keys(server, found)
    return Overview(rows, troubles)


def _sentence(one: Enrolment, node: Node | None) -> str:
    status = f"{node.status} at the SuperLink" if node else "unknown to the SuperLink"
    approved = f"node {one.node_id}, approved by {one.approved_by} on {one.approved_at}"
    if one.state == "approved":
        return f"{approved}; {status}"
    return f"{approved}, revoked by {one.ended_by} on {one.ended_at}; {status}"


def _trouble(one: Enrolment, node: Node | None) -> str | None:
    registered = node is not None and node.is_registered
    if one.state == "approved" and not registered:
        return (
            f"Region {one.region} is approved, but its node is not registered at the SuperLink. "
            f"`fedinterest server approve` registers it again where the SuperLink lost its "
            "records; where it was unregistered by hand, revoke the region."
        )
    if one.state == "revoked" and registered:
        return (
            f"Region {one.region} is revoked, but its node is still registered at the SuperLink. "
            f"Say `fedinterest server revoke` again."
        )
    return None


def _copied_keys(server: EnrollingServer, found: list[Enrolment]) -> list[str]:
    """Tell of nodes that speak from several addresses in turn."""
    if server.nginx_log is None:
        return []
    spoken = addresses_in_turn(server.nginx_log, datetime.now(UTC))
    names = {mark_of(read_point(one.request.node_key)): one.region for one in found}
    return [
        f"INCIDENT: the node of region {names[mark]} speaks from {' and '.join(addresses)} in "
        "turn. If the region has not several ways to the network, somebody has a copy of its key: "
        f"ask its operator, and if in doubt `fedinterest server revoke {names[mark]}`."
        for mark, addresses in spoken.items()
        if mark in names
    ]


def _file_troubles(
    server: EnrollingServer, store: EnrolmentStore, key: SigningKey, is_needed: bool
) -> list[str]:
    if not is_needed and not server.known_regions.exists():
        return []
    try:
        known = read_known_regions(server.known_regions, key.public)
    except KnownRegionsError as error:
        return [str(error)]
    if not is_current(known, store):
        return [
            f"{server.known_regions} is older than the records. `fedinterest server approve` of "
            "an enrolled region writes it anew."
        ]
    return []
