"""Whether a file can be used as a database, and why not, where SQLite only says that it cannot."""

from __future__ import annotations

import os
from pathlib import Path

from server.run_store.errors import StoreAwayError

LEAST_ROOM = 64 * 1024
"""Bytes beside an SQLite file that even readers of its write-ahead log need."""


def trouble_with(path: Path) -> str:
    """Return what keeps ``path`` from being read or written as a database; empty: nothing known."""
    try:
        disk = os.statvfs(path.parent)
    except OSError as error:
        return f"its folder cannot be reached: {error.strerror}"
    if disk.f_bavail * disk.f_frsize < LEAST_ROOM or (disk.f_files and not disk.f_favail):
        return "its disk is full"
    if path.exists() and not os.access(path, os.R_OK):
        return "this process may not read it"
    if not os.access(path.parent, os.W_OK):
        return "this process may not write beside it, which a write-ahead log needs"
    return ""


def refuse_to_leave_a_log(path: Path) -> None:
    """Refuse to read a file that may not be written, in a folder that may.

    SQLite would make its write-ahead log there, belonging to who reads, and leave it: whoever
    records runs could not write any more.

    Raises
    ------
    StoreAwayError
        If it is so; nothing was opened.
    """
    if (
        os.access(path, os.R_OK)
        and not os.access(path, os.W_OK)
        and os.access(path.parent, os.W_OK)
    ):
        raise StoreAwayError(
            f"The run store {path} may be read by this process and not written, and its folder may "
            "be written: a log that is left there would keep those out who record runs. Nothing "
            "was read. Read as the store's owner, or let this user write the file, too."
        )
