"""Files that an agent takes its orders from: nobody but its owner and root may change them.

How they are written is told in :mod:`deployment.hosting.secret_files`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from deployment.agent.errors import AgentError

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_unalterable(path: Path, error: type[AgentError], otherwise: str) -> bytes:
    """Read a file that nobody but its owner can have changed.

    What is judged is the opened file, so that it cannot be exchanged in between.

    Parameters
    ----------
    path : Path
    error : exception type
        Raised if it cannot be read, or others than this user and root could have written it.
    otherwise : str
        What is not done then, as the error ends.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise error(f"{path} is no ordinary file. {otherwise}")
            if found.st_mode & OTHERS_MAY_WRITE:
                raise error(
                    f"{path} can be written by others (mode {stat.S_IMODE(found.st_mode):04o}). "
                    f"{otherwise} Read it, and if it is right: chmod 600 {path}"
                )
            if found.st_uid not in (0, os.geteuid()):
                raise error(
                    f"{path} belongs to user {found.st_uid}, this is {os.geteuid()}. {otherwise}"
                )
            return file.read()
    except OSError as problem:
        raise error(f"{path} cannot be read ({problem.strerror}). {otherwise}") from problem


def read_secret(path: Path) -> bytes:
    """Read a secret that only its owner can read.

    Raises
    ------
    AgentError
        If it is missing, empty, or others can read it. The words never hold the secret.
    """
    otherwise = "Nothing was started."
    content = read_unalterable(path, AgentError, otherwise)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise AgentError(
            f"{path} can be read by others. {otherwise} Replace it: a secret that others "
            "may have read is none."
        )
    if len(content) < LEAST_SECRET:
        raise AgentError(
            f"{path} holds {len(content)} bytes; a secret has {LEAST_SECRET} or more. {otherwise}"
        )
    return content


LEAST_SECRET = 32
"""Bytes of a shared secret, at least."""
