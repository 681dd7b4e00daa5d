"""Clusters: one run's map, and two runs' maps compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends
from jinja2 import Environment
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.api import ANSWERS, API, Asked, CsvResponse, csv_of
from server.dashboard.errors import VisitError
from server.dashboard.language import Speech
from server.dashboard.listing import Listing, asked_listing
from server.dashboard.navigation import Page
from server.dashboard.news import NEWS, mark, news, news_query
from server.dashboard.rendering import show, speech_of
from server.dashboard.stored import Stored, stored_of
from server.dashboard.views.cluster_charts import (
    TALL,
    Side,
    changes_chart,
    groups_chart,
    places_chart,
    sizes_chart,
)
from server.dashboard.views.clusters import (
    ClusterRow,
    ClustersPage,
    MappedRun,
    clusters_page,
    latest_mapped,
    mapped_run,
)
from server.dashboard.views.comparison import ComparisonPage, Pair, comparison_page, sides_of
from server.dashboard.visitors import frame_of
from server.run_store.opening import Store

router = APIRouter()
PAGE = Page(key="clusters", path="/clusters", router=router)
Source = Annotated[Stored, Depends(stored_of)]
SIZE, PAIRS = 50, 25
MOST_OTHERS = 25
"""Clusters without a counterpart that a page shows; the API has all."""
Row = TypeVar("Row")
ORDERS: dict[str, Callable[[ClusterRow], Any]] = {
    "size": lambda row: row.noisy_size,
    "label": lambda row: row.label.casefold(),
    "group": lambda row: (row.group or "").casefold(),
}
PAIR_ORDERS: dict[str, Callable[[Pair], Any]] = {
    "right": lambda pair: pair.right.noisy_size,
    "left": lambda pair: pair.left.noisy_size,
    "label": lambda pair: pair.right.label.casefold(),
    "similarity": lambda pair: pair.similarity,
    "difference": lambda pair: pair.difference,
}
CSV_COLUMNS = ("run", "trust_model", "simulated", *ClusterRow.__dataclass_fields__)


@router.get("/clusters", include_in_schema=False)
def show_clusters(request: Request, stored: Source, run: Asked = None) -> Response:
    """Show one run's map."""
    view = _map(stored, run)
    listing = asked_listing(request, tuple(ORDERS), descending=True, size=SIZE, filters=("run",))
    shown = view.shown
    return show(
        request,
        "clusters.html",
        view=view,
        news="" if run else news_query(request, mark(shown.run.id if shown else None)),
        listing=listing,
        rows=_part(shown.clusters, ORDERS, listing) if shown else [],
        charts=_drawn(request, stored, "clusters_charts.html", shown) if shown else "",
    )


@router.get(f"/clusters{NEWS}", include_in_schema=False)
def show_news(request: Request, stored: Source) -> Response:
    """Tell a page of the latest map once there is a newer one."""
    return news(request, mark(stored.view(latest_mapped)), "clusters")


@router.get("/clusters/compare", include_in_schema=False)
def show_comparison(
    request: Request, stored: Source, left: Asked = None, right: Asked = None
) -> Response:
    """Show two runs' maps side by side."""
    view = _comparison(stored, left, right)
    listing = asked_listing(
        request, tuple(PAIR_ORDERS), descending=True, size=PAIRS, filters=("left", "right")
    )
    sides: list[tuple[Side, MappedRun | None]] = [("left", view.left), ("right", view.right)]
    shown = [side.run.id if side else None for _, side in sides]
    return show(
        request,
        "clusters_compare.html",
        view=view,
        news="" if left and right else news_query(request, mark(*shown)),
        listing=listing,
        rows=_part(view.pairs, PAIR_ORDERS, listing),
        sides=[
            (side, shown, _drawn(request, stored, "clusters_places.html", shown, side))
            for side, shown in sides
            if shown
        ],
        changes=changes_chart(view.pairs, speech_of(request)) if view.pairs else None,
        tall=TALL,
        most_others=MOST_OTHERS,
    )


@router.get(f"/clusters/compare{NEWS}", include_in_schema=False)
def show_news_of_comparison(
    request: Request, stored: Source, left: Asked = None, right: Asked = None
) -> Response:
    """Tell a comparison with the latest map once there is a newer one."""
    return news(request, mark(*stored.view(sides_of, left or None, right or None)), "compare")


def _drawn(
    request: Request, stored: Stored, template: str, shown: MappedRun, side: Side = ""
) -> Markup:
    """Return charts of a map with their tables: long, and the same for all of one language."""
    templates, language = frame_of(request).templates, speech_of(request).language
    return stored.view(_draw, templates, language, template, shown.run.id, side)


def _draw(
    store: Store, templates: Environment, language: str, template: str, run_id: str, side: Side
) -> Markup:
    shown, speech = mapped_run(store, run_id), Speech(language)
    if shown is None:  # taken out of the store meanwhile
        return Markup()
    part = templates.get_template(template).make_module(
        {
            "speech": speech,
            "text": speech.text,
            "shown": shown,
            "places": places_chart(shown, speech, side),
            "groups": groups_chart(shown, speech) if shown.groups else None,
            "sizes": sizes_chart(shown, speech),
            "tall": TALL,
        }
    )
    return escape(part)  # a template's own outcome: it is escaped inside


def _part(
    rows: Sequence[Row], orders: dict[str, Callable[[Row], Any]], listing: Listing
) -> list[Row]:
    """Return the rows of one page; rows that are alike stay in the order in which they came."""
    ordered = sorted(rows, key=orders[listing.sort], reverse=listing.descending)
    return ordered[listing.offset : listing.offset + listing.size]


def _map(stored: Stored, run: str | None) -> ClustersPage:
    view = stored.view(clusters_page, run or None)
    if view is None:
        raise VisitError(404, "no-map")
    return view


def _comparison(stored: Stored, left: str | None, right: str | None) -> ComparisonPage:
    view = stored.view(comparison_page, left or None, right or None)
    if view is None:
        raise VisitError(404, "no-map")
    return view


@router.get(f"{API}/clusters", responses=ANSWERS, tags=["clusters"])
def read_clusters(stored: Source, run: Asked = None) -> ClustersPage:
    """Return the map of a run, by default of the latest that has one, with all its clusters."""
    return _map(stored, run)


@router.get(f"{API}/clusters/compare", responses=ANSWERS, tags=["clusters"])
def read_comparison(stored: Source, left: Asked = None, right: Asked = None) -> ComparisonPage:
    """Return two maps and which clusters belong together; by default the latest two."""
    return _comparison(stored, left, right)


@router.get(f"{API}/clusters.csv", responses=ANSWERS, tags=["clusters"], response_class=CsvResponse)
def download_clusters(stored: Source, run: Asked = None) -> Response:
    """Return all clusters of a map as CSV, each with the run that it is of."""
    shown = _map(stored, run).shown
    if shown is None:
        return csv_of("clusters", CSV_COLUMNS, [])
    of = (shown.run.id, shown.run.trust_model, shown.run.simulated)
    names = tuple(ClusterRow.__dataclass_fields__)
    rows = ([*of, *(getattr(row, name) for name in names)] for row in shown.clusters)
    return csv_of("clusters", CSV_COLUMNS, rows)
