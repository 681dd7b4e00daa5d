"""Who asks, and what the application has at hand to answer: kept with each request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from starlette.requests import HTTPConnection

from server.dashboard.errors import VisitError
from server.dashboard.roles import Role

if TYPE_CHECKING:
    from server.dashboard.frame import Frame

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks.

    Attributes
    ----------
    by : str
        How they are known: ``local`` (on this machine, nobody logs in), ``session`` or ``token``.
    name : str
        The user's, or the token's identity; empty for ``local``.
    role : Role
    session : str
        Secret of the session; empty unless there is one.
    """

    by: Literal["local", "session", "token"]
    name: str
    role: Role
    session: str = ""


def frame_of(connection: HTTPConnection) -> Frame:
    """Return what the application has at hand."""
    return cast("Frame", connection.app.state.frame)


def visitor_of(connection: HTTPConnection) -> Visitor | None:
    """Return who asks; None on the pages that need no login."""
    return cast("Visitor | None", connection.scope.get("state", {}).get("visitor"))


def form_cookie(connection: HTTPConnection) -> str:
    """Return the cookie that forms belong to where nobody is logged in; empty if unfit."""
    frame = frame_of(connection)
    found = connection.cookies.get(frame.settings.cookie("form"), "")
    return found if _SECRET.fullmatch(found) else ""


def session_cookie(connection: HTTPConnection) -> str:
    """Return the session's secret as the browser sent it; empty if unfit."""
    frame = frame_of(connection)
    found = connection.cookies.get(frame.settings.cookie("session"), "")
    return found if _SECRET.fullmatch(found) else ""


def address_of(connection: HTTPConnection) -> str:
    """Return the address that asks, as trusted proxies tell it."""
    return connection.client.host if connection.client else "unknown"


class RoleNeeded:
    """A dependency of routes that not everybody may see: ``Depends(RoleNeeded(Role.AUDITOR))``."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, connection: HTTPConnection) -> None:
        """Refuse whoever has not that role."""
        visitor = visitor_of(connection)
        if visitor is None or not visitor.role.includes(self.role):
            raise VisitError(403, "role")
