"""Files that only their owner reads: keys, tokens, and configurations that hold them.

A file appears whole or not at all: it is written beside its place, made durable,
and only then given its name.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from deployment.errors import SecretFileError

PRIVATE = 0o600
"""Mode of a secret: its owner reads and writes, nobody else does anything."""


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner enters, or check that it is one.

    Raises
    ------
    SecretFileError
        If it cannot be made, is no folder, or others can enter it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SecretFileError(f"Folder {path} cannot be made ({error.strerror}).") from error
    _check_owner(path, path.stat(), "Folder", "700")
    return path


def write_once(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Keep ``content`` in ``path``, which must not exist yet.

    Raises
    ------
    SecretFileError
        If there is something already, which stays as it is, or it cannot be written.
    """
    draft = _draft(path, content, mode)
    try:
        # A link, unlike a rename, fails where something is.
        os.link(draft, path)
        _make_durable(path.parent)
    except FileExistsError as error:
        raise SecretFileError(f"{path} exists already. It was left as it is.") from error
    except OSError as error:
        raise SecretFileError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        draft.unlink(missing_ok=True)


def replace(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Keep ``content`` in ``path``, in place of what may be there.

    A reader sees the old content or the new one, never a part.

    Raises
    ------
    SecretFileError
        If it cannot be written; what was there stays.
    """
    draft = _draft(path, content, mode)
    try:
        draft.replace(path)
        _make_durable(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SecretFileError(f"{path} cannot be written ({error.strerror}).") from error


def read_secret(path: Path) -> bytes:
    """Read a file after a check that only its owner can.

    Raises
    ------
    SecretFileError
        If it is missing, no plain file, somebody else's, or others can read it.
        The content is in no message.
    """
    try:
        # The open file is checked, not its name: the name could be another's a moment later.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SecretFileError(f"{path} is no plain file. It was not read.")
            _check_owner(path, status, "Secret", "600")
            return file.read()
    except OSError as error:
        raise SecretFileError(f"Secret {path} cannot be read ({error.strerror}).") from error


def _check_owner(path: Path, status: os.stat_result, what: str, mode: str) -> None:
    if status.st_uid != os.geteuid():
        raise SecretFileError(
            f"{what} {path} belongs to another user. It was not used. "
            f"Run this as its owner, or make another."
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise SecretFileError(
            f"{what} {path} is open to others. It was not used. Make it private "
            f"(chmod {mode} {path}) if nobody has read it, or replace it."
        )


def _draft(path: Path, content: bytes, mode: int) -> Path:
    """Write ``content`` durably under another name in the same folder."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SecretFileError(f"{path} cannot be written ({error.strerror}).") from error
    return draft


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
