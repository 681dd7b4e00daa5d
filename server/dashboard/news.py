"""News for a page that is open: says that it is no longer the latest, and replaces nothing.

page, with a mark of what it shows -> something has changed -> its news, with that mark
    the same still -> nothing; something newer -> a notice with a link

What somebody reads or compares stays where it is until they ask for the newer.
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.rendering import show

NEWS = "/news"
"""Where the news of a page are: behind its path."""
_OURS = frozenset({"shown", "page"})
"""What the link to the newer does not keep: its table begins with the first page."""


def mark(*shown: object) -> str:
    """Return a word that differs where what is shown does; of values whose ``repr`` says all."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def news_query(request: Request, shown: str) -> str:
    """Return what a page asks its news with: all that it was asked itself, and its mark."""
    return urlencode([*_kept(request), ("shown", shown)])


def news(request: Request, shown: str, key: str) -> Response:
    """Return a notice with a link where a page shows something else by now, else nothing.

    Parameters
    ----------
    request : Request
        With the mark of the page that is open.
    shown : str
        The mark that the page would have now.
    key : str
        Texts ``KEY.newer`` and ``KEY.show-newer``.
    """
    if request.query_params.get("shown") == shown:
        return Response(status_code=204)  # htmx leaves the page as it is
    path, kept = request.url.path.removesuffix(NEWS), urlencode(_kept(request))
    return show(request, "news.html", key=key, link=f"{path}?{kept}" if kept else path)


def _kept(request: Request) -> list[tuple[str, str]]:
    return [pair for pair in request.query_params.multi_items() if pair[0] not in _OURS]
