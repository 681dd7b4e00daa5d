"""Regions: the list, and one of them.

A region is named in the query (``/regions/detail?name=``): a name may hold anything, and browsers
take ``..`` and ``/`` in a path for folders.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.dashboard.api import ANSWERS, API, LONGEST, Limit, Offset, csv_of
from server.dashboard.errors import VisitError
from server.dashboard.listing import asked_listing
from server.dashboard.navigation import Page
from server.dashboard.rendering import show
from server.dashboard.roles import Role
from server.dashboard.stored import Stored, stored_of
from server.dashboard.views.privacy import releases_page
from server.dashboard.views.regions import (
    SORTS,
    RegionLine,
    RegionPage,
    RegionsPage,
    agents_now,
    all_regions,
    region_page,
    regions_page,
)
from server.dashboard.visitors import visitor_of
from server.run_store.region_records import HeartbeatRecord, RegionRecord

router = APIRouter()
PAGE = Page(key="regions", path="/regions", router=router)
Source = Annotated[Stored, Depends(stored_of)]
RegionName = Annotated[str, Query(max_length=LONGEST)]
Sort = Annotated[
    Literal["name", "agent", "seen", "releases", "refusals", "code", "budget"], Query()
]
SIZE, SOME_RELEASES = 50, 25
_REGION = tuple(RegionRecord.__dataclass_fields__)
_AGENT = {"agent": "state", "last_heartbeat": "last_heartbeat", "enrolled_version": "version"}
_BUDGET = (
    *("window", "spent", "limit", "counted", "told", "told_by", "delta"),
    *("lifetime_spent", "lifetime_limit", "lifetime_delta", "simulated"),
)


@router.get("/regions", include_in_schema=False)
def show_regions(request: Request, stored: Source) -> Response:
    """Show the list of regions."""
    return _list(request, stored, "regions.html")


@router.get("/regions/part", include_in_schema=False)
def show_regions_part(request: Request, stored: Source) -> Response:
    """Show the list alone, for a page that is open."""
    return _list(request, stored, "regions_part.html")


def _list(request: Request, stored: Stored, template: str) -> Response:
    listing = asked_listing(request, tuple(SORTS), size=SIZE)
    view = regions_page(
        stored.view(all_regions), listing.sort, listing.descending, SIZE, listing.offset
    )
    return show(request, template, view=view, listing=listing)


@router.get("/regions/detail", include_in_schema=False)
def show_region(request: Request, stored: Source) -> Response:
    """Show one region."""
    return _one(request, stored, "region.html")


@router.get("/regions/detail/part", include_in_schema=False)
def show_region_part(request: Request, stored: Source) -> Response:
    """Show one region alone, for a page that is open."""
    return _one(request, stored, "region_part.html")


@router.get("/regions/{name:path}", include_in_schema=False)
def lead_to_region(name: str) -> Response:
    """Lead to the page of a region that was named in the path."""
    return RedirectResponse(f"/regions/detail?{urlencode({'name': name})}", 307)


def _one(request: Request, stored: Stored, template: str) -> Response:
    view = _region(stored, request.query_params.get("name", "")[:LONGEST])
    visitor = visitor_of(request)
    releases = None
    if visitor is not None and visitor.role.includes(Role.AUDITOR):
        releases = stored.view(releases_page, view.name, None, SOME_RELEASES, 0)
    return show(request, template, view=view, releases=releases)


def _region(stored: Stored, name: str) -> RegionPage:
    view = stored.view(region_page, name)
    if view is None:
        raise VisitError(404, "no-region")
    return view


@router.get(f"{API}/regions", responses=ANSWERS, tags=["regions"])
def read_regions(
    stored: Source,
    sort: Sort = "name",
    descending: bool = False,
    limit: Limit = 50,
    offset: Offset = 0,
) -> RegionsPage:
    """Return regions with the budget of their latest window, and how their agents fare.

    Those that are enrolled and have not answered any run yet are among them.
    """
    return regions_page(stored.view(all_regions), sort, descending, limit, offset)


@router.get(f"{API}/regions.csv", responses=ANSWERS, tags=["regions"], response_class=Response)
def download_regions(stored: Source) -> Response:
    """Return all regions as CSV."""
    every = stored.view(all_regions)
    columns = [*_REGION, "code_is", *_BUDGET, *_AGENT]
    return csv_of("regions", columns, (_cells(line) for line in every.regions))


def _cells(line: RegionLine) -> list[Any]:
    region = asdict(line.region) if line.region else {"name": line.name}
    budget = asdict(line.budget) if line.budget else {}
    agent = asdict(line.agent) if line.agent else {}
    return [
        *(region.get(name) for name in _REGION),
        line.code,
        *(budget.get(name) for name in _BUDGET),
        *(agent.get(name) for name in _AGENT.values()),
    ]


@router.get(f"{API}/regions/agents", responses=ANSWERS, tags=["regions"])
def read_agents(stored: Source) -> list[HeartbeatRecord]:
    """Return how regions' agents fare, as the server last looked; none where it does not look."""
    return stored.view(agents_now, None)


@router.get(f"{API}/regions/detail", responses=ANSWERS, tags=["regions"])
def read_region(stored: Source, name: RegionName) -> RegionPage:
    """Return one region with its budgets, refusals and what audits found."""
    return _region(stored, name)
