"""Forms that other websites cannot send in a visitor's name.

Two locks, both must open: the browser says where the request comes from
(``Sec-Fetch-Site``, ``Origin``), and the form carries a signed token that fits the
visitor's cookie. Programs with a bearer token have no cookie to be abused.
"""

from __future__ import annotations

import hashlib
import secrets
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request

from server.dashboard.errors import VisitError
from server.dashboard.visitors import form_cookie, frame_of, visitor_of

FIELD, HEADER = "form-token", "x-form-token"
MOST_AGE = 12 * 3600
"""Seconds a form may lie open before it is sent."""
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class FormTokens:
    """Makes and checks the tokens of forms; their key lives as long as this process."""

    def __init__(self) -> None:
        self._signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="form")

    def token(self, holder: str) -> str:
        """Return a token for whoever holds that cookie."""
        return self._signer.dumps(_mark(holder))

    def fits(self, token: str, holder: str) -> bool:
        """Tell whether the token was made here, lately, for whoever holds that cookie."""
        try:
            mark = self._signer.loads(token, max_age=MOST_AGE)
        except BadData:
            return False
        return isinstance(mark, str) and secrets.compare_digest(mark, _mark(holder))


async def refuse_forged(request: Request) -> None:
    """Refuse a changing request that this website's own forms have not sent.

    A dependency of every route.

    Raises
    ------
    VisitError
        403, if it comes from elsewhere, or without a token that fits.
    """
    visitor = visitor_of(request)
    if request.method in _READS or (visitor is not None and visitor.by == "token"):
        return
    given: object = request.headers.get(HEADER)
    if given is None:
        form = await request.form(max_files=0, max_fields=20, max_part_size=16 * 1024)
        given = form.get(FIELD)
    holder = form_holder(request)
    own = isinstance(given, str) and bool(holder) and frame_of(request).forms.fits(given, holder)
    if not own or not _comes_from_here(request):
        raise VisitError(403, "forged")


def form_holder(request: Request) -> str:
    """Return the cookie that a form's token belongs to: the session's, else the form's own."""
    visitor = visitor_of(request)
    if visitor is not None and visitor.session:
        return visitor.session
    return form_cookie(request)


def _comes_from_here(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    here = (request.url.scheme, request.headers.get("host", "").lower())
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    return (parts.scheme, parts.netloc) == here


def _mark(holder: str) -> str:
    return hashlib.sha256(holder.encode()).hexdigest()
