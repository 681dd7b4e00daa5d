"""Quality: how good a run was, beside its baselines, and how a figure went over many runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from server.dashboard.api import ANSWERS, API, LONGEST, Asked, CsvResponse, Limit, csv_of
from server.dashboard.charts import Chart
from server.dashboard.errors import VisitError
from server.dashboard.language import Speech
from server.dashboard.navigation import Page
from server.dashboard.news import NEWS, mark, news, news_query
from server.dashboard.rendering import show, speech_of
from server.dashboard.stored import Stored, stored_of
from server.dashboard.views.figure_names import place_of
from server.dashboard.views.quality import (
    Judged,
    QualityHistory,
    QualityPage,
    figures_of,
    quality_history,
    quality_page,
)
from server.run_store.records import FigureLine

router = APIRouter()
PAGE = Page(key="quality", path="/quality", router=router)
Source = Annotated[Stored, Depends(stored_of)]
FigureName = Annotated[str, Query(min_length=1, max_length=LONGEST)]
USUAL = "clustering.silhouette"
"""The figure whose history is shown where none was asked for."""
MOST_POINTS, MOST_ROWS = 52, 10
"""Runs in the curve, such as a year's weekly ones, and in the table with their links."""
CSV_COLUMNS = ("run", "trust_model", "simulated", *FigureLine.__dataclass_fields__)
_A_DAY = 24 * 3600


@dataclass(frozen=True, slots=True)
class Row:
    """One measure, of all that were judged by it; None: not of this one."""

    measure: str
    cells: list[FigureLine | None]


@router.get("/quality", include_in_schema=False)
def show_quality(request: Request, stored: Source) -> Response:
    """Show the figures of one run."""
    speech = speech_of(request)
    view, names, history = _asked(request, stored)
    figure = history.figure
    return show(
        request,
        "quality.html",
        view=view,
        news=news_query(request, _mark(view, history)),
        tables={"recommendation": rows(view.recommendation), "repeat": rows(view.repeat)},
        feedback=rows(view.feedback),
        rates=rates_chart(view.recommendation, speech),
        is_empty=not names,
        figure_names=names if figure in names else [figure, *names],
        run_names=list(dict.fromkeys(run.name for run in view.choices)),
        history=history,
        latest=history.points[: -MOST_ROWS - 1 : -1],
        curve=history_chart(history, speech),
        place_of=place_of,
        named=lambda figure: named(speech, figure),
    )


@router.get(f"/quality{NEWS}", include_in_schema=False)
def show_news(request: Request, stored: Source) -> Response:
    """Tell a page that is open once one of its figures is not the latest any more."""
    view, _, history = _asked(request, stored)
    return news(request, _mark(view, history), "quality")


def _asked(request: Request, stored: Stored) -> tuple[QualityPage, list[str], QualityHistory]:
    """Return what an address asks for: a run's figures, their names, and one of them over runs."""
    asked = request.query_params
    view = _page(stored, asked.get("run") or None)
    names = [line.name for line in view_figures(view)]
    figure = asked.get("figure") or (USUAL if USUAL in names else next(iter(names), USUAL))
    name = asked.get("name", view.run.name if view.run else "") or None
    return view, names, stored.view(quality_history, figure, name, MOST_POINTS)


def _mark(view: QualityPage, history: QualityHistory) -> str:
    return mark(view.run.id if view.run else None, view_figures(view), history.points)


def _page(stored: Stored, run_id: str | None) -> QualityPage:
    view = stored.view(quality_page, run_id)
    if view is None:
        raise VisitError(404, "no-run")
    return view


def view_figures(view: QualityPage) -> list[FigureLine]:
    """Return all figures of a page in the order in which it shows them."""
    judged = [*view.recommendation, *view.repeat, *view.feedback]
    return [
        *view.clustering,
        *(line for one in judged for line in one.figures),
        *([view.difference] if view.difference else []),
        *view.private_evaluation,
        *view.others,
    ]


