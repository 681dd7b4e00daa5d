"""A PostgreSQL server of the tests' own: in a temporary folder, on a unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text

BINARIES = Path("/usr/lib/postgresql/15/bin")
USER = "postgres"
"""PostgreSQL does not run as root."""


def is_installed() -> bool:
    return (BINARIES / "initdb").exists()


class Postgres:
    """A server that can be stopped and started again.

    Parameters
    ----------
    folder : Path
        Short: a socket's path may have some hundred characters.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0
        command = [BINARIES / "initdb", "-D", self.data, "-A", "trust", "-U", USER, "-N"]
        self._run([*command, "-E", "UTF8", "--no-locale"])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off"
        log = self.folder / "log"
        self._run([BINARIES / "pg_ctl", "-D", self.data, "-w", "-o", options, "-l", log, "start"])

    def stop(self) -> None:
        self._run([BINARIES / "pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop"])

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        self._made += 1
        name = f"store{self._made}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}@/{database}?host={self.folder}"

    def _run(self, command: list[object]) -> None:
        user = USER if os.geteuid() == 0 else None
        words = [str(word) for word in command]
        subprocess.run(
            words, user=user, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server; end it and remove its files, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="fi-pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
