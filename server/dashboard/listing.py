"""Long tables: which part is shown, in which order, and the links to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

MOST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What part of a table is asked for.

    Attributes
    ----------
    path : str
        Of the page.
    sort : str
        Column; always one of those that may be sorted by, never what was sent.
    descending : bool
    page : int
        From 1.
    size : int
        Rows on a page.
    filters : tuple of pairs of str
        What else the address asks for; links keep it.
    """

    path: str
    sort: str
    descending: bool
    page: int
    size: int
    filters: tuple[tuple[str, str], ...] = ()

    @property
    def offset(self) -> int:
        """Rows before the first that is shown."""
        return (self.page - 1) * self.size

    def sort_link(self, column: str) -> str:
        """Return the link that sorts by a column: another one, or this one the other way round."""
        return self._link(column, not self.descending if column == self.sort else False, 1)

    def page_link(self, page: int) -> str:
        """Return the link to another page in the same order."""
        return self._link(self.sort, self.descending, page)

    def pages(self, n_rows: int) -> int:
        """Return how many pages so many rows take; at least one."""
        return max(1, -(-n_rows // self.size))

    def _link(self, sort: str, descending: bool, page: int) -> str:
        order = "down" if descending else "up"
        asked = dict(self.filters) | {"sort": sort, "order": order, "page": page}
        return f"{self.path}?{urlencode(asked)}"


def asked_listing(
    request: Request,
    columns: Sequence[str],
    *,
    descending: bool = False,
    size: int = 50,
    filters: Sequence[str] = (),
    most: int | None = None,
) -> Listing:
    """Return what the address asks for; what makes no sense is as if it were not there.

    Parameters
    ----------
    request : Request
    columns : sequence of str
        Those that may be sorted by; the first is the usual one.
    descending : bool
        Whether the usual order is downwards.
    size : int
    filters : sequence of str
        Names of what else may be asked for.
    most : int, optional
        Rows that can be paged through: beyond them, the last such page is asked for.
    """
    last = MOST_PAGE if most is None else max(1, most // size)
    asked = request.query_params
    sort = asked.get("sort", "")
    known = sort in columns
    order = asked.get("order", "")
    page = asked.get("page", "1")
    return Listing(
        path=request.url.path.removesuffix("/part"),
        sort=sort if known else columns[0],
        descending=order == "down" if order in {"up", "down"} else descending and not known,
        # isdecimal: digits of other scripts are none, and so is a number of a thousand digits.
        page=min(max(int(page), 1), last) if page.isdecimal() and len(page) < 8 else 1,
        size=size,
        filters=tuple((name, asked[name]) for name in filters if asked.get(name)),
    )
