"""Privacy: budgets, releases, refusals, and audits with their signed reports."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from privacy.audit.claims import together
from server.dashboard.api import ANSWERS, API, Asked, Limit, Name, Offset, csv_response
from server.dashboard.csv_stream import csv_stream
from server.dashboard.errors import VisitError
from server.dashboard.listing import Listing, asked_listing
from server.dashboard.navigation import Page
from server.dashboard.rendering import show
from server.dashboard.roles import Role
from server.dashboard.stored import Stored, stored_of
from server.dashboard.views.privacy import (
    MOST_LISTED,
    AuditPage,
    AuditsPage,
    BudgetsPage,
    RefusalsPage,
    ReleasesPage,
    audit_page,
    audits_page,
    budgets_page,
    findings,
    refusals_page,
    releases_page,
)
from server.dashboard.visitors import RoleNeeded, visitor_of
from server.run_store import reading_regions
from server.run_store.opening import Store
from server.run_store.reading_answers import all_releases
from server.run_store.reading_budgets import ORDERS
from server.run_store.region_records import AuditedLine, BudgetState, RefusalLine, ReleaseLine

router = APIRouter()
PAGE = Page(key="privacy", path="/privacy", router=router)
Source = Annotated[Stored, Depends(stored_of)]
Order = Annotated[
    Literal["share", "region", "window", "spent", "left", "lifetime_spent", "releases"], Query()
]
SIZE = 50
MOST_ROWS = 100_000
"""In a CSV file; of refusals and budgets, which are read at once, fewer."""
MOST_AT_ONCE = 20_000
FOR_AUDITORS = [Depends(RoleNeeded(Role.AUDITOR))]
_FILTERS = ("region", "run")


@router.get("/privacy", include_in_schema=False)
def show_budgets(request: Request, stored: Source) -> Response:
    """Show budgets, the fullest first."""
    return _budgets(request, stored, "privacy.html")


@router.get("/privacy/part", include_in_schema=False)
def show_budgets_part(request: Request, stored: Source) -> Response:
    """Show budgets alone, for a page that is open."""
    return _budgets(request, stored, "privacy_part.html")


def _budgets(request: Request, stored: Stored, template: str) -> Response:
    listing = asked_listing(request, ORDERS, descending=True, size=SIZE, filters=("region",))
    region = dict(listing.filters).get("region")
    view = stored.view(budgets_page, region, listing.sort, listing.descending, SIZE, listing.offset)
    return show(request, template, view=view, listing=listing)


@router.get("/privacy/releases", include_in_schema=False, dependencies=FOR_AUDITORS)
def show_releases(request: Request, stored: Source) -> Response:
    """Show received answers, the latest first."""
    listing = _latest_first(request)
    asked = dict(listing.filters)
    view = stored.view(releases_page, asked.get("region"), asked.get("run"), SIZE, listing.offset)
    return show(request, "releases.html", view=view, listing=listing, most=MOST_LISTED)


@router.get("/privacy/refusals", include_in_schema=False)
def show_refusals(request: Request, stored: Source) -> Response:
    """Show what regions refused, the latest first."""
    listing = _latest_first(request)
    asked = dict(listing.filters)
    view = stored.view(refusals_page, asked.get("region"), asked.get("run"), SIZE, listing.offset)
    return show(request, "refusals.html", view=view, listing=listing, most=MOST_LISTED)


def _latest_first(request: Request) -> Listing:
    return asked_listing(
        request, ("received",), descending=True, size=SIZE, filters=_FILTERS, most=MOST_LISTED
    )


@router.get("/privacy/audits", include_in_schema=False)
def show_audits(request: Request, stored: Source) -> Response:
    """Show the list of audits."""
    return _audits(request, stored, "audits.html")


@router.get("/privacy/audits/part", include_in_schema=False)
def show_audits_part(request: Request, stored: Source) -> Response:
    """Show the list alone, for a page that is open."""
    return _audits(request, stored, "audits_part.html")


def _audits(request: Request, stored: Stored, template: str) -> Response:
    listing = asked_listing(request, ("made",), descending=True, size=SIZE)
    view = stored.view(audits_page, SIZE, listing.offset)
    return show(request, template, view=view, listing=listing)


@router.get("/privacy/audits/{audit_id}", include_in_schema=False)
def show_audit(request: Request, stored: Source, audit_id: str) -> Response:
    """Show one audit; to auditors with its sentences."""
    listing = asked_listing(request, ("verdict",), size=SIZE)
    view = _audit(stored, audit_id, SIZE, listing.offset)
    visitor = visitor_of(request)
    reads = visitor is not None and visitor.role.includes(Role.AUDITOR)
    told = stored.view(findings, audit_id, SIZE, listing.offset) if reads else []
    return show(
        request,
        "audit.html",
        view=view,
        listing=listing,
        reads=reads,
        faults=together((line.region, sentence) for line in told for sentence in line.faults),
        incidents=together((line.region, sentence) for line in told for sentence in line.incidents),
    )


def _audit(stored: Stored, audit_id: str, limit: int, offset: int) -> AuditPage:
    view = stored.view(audit_page, audit_id, limit, offset)
    if view is None:
        raise VisitError(404, "no-audit")
    return view


@router.get(f"{API}/privacy", responses=ANSWERS, tags=["privacy"])
def read_budgets(
    stored: Source,
    region: Asked = None,
    sort: Order = "share",
    descending: bool = True,
    limit: Limit = 50,
    offset: Offset = 0,
) -> BudgetsPage:
    """Return what ledgers have spent in their windows, the fullest first."""
    return stored.view(budgets_page, region, sort, descending, limit, offset)


@router.get(f"{API}/budgets.csv", responses=ANSWERS, tags=["privacy"], response_class=Response)
def download_budgets(stored: Source, region: Asked = None) -> Response:
    """Return budgets as CSV, the fullest first: all of them, up to 20,000."""
    view = stored.fresh(budgets_page, region, "share", True, MOST_AT_ONCE, 0)
    return csv_response("budgets", BudgetState, view.budgets)


@router.get(f"{API}/releases", responses=ANSWERS, tags=["privacy"], dependencies=FOR_AUDITORS)
def read_releases(
    stored: Source,
    region: Asked = None,
    run: Asked = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> ReleasesPage:
    """Return received answers, the latest first: who, when, at which noise. For auditors."""
    return stored.view(releases_page, region, run, limit, offset)


@router.get(
    f"{API}/releases.csv",
    responses=ANSWERS,
    tags=["privacy"],
    response_class=Response,
    dependencies=FOR_AUDITORS,
)
def download_releases(stored: Source, region: Asked = None, run: Asked = None) -> Response:
    """Return received answers as CSV, the latest 100,000. For auditors."""
    return csv_stream("releases", ReleaseLine, stored.fresh(_every_release, region, run))


def _every_release(
    store: Store, region: str | None, run: str | None
) -> Iterator[list[ReleaseLine]]:
    parts = all_releases(store, region=region, run_id=run, most=MOST_ROWS)
    return chain([next(parts, [])], parts)


@router.get(f"{API}/refusals", responses=ANSWERS, tags=["privacy"])
def read_refusals(
    stored: Source,
    region: Asked = None,
    run: Asked = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> RefusalsPage:
    """Return what regions refused, the latest first, in their words."""
    return stored.view(refusals_page, region, run, limit, offset)


@router.get(f"{API}/refusals.csv", responses=ANSWERS, tags=["privacy"], response_class=Response)
def download_refusals(stored: Source, region: Asked = None, run: Asked = None) -> Response:
    """Return refusals as CSV, the latest 20,000."""
    view = stored.fresh(refusals_page, region, run, MOST_AT_ONCE, 0)
    return csv_response("refusals", RefusalLine, view.refusals)


@router.get(f"{API}/audits", responses=ANSWERS, tags=["privacy"])
def read_audits(stored: Source, limit: Limit = 50, offset: Offset = 0) -> AuditsPage:
    """Return audits, the latest first."""
    return stored.view(audits_page, limit, offset)


@router.get(f"{API}/audits/{{audit_id}}", responses=ANSWERS, tags=["privacy"])
def read_audit(stored: Source, audit_id: Name, limit: Limit = 50, offset: Offset = 0) -> AuditPage:
    """Return one audit with its verdicts on ledgers; what does not hold comes first."""
    return _audit(stored, audit_id, limit, offset)


@router.get(
    f"{API}/audits/{{audit_id}}/findings",
    responses=ANSWERS,
    tags=["privacy"],
    dependencies=FOR_AUDITORS,
)
def read_findings(
    stored: Source, audit_id: Name, limit: Limit = 50, offset: Offset = 0
) -> list[AuditedLine]:
    """Return what an audit found of ledgers, in its sentences. For auditors."""
    _audit(stored, audit_id, 1, 0)
    return stored.view(findings, audit_id, limit, offset)


@router.get(
    f"{API}/audits/{{audit_id}}/document",
    responses=ANSWERS,
    tags=["privacy"],
    response_class=Response,
    dependencies=FOR_AUDITORS,
)
def download_document(stored: Source, audit_id: Name) -> Response:
    """Return an audit's document as it is kept, to the byte. For auditors.

    Where ``has_signature`` says so, it is the officer's ``audit.json``, for
    ``fedinterest audit --check``.
    """
    text = stored.fresh(reading_regions.audit_document, audit_id)
    if text is None:
        raise VisitError(404, "no-audit")
    headers = {"content-disposition": 'attachment; filename="audit.json"'}
    return Response(text, media_type="application/json", headers=headers)
