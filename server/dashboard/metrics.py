"""How the dashboard itself is doing: figures for Prometheus, an access log, a sign of life."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from anyio import to_thread
from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.dashboard.visitors import Visitor, address_of, frame_of

access_log = logging.getLogger("fedinterest.dashboard.access")
IsReady = Callable[[], bool]
MOST_PATH = 200
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})


def always_ready() -> bool:
    """Tell that the store answers: where there is none to ask."""
    return True


class Metrics:
    """Figures of the requests, and those that others add.

    Parameters
    ----------
    is_ready : callable
        Whether the store answers now. May raise: then it does not.
    collectors : iterable of Collector
        Figures of the runs.
    """

    def __init__(self, is_ready: IsReady, collectors: Iterable[Collector] = ()) -> None:
        self.is_ready = is_ready
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "fedinterest_dashboard_requests",
            "Requests answered, by route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "fedinterest_dashboard_seconds",
            "Seconds to answer, by route.",
            ["route"],
            registry=self._registry,
        )
        self._streams = Gauge(
            "fedinterest_dashboard_streams", "Open streams of events.", registry=self._registry
        )
        for collector in collectors:
            self._registry.register(collector)

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        if route != "/live":  # lasts as long as its page is open
            self._seconds.labels(route).observe(seconds)

    def written(self, streams: int) -> bytes:
        """Return all figures as Prometheus reads them."""
        self._streams.set(streams)
        return generate_latest(self._registry)


class Watching:
    """Counts every request and writes it to the access log, without its query."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            seconds = time.monotonic() - started
            # By template: an address that somebody made up is no label of its own.
            route = str(getattr(scope.get("route"), "path", "unmatched"))
            self._metrics.note(scope["method"], route, status, seconds)
            access_log.info(
                "%s %s %s %s %d %.0f ms",
                address_of(Request(scope)),
                _who(scope),
                scope["method"],
                _shown_path(scope),
                status,
                1000 * seconds,
            )


def _who(scope: Scope) -> str:
    visitor = scope.get("state", {}).get("visitor")
    return visitor.name or visitor.by if isinstance(visitor, Visitor) else "-"


def _shown_path(scope: Scope) -> str:
    """Return the path as it came: encoded, so that it can forge no line of the log."""
    raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    text = bytes(raw).partition(b"?")[0][:MOST_PATH].decode("ascii", "backslashreplace")
    return "".join(letter if letter.isprintable() else f"%{ord(letter):02X}" for letter in text)


router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return the figures for Prometheus."""
    frame = frame_of(request)
    content = await to_thread.run_sync(frame.metrics.written, frame.live.streams)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


@router.get("/healthz")
async def health(request: Request) -> Response:
    """Tell whether the process answers and the store does; nothing else, as anybody may ask."""
    try:
        ready = await to_thread.run_sync(frame_of(request).metrics.is_ready)
    except Exception:  # whatever keeps the store from answering
        ready = False
    return JSONResponse({"status": "ok" if ready else "store away"}, 200 if ready else 503)
