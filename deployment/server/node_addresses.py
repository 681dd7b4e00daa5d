"""From which addresses each node speaks: two in turn may be a region and a copy of its key.

nginx' log  ->  key and address of some requests  ->  keys that go to and fro between addresses

Flower keeps one heartbeat a node and no addresses, so it sees nothing of a second program that
speaks with the same key. A node that has moved is at the new address only; a node and a copy of it
speak from both in turn. So does a region with several ways to the network: a person has to judge.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from deployment.hosting.supervisor_files import LOG_FOLDER
from deployment.server.settings import ServerSettings

HOURS = 24.0
"""What is older is not looked at."""
LARGEST_LOG = 12_000_000
"""Bytes of a file that are looked at, its last ones; supervisord begins another at 10 MB."""
_MARK = slice(120, 184)
"""The part of a node's header that nginx.conf.jinja keeps."""
_LINE = re.compile(r"(?m)^(\S+) node ([A-Za-z0-9+/]{64}) (\S+)$")


def nginx_log(settings: ServerSettings) -> Path:
    """Return where nginx' log is."""
    return settings.supervision / LOG_FOLDER / "nginx.log"


def mark_of(key: ec.EllipticCurvePublicKey) -> str:
    """Return what nginx' log has of a node's key: 64 characters, different for each key."""
    return base64.b64encode(public_key_to_bytes(key)).decode("ascii")[_MARK]


def addresses_in_turn(log: Path, moment: datetime) -> dict[str, list[str]]:
    """Return the addresses of the nodes that went back to one that they had left.

    Parameters
    ----------
    log : Path
        nginx'; the one before it is looked at, too. What is not there has nothing in it.
    moment : datetime
        Now.

    Returns
    -------
    dict of str to list of str
        By the mark of the node's key; addresses in the order in which they came up.
    """
    since = moment - timedelta(hours=HOURS)
    stays: dict[str, list[str]] = {}
    for path in (log.with_name(f"{log.name}.1"), log):
        for time, mark, address in _LINE.findall(_end_of(path)):
            if _is_since(time, since) and stays.setdefault(mark, [""])[-1] != address:
                stays[mark].append(address)
    visited = {mark: addresses[1:] for mark, addresses in stays.items()}
    return {
        mark: list(dict.fromkeys(addresses))
        for mark, addresses in visited.items()
        if len(addresses) > len(set(addresses))
    }


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LARGEST_LOG))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _is_since(time: str, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(time) >= since
    except (ValueError, TypeError):  # no time, or one without a zone
        return False
