"""The pages there are: a module each, found by this one value.

A page is a router and its place in the navigation. To add one, write a module with a
:class:`Page`, add its texts (``page.KEY``), and list it where the application is made.
Its template extends ``base.html`` (``with_charts.html``) and uses ``components.html``. Routes
that return pages take ``include_in_schema=False``: the schema is the API's, below ``/api/v1``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastapi import APIRouter

from server.dashboard.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the navigation.

    Attributes
    ----------
    key : str
        Its name in texts: ``page.KEY`` is what the navigation calls it.
    path : str
        Where it is; the first page's is where ``/`` leads.
    router : APIRouter
        All routes of the page, also those of its parts and of its API.
    role : Role
        Who may see it, and sees it in the navigation.
    """

    key: str
    path: str
    router: APIRouter = field(repr=False)
    role: Role = Role.VIEWER
