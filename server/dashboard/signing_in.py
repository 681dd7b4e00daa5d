"""Login, logout, and the choice of language and theme: plain forms, no script needed."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.dashboard.accounts import MOST_PASSWORD
from server.dashboard.errors import VisitError
from server.dashboard.language import LANGUAGES
from server.dashboard.rendering import THEMES, drop_cookie, keep_cookie, show
from server.dashboard.visitors import address_of, frame_of, session_cookie, visitor_of

router = APIRouter(include_in_schema=False)

# Argon2 takes 64 MiB and a core for each password; strangers must not make it a hundred.
_HASHING = CapacityLimiter(2)


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:  # noqa: A002  (name in the address)
    """Show the login; whoever needs none goes on."""
    if visitor_of(request) is not None:
        return RedirectResponse(safe_path(next), 303)
    return show(request, "login.html", next=safe_path(next), name="", failed=False)


@router.post("/login")
async def login(
    request: Request,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """Log in, with a session that did not exist before."""
    frame, address = frame_of(request), address_of(request)
    if not frame.settings.needs_login:
        return RedirectResponse(safe_path(next), 303)
    wait = frame.guard.attempt(name, address)
    if wait > 0:
        raise VisitError(429, "429", {"retry-after": str(int(wait) + 1)})
    user = await to_thread.run_sync(
        frame.accounts.verified, name, password[: MOST_PASSWORD + 1], limiter=_HASHING
    )
    if user is None:
        return show(request, "login.html", 401, next=safe_path(next), name=name, failed=True)
    frame.guard.succeeded(name, address)
    frame.sessions.end(session_cookie(request))
    response = RedirectResponse(safe_path(next), 303)
    keep_cookie(request, response, "session", frame.sessions.begin(user))
    drop_cookie(request, response, "form")
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """Log out: the session is over, whoever has its cookie."""
    frame_of(request).sessions.end(session_cookie(request))
    response = RedirectResponse("/login", 303)
    drop_cookie(request, response, "session")
    # Pages that the browser keeps for the way back are gone too.
    response.headers["clear-site-data"] = '"cache"'
    return response


@router.post("/preferences")
def choose(
    request: Request,
    language: Annotated[str, Form()] = "",
    theme: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """Keep the visitor's language or theme."""
    response = RedirectResponse(safe_path(next), 303)
    if language in LANGUAGES:
        keep_cookie(request, response, "language", language, for_years=True)
    if theme in THEMES:
        keep_cookie(request, response, "theme", theme, for_years=True)
    return response


def safe_path(path: str) -> str:
    """Return a path on this website; ``/`` if it leads anywhere else."""
    if not path.startswith("/") or path.startswith(("//", "/login")) or "\\" in path:
        return "/"
    if not path.isascii() or not path.isprintable():
        return "/"
    parts = urlsplit(path)
    return path if not parts.scheme and not parts.netloc else "/"
