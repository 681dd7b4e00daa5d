"""Runs: the list, and one run as it happens."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.dashboard.api import ANSWERS, API, Asked, CsvResponse, Limit, Name, Offset, csv_response
from server.dashboard.errors import VisitError
from server.dashboard.listing import asked_listing
from server.dashboard.navigation import Page
from server.dashboard.rendering import show
from server.dashboard.roles import Role
from server.dashboard.stored import Stored, stored_of
from server.dashboard.views.runs import STATUSES, RunPage, RunsPage, run_page, runs_page
from server.dashboard.visitors import RoleNeeded
from server.run_store import reading, reading_answers
from server.run_store.opening import Store
from server.run_store.records import RoundLine, RunRecord
from server.run_store.region_records import ReleaseLine

router = APIRouter()
PAGE = Page(key="runs", path="/runs", router=router)
Source = Annotated[Stored, Depends(stored_of)]
Status = Annotated[Literal["running", "completed", "failed", "interrupted"] | None, Query()]
SIZE = 25


@router.get("/runs", include_in_schema=False)
def show_runs(request: Request, stored: Source) -> Response:
    """Show the list of runs."""
    return _list(request, stored, "runs.html")


@router.get("/runs/part", include_in_schema=False)
def show_runs_part(request: Request, stored: Source) -> Response:
    """Show the list alone, for a page that is open."""
    return _list(request, stored, "runs_part.html")


def _list(request: Request, stored: Stored, template: str) -> Response:
    asked = request.query_params
    name = asked.get("name") or None
    status = asked.get("status") if asked.get("status") in STATUSES else None
    listing = asked_listing(
        request, ("started",), descending=True, size=SIZE, filters=("name", "status")
    )
    view = stored.view(runs_page, name, status, SIZE, listing.offset)
    return show(request, template, view=view, listing=listing, statuses=STATUSES)


@router.get("/runs/{run_id}", include_in_schema=False)
def show_run(request: Request, stored: Source, run_id: str) -> Response:
    """Show one run."""
    return show(request, "run.html", view=_run(stored, run_id))


@router.get("/runs/{run_id}/part", include_in_schema=False)
def show_run_part(request: Request, stored: Source, run_id: str) -> Response:
    """Show how far a run is, for a page that is open."""
    return show(request, "run_part.html", view=_run(stored, run_id))


def _releases(store: Store, run_id: str, limit: int, offset: int) -> list[ReleaseLine]:
    return reading_answers.releases(store, run_id=run_id, limit=limit, offset=offset)


def _run(stored: Stored, run_id: str) -> RunPage:
    view = stored.view(run_page, run_id)
    if view is None:
        raise VisitError(404, "no-run")
    return view


@router.get(f"{API}/runs", responses=ANSWERS, tags=["runs"])
def read_runs(
    stored: Source,
    name: Asked = None,
    status: Status = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> RunsPage:
    """Return runs, the latest first."""
    return stored.view(runs_page, name, status, limit, offset)


@router.get(f"{API}/runs.csv", responses=ANSWERS, tags=["runs"], response_class=CsvResponse)
def download_runs(stored: Source, name: Asked = None, status: Status = None) -> Response:
    """Return runs as CSV: all of them, up to 10,000."""
    view = stored.view(runs_page, name, status, 10_000, 0)
    return csv_response("runs", RunRecord, view.runs)


@router.get(f"{API}/runs/{{run_id}}", responses=ANSWERS, tags=["runs"])
def read_run(stored: Source, run_id: Name) -> RunPage:
    """Return one run with its rounds, refusals and figures."""
    return _run(stored, run_id)


@router.get(
    f"{API}/runs/{{run_id}}/rounds.csv",
    responses=ANSWERS,
    tags=["runs"],
    response_class=CsvResponse,
)
def download_rounds(stored: Source, run_id: Name) -> Response:
    """Return the rounds of a run as CSV."""
    return csv_response("rounds", RoundLine, _run(stored, run_id).rounds)


@router.get(
    f"{API}/runs/{{run_id}}/releases",
    responses=ANSWERS,
    tags=["runs"],
    dependencies=[Depends(RoleNeeded(Role.AUDITOR))],
)
def read_releases(
    stored: Source, run_id: Name, limit: Limit = 200, offset: Offset = 0
) -> list[ReleaseLine]:
    """Return what was released in a run, the latest first: who, when, at which noise.

    For auditors.
    """
    _run(stored, run_id)
    return stored.view(_releases, run_id, limit, offset)


@router.get(
    f"{API}/runs/{{run_id}}/report",
    responses=ANSWERS,
    tags=["runs"],
    response_class=JSONResponse,
)
def download_report(stored: Source, run_id: Name) -> Response:
    """Return the ``report.json`` of a finished run, to the byte as it was written."""
    text = stored.view(reading.report_text, run_id)
    if text is None:
        raise VisitError(404, "no-report")
    headers = {"content-disposition": 'attachment; filename="report.json"'}
    return Response(text, media_type="application/json", headers=headers)
