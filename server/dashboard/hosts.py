"""Which way in a request may take: by a known name, by https where that is asked, not too long."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.dashboard.errors import VisitError
from server.dashboard.settings import Settings

MOST_BODY = 64 * 1024
"""Bytes of a request; the largest here is a form with a password."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")


class WayIn:
    """Refuses requests that came by a way that was not meant."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] == "http":
            self._refuse(scope)
            receive = _bounded(receive)
        await self._app(scope, receive, send)

    def _refuse(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        named = headers.getlist("host")
        if len(named) != 1 or _name(named[0]) not in self._settings.accepted_hosts:
            raise VisitError(400, "host")
        if self._settings.trusted_proxies and scope.get("scheme") != "https":
            # Past the proxy, or from a browser that reached it without TLS.
            raise VisitError(403, "past-proxy")
        if not self._settings.needs_login and any(name in headers for name in _FORWARDED):
            # Somebody put a proxy before what only this machine may see.
            raise VisitError(403, "unknown-proxy")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MOST_BODY:
            raise VisitError(413, "413")


def _name(host: str) -> str:
    """Return a Host header's name without its port, lower case, and without brackets."""
    host = host.lower()
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        return name if bracket and (not port or _is_port(port)) else ""
    name, colon, port = host.partition(":")
    return name if not colon or _is_port(colon + port) else ""


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isascii() and text[1:].isdecimal()


def _bounded(receive: Receive) -> Receive:
    received = 0

    async def receive_some() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MOST_BODY:
            raise VisitError(413, "413")
        return message

    return receive_some
