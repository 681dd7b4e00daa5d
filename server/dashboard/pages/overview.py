"""The first page: what is under way, the latest map, how much budget is left, what is wrong."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.api import ANSWERS, API
from server.dashboard.charts import Chart
from server.dashboard.language import Speech
from server.dashboard.navigation import Page
from server.dashboard.rendering import show, speech_of
from server.dashboard.stored import Stored, stored_of
from server.dashboard.views.overview import OverviewPage, overview_page

router = APIRouter()
PAGE = Page(key="overview", path="/overview", router=router)
Source = Annotated[Stored, Depends(stored_of)]
MOST_BARS = 12


@router.get("/overview", include_in_schema=False)
def show_overview(request: Request, stored: Source) -> Response:
    """Show the page."""
    return _show(request, stored, "overview.html")


@router.get("/overview/part", include_in_schema=False)
def show_overview_part(request: Request, stored: Source) -> Response:
    """Show all but its head, for a page that is open."""
    return _show(request, stored, "overview_part.html")


def _show(request: Request, stored: Stored, template: str) -> Response:
    view = stored.view(overview_page)
    chart = sizes_chart(view, speech_of(request))
    return show(request, template, view=view, chart=chart)


def sizes_chart(view: OverviewPage, speech: Speech) -> Chart | None:
    """Return the sizes of the largest clusters with their noise."""
    if view.map is None:
        return None
    largest = sorted(view.map.clusters, key=lambda line: line.noisy_size, reverse=True)
    return Chart(
        id="sizes",
        kind="intervals",
        title=speech.text("overview.sizes", n=min(MOST_BARS, len(largest)), of=len(largest)),
        columns=(
            speech.text("overview.cluster"),
            speech.text("overview.users"),
            speech.text("overview.noise"),
        ),
        rows=tuple((line.label, line.noisy_size, line.size_noise) for line in largest[:MOST_BARS]),
        x_label=speech.text("overview.users"),
    )


@router.get(f"{API}/overview", responses=ANSWERS, tags=["overview"])
def read_overview(stored: Source) -> OverviewPage:
    """Return what the first page shows."""
    return stored.view(overview_page)
