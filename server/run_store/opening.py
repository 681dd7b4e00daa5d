"""Open a run store: found or made, brought up to date, and only if it is one.

path or URL  ->  engine  ->  nobody else migrates meanwhile  ->  Alembic  ->  Store

What a newer program has written, and what is no run store at all, is left as it is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, select, table, text
from sqlalchemy import column as named_column
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from server.run_store.engines import file_engine, server_engine
from server.run_store.errors import StoreAwayError, StoreError
from server.run_store.reach import trouble_with
from server.run_store.schema import VERSION_TABLE
from server.store_place import is_url, objection_to

BUSY_SECONDS = 5.0
"""So long another process may hold the store before a write is given up."""
_LOCK = 0x6665_6469
"""PostgreSQL's advisory lock of those who write."""
_OF_FILES = ("unable to open", "disk", "readonly")
_MIGRATIONS = Path(__file__).parent / "migrations"
_one_at_a_time = threading.Lock()
"""Alembic keeps its context in a module."""


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """An open run store.

    Attributes
    ----------
    place : str
        As people may read it.
    engine : Engine
    """

    place: str
    engine: Engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the store, and changes nothing.

        Raises
        ------
        StoreAwayError
            If the store cannot be reached, or something in it cannot be read.
        """
        try:
            with _told(self.place, "read"), self.engine.connect() as connection:
                yield connection
        except ValueError as error:  # SQLite keeps in a column whatever was written there
            raise StoreAwayError(
                f"The run store {self.place} cannot be read: something in it is not of its kind "
                f"({error}). Was it written by another program? Put back a copy."
            ) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that no other writer interferes with.

        Raises
        ------
        StoreAwayError
            If the store cannot be reached or written; nothing of it was changed then.
        """
        with _told(self.place, "written"), _writing(self.engine) as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def open_store(place: str, *, make: bool = True, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Open the store at ``place``; make it or bring it up to date first.

    Parameters
    ----------
    place : str
        Path of a file (SQLite), or URL of PostgreSQL.
    make : bool
        Whether to make it where there is none; readers rather say that there is none.
    busy_seconds : float
        How long to wait for other processes.

    Raises
    ------
    StoreError
        If it is no run store, or one of a newer program.
    StoreAwayError
        If it cannot be reached or written now.
    """
    if objection := objection_to(place) if place else "no place is named":
        raise StoreError(f"The run store cannot be opened: {objection}. Nothing was written.")
    if is_url(place):
        shown = make_url(place).render_as_string(hide_password=True)
        engine = server_engine(place, busy_seconds)
    else:
        shown = place
        engine = file_engine(_file(Path(place).expanduser(), make=make), busy_seconds)
    try:
        with _one_at_a_time, _told(shown, "opened"):
            _bring_up_to_date(engine, shown, make=make)
    except BaseException:
        engine.dispose()
        raise
    return Store(shown, engine)


def _file(path: Path, *, make: bool) -> Path:
    """Return the file's path; make its folder, and an empty file, where there is none."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder, no run store. Nothing was written. Name a file.")
    if path.exists():
        return path.resolve()
    if not make:
        raise StoreError(f"There is no run store at {path}. Nothing was read. Is the path right?")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise StoreError(
            f"The run store {path} cannot be made ({error.strerror}). Nothing was written. Choose "
            "another place."
        ) from error
    return path.resolve()


def _bring_up_to_date(engine: Engine, place: str, *, make: bool) -> None:
    script = ScriptDirectory(str(_MIGRATIONS))
    newest, known = script.get_current_head(), {step.revision for step in script.walk_revisions()}
    with engine.connect() as connection:  # usually there is nothing to do, and nobody is kept out
        if _version(connection) == newest:
            return
    with _writing(engine) as connection:
        version = _version(connection)
        if version is None:
            _check_empty(connection, place)
            if not make:
                raise StoreError(f"{place} is empty, no run store. Nothing was read.")
        elif version not in known:
            raise StoreError(
                f"The run store {place} has schema {version!r}, which this version of the program "
                f"does not know (its newest is {newest!r}): a newer one has written it. Nothing "
                "was changed. Update this program, or choose another store."
            )
        if version != newest:
            config = Config()
            config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    """Return the version of the schema; None where there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    versions = table(VERSION_TABLE, named_column("version_num"))
    found = connection.execute(select(versions.c.version_num)).scalars().all()
    return str(found[0]) if found else None


def _check_empty(connection: Connection, place: str) -> None:
    if found := inspect(connection).get_table_names():
        raise StoreError(
            f"{place} holds other tables ({', '.join(sorted(found)[:3])}): it is no run store. "
            "Nothing was changed. Choose a new file, or an empty database."
        )


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.execution_options(writes=True).connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            # As SQLite has it: who counts spending must see all that was counted before.
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield connection


@contextmanager
def _told(place: str, done: str) -> Iterator[None]:
    """Say in a sentence what the database says in pages."""
    try:
        yield
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        if "file is not a database" in said:
            raise StoreError(
                f"{place} is no SQLite database, so no run store. Nothing was changed. Choose "
                "another file."
            ) from error
        # SQLite does not say why: its "disk I/O error" may be a disk that is full.
        asks = not is_url(place) and any(word in said for word in _OF_FILES)
        why = trouble_with(Path(place).expanduser()) if asks else ""
        told = f"{said}; {why}" if why else said
        raise StoreAwayError(f"The run store {place} cannot be {done} ({told}).") from error
    except SQLAlchemyError as error:
        raise StoreAwayError(
            f"The run store {place} cannot be {done} ({type(error).__name__}: {error})."
        ) from error
