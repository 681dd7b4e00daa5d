"""Why a file cannot be used, where its database only says that it cannot."""

from __future__ import annotations

import os
from pathlib import Path

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
