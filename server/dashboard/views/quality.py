"""How good a run was, figure by figure, and one figure over many runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.dashboard.views.figure_names import (
    CLUSTERING,
    FEEDBACK,
    MEASURES,
    OTHER,
    PRIVATE,
    RECOMMENDATION,
    REPEAT,
    place_of,
)
from server.dashboard.views.runs import as_it_is
from server.run_store import reading
from server.run_store.opening import Store
from server.run_store.records import FigureLine, FigurePoint, RunRecord

MOST_CHOICES = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The figures of one way to do it.

    Attributes
    ----------
    who : str
        Name of the baseline, or of the experiment's arm; empty: the run's own lists.
    figures : list of FigureLine
        ``noise`` is a standard deviation; of an oracle's figures a standard error.
    """

    who: str
    figures: list[FigureLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresOf:
    """All figures of a run; of none, where no run has any."""

    run: RunRecord | None
    figures: list[FigureLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPage:
    """The figures of one run, by what they are about.

    Attributes
    ----------
    run : RunRecord, optional
        The one that was asked for, else the latest that has figures; None: no run has any.
    choices : list of RunRecord
        The latest runs that have figures, at most :data:`MOST_CHOICES`.
    clustering : list of FigureLine
        Released, but for those that are marked ``oracle``.
    recommendation : list of Judged
        The run's own lists of new items first, then baselines. An oracle's: judged against
        what people did afterwards, which no server sees.
    difference : FigureLine, optional
        Hit rate less that of popularity, paired by user.
    repeat : list of Judged
        The same of items that people had before.
    private_evaluation : list of FigureLine
        Counted at the regions and released with noise.
    feedback : list of Judged
        By arm of the experiment; released with noise.
    others : list of FigureLine
        Whose names this version does not know.
    """

    run: RunRecord | None
    choices: list[RunRecord]
    clustering: list[FigureLine]
    recommendation: list[Judged]
    difference: FigureLine | None
    repeat: list[Judged]
    private_evaluation: list[FigureLine]
    feedback: list[Judged]
    others: list[FigureLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityHistory:
    """One figure over many runs.

    Attributes
    ----------
    figure : str
        Its name.
    name : str, optional
        Only runs of this name.
    points : list of FigurePoint
        The earliest first; of the latest runs that have it, as many as were asked for.
    """

    figure: str
    name: str | None
    points: list[FigurePoint]


def quality_page(store: Store, run_id: str | None) -> QualityPage | None:
    """Return the figures of one run, or of the latest that has some; None: no such run."""
    choices = [as_it_is(run) for run in reading.runs(store, with_figures=True, limit=MOST_CHOICES)]
    run = choices[0] if choices else None
    if run_id is not None:
        found = reading.run(store, run_id)
        if found is None:
            return None
        run = as_it_is(found.run)
    lines = reading.figures(store, run.id) if run else []
    own = _of(lines, RECOMMENDATION)
    apart = "recommendation.difference_to_popularity"
    return QualityPage(
        run=run,
        choices=choices,
        clustering=_of(lines, CLUSTERING),
        recommendation=_judged(line for line in own if line.name != apart),
        difference=next((line for line in own if line.name == apart), None),
        repeat=_judged(_of(lines, REPEAT)),
        private_evaluation=_of(lines, PRIVATE),
        feedback=_judged(_of(lines, FEEDBACK)),
        others=_of(lines, OTHER),
    )


def quality_history(store: Store, figure: str, name: str | None, limit: int) -> QualityHistory:
    """Return one figure over the runs that have it."""
    points = reading.figure_history(store, figure, run_name=name, limit=limit)
    return QualityHistory(figure=figure, name=name, points=points)


def figures_of(store: Store, run_id: str | None) -> FiguresOf | None:
    """Return all figures of one run, or of the latest that has some; None: no such run."""
    if run_id is None:
        latest = reading.runs(store, with_figures=True, limit=1)
        run = latest[0] if latest else None
    elif found := reading.run(store, run_id):
        run = found.run
    else:
        return None
    return FiguresOf(run=run, figures=reading.figures(store, run.id) if run else [])


def _of(lines: Iterable[FigureLine], group: str) -> list[FigureLine]:
    """Return the figures of one group in the order of its measures, the rest by name."""
    found = [line for line in lines if place_of(line.name).group == group]
    order = MEASURES.get(group, ())
    return sorted(
        found,
        key=lambda line: order.index(place_of(line.name).measure) if order else 0,
    )


def _judged(lines: Iterable[FigureLine]) -> list[Judged]:
    by_who: dict[str, list[FigureLine]] = {}
    for line in lines:
        by_who.setdefault(place_of(line.name).who, []).append(line)
    return [Judged(who=who, figures=by_who[who]) for who in sorted(by_who)]
