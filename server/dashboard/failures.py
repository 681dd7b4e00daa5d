"""What went wrong, in words that say what to do: a page for people, JSON for programs."""

from __future__ import annotations

import logging
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.dashboard.errors import StoreAwayError, VisitError
from server.dashboard.language import Speech
from server.dashboard.rendering import show, speech_of
from server.dashboard.visitors import visitor_of

log = logging.getLogger("fedinterest.dashboard")
_PROGRAMS = ("/api/", "/metrics", "/live", "/healthz")


def told(request: Request, error: VisitError) -> Response:
    """Return the answer to a request that was refused."""
    if error.status == 401 and _is_page(request):
        return _to_login(request, error)
    speech = speech_of(request)
    reason = error.reason if speech.has(f"error.{error.reason}.title") else "other"
    detail = error.detail if visitor_of(request) is not None else ""
    if _is_for_program(request):
        response: Response = JSONResponse(
            {"error": reason, "message": _message(speech, reason, detail)}, error.status
        )
    else:
        response = show(
            request, "error.html", error.status, reason=reason, status=error.status, detail=detail
        )
    response.headers.update(error.headers)
    return response


def _message(speech: Speech, reason: str, detail: str) -> str:
    parts = (speech.text(f"error.{reason}.text"), detail, speech.text(f"error.{reason}.advice"))
    return " ".join(part for part in parts if part)


def _is_for_program(request: Request) -> bool:
    path = request.url.path
    wanted = request.headers.get("accept", "")
    return path.startswith(_PROGRAMS) or ("json" in wanted and "html" not in wanted)


def _is_page(request: Request) -> bool:
    # A token that was refused is a program's, whatever it asks for.
    return not _is_for_program(request) and "authorization" not in request.headers


def _to_login(request: Request, error: VisitError) -> Response:
    path = request.url.path if request.method == "GET" else "/"
    query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
    login = f"/login?{urlencode({'next': path + query})}"
    if "hx-request" in request.headers:  # a part of a page: the whole of it goes to the login
        return Response(status_code=401, headers={"hx-redirect": "/login"} | error.headers)
    return RedirectResponse(login, 303)


class Failures:
    """Turns whatever was raised further in into an answer, so that none goes without headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        started = False

        async def send_noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            request = Request(scope, receive)
            await told(request, as_visit_error(error))(scope, receive, send)


def as_visit_error(error: Exception) -> VisitError:
    """Return what to tell of an error; one that nobody expected is logged, and told as 500."""
    if isinstance(error, VisitError):
        return error
    if isinstance(error.__cause__, VisitError):  # raised while FastAPI read the form
        return error.__cause__
    if isinstance(error, StoreAwayError):
        return VisitError(503, "store", {"retry-after": "10"}, str(error))
    if isinstance(error, RequestValidationError):
        return VisitError(422, "422")
    if isinstance(error, HTTPException):
        return VisitError(error.status_code, str(error.status_code), dict(error.headers or {}))
    log.error("A request failed.", exc_info=error)
    return VisitError(500, "500")


def register(app: FastAPI) -> None:
    """Have the errors of routes told here too."""
    for kind in (HTTPException, RequestValidationError, StoreAwayError, VisitError):
        app.add_exception_handler(kind, _handler)


def _handler(request: Request, error: Exception) -> Response:
    return told(request, as_visit_error(error))
