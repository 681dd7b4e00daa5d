"""Nothing without login: who asks is found out before any route is looked for.

So what needs a login and what does not exist look alike to strangers.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from server.dashboard.errors import VisitError
from server.dashboard.roles import Role
from server.dashboard.visitors import Visitor, frame_of, session_cookie

OPEN_PATHS = frozenset({"/login", "/preferences", "/healthz"})
"""What strangers get: the way in, and whether the process lives."""
OPEN_FOLDER = "/assets/"
LIVE_HEADER = "x-live"
"""Of requests that a page makes by itself; they do not keep anybody logged in."""


class Access:
    """Finds out who asks, and refuses strangers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on with its visitor, or refuse it."""
        if scope["type"] == "http":
            request = Request(scope)
            visitor = _visitor(request)
            path = scope["path"]
            if visitor is None and path not in OPEN_PATHS and not path.startswith(OPEN_FOLDER):
                raise VisitError(401, "401", {"www-authenticate": "Bearer"})
            scope.setdefault("state", {})["visitor"] = visitor
        await self._app(scope, receive, send)


def _visitor(request: Request) -> Visitor | None:
    frame = frame_of(request)
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        token = frame.tokens.verified(given.strip())
        # A token that is none is refused even where nobody has to log in: its owner should know.
        if token is None:
            raise VisitError(401, "token", {"www-authenticate": 'Bearer error="invalid_token"'})
        return Visitor(by="token", name=token.id, role=token.role)
    if not frame.settings.needs_login:
        return Visitor(by="local", name="", role=Role.AUDITOR)
    secret = session_cookie(request)
    acts = LIVE_HEADER not in request.headers and request.url.path != "/live"
    user = frame.sessions.user(secret, acts=acts) if secret else None
    if user is None:
        return None
    return Visitor(by="session", name=user.name, role=user.role, session=secret)
