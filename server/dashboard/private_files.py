"""Tables that only their owner reads: users and tokens, one TOML file each.

A change is made under a lock, to a file beside it that then takes its name: a reader
sees the old table or the new one, and two verbs at once lose nothing.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from server.dashboard.errors import DashboardError

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
_OTHERS = 0o077

Rows = dict[str, dict[str, Any]]
"""Rows of a table, by name."""


def refuse_open_file(path: Path, what: str) -> None:
    """Refuse a file that others than its owner can read.

    Raises
    ------
    DashboardError
        If it is missing, no plain file, or open to others.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DashboardError(f"{what} {path} cannot be read ({error.strerror}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise DashboardError(f"{what} {path} is no plain file. It was not used.")
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        raise DashboardError(
            f"{what} {path} is open to others (mode {stat.S_IMODE(status.st_mode):o}). It was not "
            f"used. Make it private: chmod 600 {path}"
        )


class PrivateTable:
    """A table of named rows in a file of mode 0600, read anew whenever the file changes.

    Parameters
    ----------
    path : Path
        May be missing: then the table is empty.
    name : str
        Of the table in the file, such as ``users`` for ``[users.alice]``.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._seen: tuple[int, int, int] | None = None
        self._rows: Rows = {}

    def rows(self) -> Rows:
        """Return the rows as they are in the file now.

        Raises
        ------
        DashboardError
            If the file is open to others, or no such table.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._seen, self._rows = None, {}
            return {}
        except OSError as error:
            raise self._unreadable(error) from error
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            refuse_open_file(self.path, "File")
            self._rows = self._read()
            self._seen = seen
        return self._rows

    @contextmanager
    def changing(self) -> Iterator[Rows]:
        """Give the rows for a change, and keep what has become of them.

        Nothing is kept if the body fails.
        """
        _make_private_folder(self.path.parent)
        lock = os.open(
            self.path.with_name(f".{self.path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = {name: dict(row) for name, row in self.rows().items()}
            yield rows
            self._write(rows)
        finally:
            os.close(lock)

    def _read(self) -> Rows:
        try:
            content = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            raise self._unreadable(error) from error
        except ValueError as error:  # no TOML, or no text at all
            raise DashboardError(
                f"{self.path} is not valid TOML: {error}. It was left as it is."
            ) from error
        rows = content.get(self.name, {})
        if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
            raise DashboardError(f"{self.path} has no table of {self.name}. It was left as it is.")
        return rows

    def _write(self, rows: Rows) -> None:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(tomli_w.dumps({self.name: rows}).encode())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise DashboardError(
                f"{self.path} cannot be written ({error.strerror}). It was left as it is."
            ) from error

    def _unreadable(self, error: OSError) -> DashboardError:
        return DashboardError(f"{self.path} cannot be read ({error.strerror}).")


def _make_private_folder(path: Path) -> None:
    try:
        path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise DashboardError(f"Folder {path} cannot be made ({error.strerror}).") from error
