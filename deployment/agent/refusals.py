"""Bundles that came and were not let in, one JSON object a line, for the operator.

Two processes append to the file. What a server sends decides how many lines there are, so the
file is bounded: full, it becomes ``<name>.1``, in place of the one before.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

LARGEST_FILE = 1_000_000
"""Bytes, at most; as many are kept of the file before."""
LONGEST_CLAIM = 128
"""Characters kept of a hash that a server claims: it may claim anything."""


@dataclass(frozen=True, kw_only=True)
class RefusedBundle:
    """A bundle that was not let in.

    Attributes
    ----------
    time : str
        ISO 8601, UTC.
    run : str
        The server's number of the run; as text, since it has up to 20 digits.
    claimed : str
        The SHA-256 that the server claims.
    found : str
        The SHA-256 of what came; empty, where it was too large to be read.
    size : int
        Bytes; 0, where they were not counted.
    reason : str
    where : str
        ``node`` or ``executor``: who noticed.
    """

    time: str
    run: str
    claimed: str
    found: str
    size: int
    reason: str
    where: str

    @property
    def shown_hash(self) -> str:
        """How its hash begins, for people. What the server claims is not shown in its place."""
        return f"{self.found[:16]}..." if self.found else "not read, so its hash is not known"


def refused_now(
    *, run: int, claimed: str, found: str, size: int, reason: str, where: str
) -> RefusedBundle:
    """Describe a bundle that is not let in, at this moment."""
    return RefusedBundle(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        run=str(run),
        claimed=claimed[:LONGEST_CLAIM],
        found=found,
        size=size,
        reason=reason,
        where=where,
    )


def record_refusal(path: Path, refused: RefusedBundle) -> None:
    """Append one line, and bring it to the disk; may raise OSError."""
    line = (json.dumps(asdict(refused)) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_size + len(line) > LARGEST_FILE:
            path.replace(path.with_name(f"{path.name}.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    finally:
        os.close(lock)


def read_refusals(path: Path, latest: int = 20) -> list[RefusedBundle]:
    """Return the latest lines, the oldest first; a line that a crash has torn is left out.

    May raise OSError; a file that is not there yet is an empty one.
    """
    if not path.exists():
        return []
    found: deque[RefusedBundle] = deque(maxlen=latest)
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found.append(RefusedBundle(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return list(found)
