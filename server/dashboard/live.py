"""Pages that are told of changes: server-sent events, for htmx's extension to listen to.

``changes()`` tells the version of each thing that a page may show, such as
``{"runs": "17"}``. Whenever one differs from what a page was told, an event of that name
is sent, and the page fetches that part anew. The store is asked once for all pages.

A page says with which versions it was made (``/live?runs=17``), so that nothing is lost of what
changes before it listens, or while the connection is down.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping

import anyio
from anyio import to_thread
from fastapi import APIRouter
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request

from server.dashboard.errors import VisitError
from server.dashboard.visitors import Visitor, frame_of, visitor_of

log = logging.getLogger("fedinterest.dashboard")
Changes = Callable[[], Mapping[str, str]]
HEARTBEAT = 15
"""Seconds between signs of life, so that proxies do not think the stream dead."""


def no_changes() -> Mapping[str, str]:
    """Tell that nothing ever changes: where there is no store."""
    return {}


class Live:
    """Watches for changes.

    Parameters
    ----------
    changes : callable
        Asked in a thread of its own, so it may be slow.
    poll_seconds : float
        How long its answer is good for.
    most : int
        Streams at once.
    """

    def __init__(self, changes: Changes, poll_seconds: float, most: int) -> None:
        self._changes = changes
        self._poll_seconds, self._most = poll_seconds, most
        self._streams = 0
        self._versions: Mapping[str, str] = {}
        self._asked = -float("inf")
        self._is_away = False

    def enter(self) -> None:
        """Take a place for a stream.

        Raises
        ------
        VisitError
            503, if all are taken; the browser asks again.
        """
        if self._streams >= self._most:
            raise VisitError(503, "streams", {"retry-after": "30"})
        self._streams += 1

    def leave(self) -> None:
        """Give the place back."""
        self._streams -= 1

    @property
    def streams(self) -> int:
        """How many streams there are now."""
        return self._streams

    async def events(
        self, is_welcome: Callable[[], bool], seen: Mapping[str, str]
    ) -> AsyncIterator[ServerSentEvent]:
        """Yield an event for each change, until the visitor is not welcome any more.

        Parameters
        ----------
        is_welcome : callable
        seen : mapping of str to str
            Versions that the page was made with; of what it does not name, later changes count.
        """
        told = {**await self._current(), **seen}
        while is_welcome():
            versions = await self._current()
            for name, version in versions.items():
                if told.get(name) != version:
                    told[name] = version
                    yield ServerSentEvent(data=version, event=name)
            await anyio.sleep(self._poll_seconds)
        yield ServerSentEvent(data="", event="over")

    async def _current(self) -> Mapping[str, str]:
        now = time.monotonic()
        if now - self._asked >= self._poll_seconds:
            self._asked = now  # before it is asked: meanwhile others take the last answer
            try:
                self._versions = await to_thread.run_sync(self._changes)
                self._is_away = False
            except Exception as error:  # the store may be back the next time
                if not self._is_away:
                    log.warning("The store cannot be asked for changes: %s", type(error).__name__)
                self._is_away = True
        return self._versions


class _Stream(EventSourceResponse):
    """A stream that gives its place back, however it ends."""

    def __init__(self, live: Live, is_welcome: Callable[[], bool], seen: Mapping[str, str]) -> None:
        super().__init__(
            live.events(is_welcome, seen),
            ping=HEARTBEAT,
            headers={"x-accel-buffering": "no", "cache-control": "no-store"},
            send_timeout=30,
        )
        self._live = live

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        self._live.enter()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.leave()


router = APIRouter(include_in_schema=False)


@router.get("/live")
async def live(request: Request) -> EventSourceResponse:
    """Send an event for each change, as long as the visitor is logged in."""
    frame, visitor = frame_of(request), visitor_of(request)

    def is_welcome() -> bool:
        return visitor is not None and still_welcome(request, visitor)

    return _Stream(frame.live, is_welcome, request.query_params)


def still_welcome(request: Request, visitor: Visitor) -> bool:
    """Tell whether who was let in once still is: sessions and tokens end meanwhile."""
    frame = frame_of(request)
    if visitor.by == "session":
        return frame.sessions.user(visitor.session, acts=False) is not None
    if visitor.by == "token":
        given = request.headers["authorization"].partition(" ")[2].strip()
        return frame.tokens.verified(given) is not None
    return True
