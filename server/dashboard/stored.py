"""The run store as pages find it: opened once it is there, asked anew only after a change.

page -> view(build, ...) -> the same store as the last time? -> what was built then
                            else -> build(store, ...) -> kept for all visitors

Views hold released, public and operational values only, so that all visitors see the same.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from starlette.requests import HTTPConnection

from server.dashboard.errors import StoreAwayError
from server.run_store.changes import versions
from server.run_store.errors import StoreError
from server.run_store.opening import Store, open_store

View = TypeVar("View")
FRESH_SECONDS = 0.5
"""How long the store is taken to be as it was: many readers at once ask it once."""
BUSY_SECONDS = 2.0
"""How long a page waits for another process that holds the store."""
MOST_VIEWS = 256


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
        self._views: OrderedDict[Hashable, tuple[str, Any]] = OrderedDict()
        self._building: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._word, self._asked = "", -float("inf")

    def open(self) -> Store:
        """Return the store.

        Raises
        ------
        StoreAwayError
            If there is none, or it cannot be opened; the next request tries again.
        """
        with self._lock:
            if self._store is None:
                with _told():
                    self._store = open_store(self.place, make=False, busy_seconds=BUSY_SECONDS)
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
        store, word = self.open(), self._current()
        key = (build.__module__, build.__qualname__, *values)
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        with building:  # of those who ask for the same, one builds it
            known = self._views.get(key)
            if known is None or known[0] != word:
                with _told():
                    known = (word, build(store, *values))
                self._keep(key, known)
        return cast(View, known[1])

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
        """Return a word for each part of the store, which differs once the part does."""
        store = self.open()
        with _told():
            return versions(store, datetime.now(UTC))

    def is_ready(self) -> bool:
        """Tell whether the store answers."""
        self.changes()
        return True

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            if self._store is not None:
                self._store.close()
            self._store = None

    def _current(self) -> str:
        with self._asking:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                self._word = repr(sorted(self.changes().items()))
                self._asked = time.monotonic()
            return self._word

    def _keep(self, key: Hashable, view: tuple[str, Any]) -> None:
        with self._lock:
            self._views[key] = view
            self._views.move_to_end(key)
            while len(self._views) > MOST_VIEWS:
                gone, _ = self._views.popitem(last=False)
                self._building.pop(gone, None)


class _told:  # noqa: N801  (used like a function)
    """Say in the dashboard's words what keeps the store from answering."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, StoreError):
            raise StoreAwayError(str(error)) from error


def stored_of(connection: HTTPConnection) -> Stored:
    """Return the store that the application reads."""
    return cast(Stored, connection.app.state.stored)
