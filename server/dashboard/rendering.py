"""Templates into pages: in the visitor's language and theme, everything escaped.

show -> the same address, language, theme, name and role, the store as it was? -> the page of then
        else -> rendered anew
     -> the token of this visitor's forms is put in
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from server.dashboard.csrf import FIELD, form_holder
from server.dashboard.kept import Kept
from server.dashboard.language import LANGUAGES, Speech, preferred
from server.dashboard.stored import State
from server.dashboard.visitors import frame_of, visitor_of

THEMES = ("auto", "light", "dark")
MOST_PAGES = 256
_YEAR = 365 * 24 * 3600


def templates() -> Environment:
    """Return Jinja for the pages: all is escaped, nothing may be undefined."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def speech_of(request: Request) -> Speech:
    """Return how to speak with who asks."""
    settings = frame_of(request).settings
    chosen = request.cookies.get(settings.cookie("language"), "")
    header = request.headers.get("accept-language", "")
    return Speech(preferred(chosen, header, settings.language))


def theme_of(request: Request) -> str:
    """Return the theme that was chosen; ``auto`` follows the system's."""
    chosen = request.cookies.get(frame_of(request).settings.cookie("theme"), "")
    return chosen if chosen in THEMES else "auto"


class Rendered:
    """Pages as they were rendered, for as long as the store stays as it was.

    Forms carry the token of who looks at them, so a page is kept with a mark in its place.
    """

    def __init__(self) -> None:
        self._pages = Kept(MOST_PAGES)
        self.mark = secrets.token_urlsafe(32)

    def page(self, request: Request, template: str, render: Callable[[], str]) -> str:
        """Return what ``render`` returns, of now or of the same visit to the same store."""
        state: State | None = getattr(request.state, "store_state", None)
        if state is None:  # it shows nothing of the store
            return render()
        visitor = visitor_of(request)
        who = visitor and (visitor.by, visitor.name, visitor.role)
        how = (speech_of(request).language, theme_of(request))
        address = (request.url.path, request.url.query)
        return self._pages.value((template, address, how, who), state.word, render)


def show(request: Request, template: str, code: int = 200, /, **values: object) -> Response:
    """Return a page.

    Parameters
    ----------
    request : Request
    template : str
        File in ``templates``; usually extends ``base.html``.
    code : int
        HTTP status.
    **values
        What the template names. It also has ``speech``, ``text``, ``asset``, ``visitor``,
        ``pages``, ``form_token``, and what else is listed below. Where the route reads the run
        store, they must follow from the store, the address, and who asks in which language.
    """
    frame = frame_of(request)
    content = frame.rendered.page(request, template, lambda: _render(request, template, values))
    holder = form_holder(request)
    fresh = "" if holder else secrets.token_urlsafe(32)
    content = content.replace(frame.rendered.mark, frame.forms.token(holder or fresh))
    response = HTMLResponse(content, code, {"vary": "accept-language, cookie"})
    if fresh:
        keep_cookie(request, response, "form", fresh)
    return response


def _render(request: Request, template: str, values: Mapping[str, object]) -> str:
    frame, visitor, speech = frame_of(request), visitor_of(request), speech_of(request)
    state: State | None = getattr(request.state, "store_state", None)
    return frame.templates.get_template(template).render(
        speech=speech,
        text=speech.text,
        asset=frame.assets.path,
        visitor=visitor,
        pages=[page for page in frame.pages if visitor and visitor.role.includes(page.role)],
        here=request.url.path,
        query=request.url.query,
        back=f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
        live_address=f"/live?{urlencode(state.parts)}" if state else "/live",
        theme=theme_of(request),
        themes=THEMES,
        languages=LANGUAGES,
        form_field=FIELD,
        form_token=frame.rendered.mark,
        **values,
    )


def keep_cookie(
    request: Request, response: Response, name: str, value: str, *, for_years: bool = False
) -> None:
    """Have the browser keep a cookie that scripts and other websites do not get."""
    settings = frame_of(request).settings
    response.set_cookie(
        settings.cookie(name),
        value,
        max_age=_YEAR if for_years else None,
        path="/",
        secure=settings.https,
        httponly=True,
        samesite="strict",
    )


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """Have the browser forget a cookie."""
    settings = frame_of(request).settings
    response.delete_cookie(
        settings.cookie(name), path="/", secure=settings.https, httponly=True, samesite="strict"
    )
