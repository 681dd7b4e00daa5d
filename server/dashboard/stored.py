"""The run store as pages find it: opened once it is there, asked anew only after a change.

page -> view(build, ...) -> the same store as the last time? -> what was built then
                            else -> build(store, ...) -> kept for all visitors

A store may go, and come back as another one: a file that has changed is opened anew, which looks
at what it is, and so is whatever could not be read.

Views hold released, public and operational values only, so that all visitors see the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar, cast

from starlette.requests import HTTPConnection

from server.dashboard.errors import StoreAwayError
from server.dashboard.kept import Kept
from server.run_store.changes import versions
from server.run_store.errors import StoreError
from server.run_store.opening import Store, open_store
from server.store_place import is_url

View = TypeVar("View")
Mark = tuple[int | str, ...]
FRESH_SECONDS = 0.5
"""How long the store is taken to be as it was: many readers at once ask it once."""
BUSY_SECONDS = 2.0
"""How long a page waits for another process that holds the store."""
MOST_VIEWS = 256


@dataclass(frozen=True, slots=True)
class State:
    """What a store was like when it was asked.

    Attributes
    ----------
    word : str
        Differs once anything does.
    parts : mapping of str to str
        A word for each part that pages can be told about: ``{"runs": "1f0c..."}``.
    """

    word: str
    parts: Mapping[str, str]


class Stored:
    """The run store at ``place``, which may come and go.

    Parameters
    ----------
    place : str
        A file, or the URL of a database.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._store: Store | None = None
        self._views = Kept(MOST_VIEWS)
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._opened: Mark = ()
        self._state, self._asked = State("", {}), -float("inf")
        self._failed: str | None = None

    def open(self) -> Store:
        """Return the store; a file that is not as it was is opened anew.

        Raises
        ------
        StoreAwayError
            If there is none, or it cannot be opened; the next request tries again.
        """
        mark = _mark(self.place)
        with self._lock:
            if self._store is not None and mark != self._opened:
                self._let_go()
            if self._store is None:
                with _told():
                    self._store = open_store(self.place, make=False, busy_seconds=BUSY_SECONDS)
                # Opening a file may have brought it up to date.
                self._opened = _mark(self.place)
            return self._store

    def view(self, build: Callable[..., View], *values: Hashable) -> View:
        """Return ``build(store, *values)``, of now or of the same state of the store.

        Parameters
        ----------
        build : callable
            A function of a module; it must not depend on who asks.
        *values
            What it is asked for.

        Raises
        ------
        StoreAwayError
            If the store cannot be read.
        """
        state, store = self.state(), self.open()

        def built() -> View:
            with self._asked_for():
                return build(store, *values)

        return self._views.value((build.__module__, build.__qualname__, *values), state.word, built)

    def fresh(self, build: Callable[..., View], *values: Hashable) -> View:
        """Return ``build(store, *values)`` of now, and keep nothing: for what is large.

        Raises
        ------
        StoreAwayError
            If the store cannot be read.
        """
        store = self.open()
        with _told():
            return build(store, *values)

    def changes(self) -> Mapping[str, str]:
        """Return a word for each part of the store, which differs once the part does.

        Whoever is told of a change and then asks for a view is given one that has it.
        """
        with self._asking:
            return self._ask().parts

    def state(self) -> State:
        """Return what state the store is in, or was in :data:`FRESH_SECONDS` ago at most.

        Raises
        ------
        StoreAwayError
            If the store cannot be read.
        """
        with self._asking:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                return self._ask()
            # Who waited meanwhile is told the same: a store that is held makes each wait only once.
            if self._failed is not None:
                raise StoreAwayError(self._failed)
            return self._state

    def is_ready(self) -> bool:
        """Tell whether the store answers; raises :class:`StoreAwayError` where it does not."""
        self.state()
        return True

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = None

    @contextmanager
    def _asked_for(self) -> Iterator[None]:
        """Let go of a store that cannot be read: the next request finds out what it is now."""
        try:
            with _told():
                yield
        except StoreAwayError:
            self.close()
            raise

    def _ask(self) -> State:
        """Ask the store; the same file with other rows, or another file, is another state."""
        try:
            store = self.open()
            with self._asked_for():
                parts = versions(store, datetime.now(UTC))
            self._state = State(repr((sorted(parts.items()), self._opened)), parts)
            self._failed = None
        except StoreAwayError as error:
            self._failed = str(error)
            raise
        finally:
            self._asked = time.monotonic()
        return self._state


class _told:  # noqa: N801  (used like a function)
    """Say in the dashboard's words what keeps the store from answering."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, StoreError):
            raise StoreAwayError(str(error)) from error
        if isinstance(error, OSError):  # a folder on the way that may not be looked into
            raise StoreAwayError(
                f"The run store cannot be reached ({error.strerror}). Nothing was read. See to its "
                "permissions."
            ) from error


def _mark(place: str) -> Mark:
    """Return what tells one file from another that was put in its place; empty for a database.

    Its size and time also change when a write-ahead log is taken in: it is opened once too often
    then, which costs a few milliseconds.
    """
    if is_url(place):
        return ()
    try:
        found = os.stat(os.path.expanduser(place))
    except (OSError, ValueError):
        return ("none",)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def stored_of(connection: HTTPConnection) -> Stored:
    """Return the store that the application reads; note its state for the page that is made.

    Raises
    ------
    StoreAwayError
        If the store cannot be read.
    """
    stored = cast(Stored, connection.app.state.stored)
    connection.state.store_state = stored.state()
    return stored