def named(speech: Speech, figure: str) -> str:
    """Return a figure's name for people; of one that nobody knows, its key."""
    place = place_of(figure)
    key = f"quality.figure.{place.group}.{place.measure}.name"
    if not speech.has(key):
        return figure
    name = f"{speech.text(f'quality.group.{place.group}')} · {speech.text(key)}"
    return f"{name} ({who(speech, place.who)})" if place.who else name


def who(speech: Speech, name: str) -> str:
    """Return what a baseline is called; arms and spaces by their own names."""
    key = f"quality.who.{name or 'run'}"
    return speech.text(key) if speech.has(key) else name


def rows(judged: Sequence[Judged]) -> list[Row]:
    """Return the figures of several, side by side: a row for each measure."""
    by_who = [{place_of(line.name).measure: line for line in one.figures} for one in judged]
    measures = dict.fromkeys(measure for figures in by_who for measure in figures)
    return [Row(measure, [figures.get(measure) for figures in by_who]) for measure in measures]


def rates_chart(judged: Sequence[Judged], speech: Speech) -> Chart | None:
    """Return the hit rates of a run's lists and of its baselines."""
    lines = [
        (who(speech, one.who), line.value, line.noise)
        for one in judged
        for line in one.figures
        if place_of(line.name).measure == "hit_rate"
    ]
    if not lines:
        return None
    return Chart(
        id="hit-rates",
        kind="intervals",
        title=speech.text("quality.rates"),
        columns=(
            speech.text("quality.lists"),
            speech.text("quality.figure.recommendation.hit_rate.name"),
            speech.text("quality.error"),
        ),
        rows=tuple(lines),
        x_label=speech.text("quality.figure.recommendation.hit_rate.name"),
    )


def history_chart(history: QualityHistory, speech: Speech) -> Chart | None:
    """Return a figure over time: simulated and real runs are not the same thing, so two curves."""
    if not history.points:
        return None
    begin = history.points[0].started
    series = {False: speech.text("quality.real"), True: speech.text("quality.simulated")}
    return Chart(
        id="history",
        kind="lines",
        title=speech.text(
            "quality.over-runs", figure=named(speech, history.figure), n=len(history.points)
        ),
        columns=(
            speech.text("quality.runs"),
            speech.text("quality.days", day=speech.day(begin)),
            named(speech, history.figure),
            speech.text("quality.noise"),
        ),
        rows=tuple(
            (
                series[point.simulated],
                round((point.started - begin).total_seconds() / _A_DAY, 3),
                point.value,
                point.noise,
            )
            for point in history.points
        ),
        x_label=speech.text("quality.days", day=speech.day(begin)),
    )


@router.get(f"{API}/quality", responses=ANSWERS, tags=["quality"])
def read_quality(stored: Source, run: Asked = None) -> QualityPage:
    """Return the figures of a run: of the latest that has some, if none is named."""
    return _page(stored, run)


@router.get(f"{API}/quality/history", responses=ANSWERS, tags=["quality"])
def read_history(
    stored: Source, figure: FigureName, name: Asked = None, limit: Limit = 200
) -> QualityHistory:
    """Return one figure over the latest runs that have it, of all names or of one."""
    return stored.view(quality_history, figure, name, limit)


@router.get(f"{API}/figures.csv", responses=ANSWERS, tags=["quality"], response_class=CsvResponse)
def download_figures(stored: Source, run: Asked = None) -> Response:
    """Return the figures of a run as CSV, each with its run: the latest's, if none is named."""
    found = stored.view(figures_of, run)
    if found is None:
        raise VisitError(404, "no-run")
    of = (found.run.id, found.run.trust_model, found.run.simulated) if found.run else ()
    names = tuple(FigureLine.__dataclass_fields__)
    rows = ([*of, *(getattr(line, name) for name in names)] for line in found.figures)
    return csv_of("figures", CSV_COLUMNS, rows)
