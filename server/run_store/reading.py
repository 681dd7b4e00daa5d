"""What pages read of runs: their rounds, maps and figures.

Store  ->  one query each, that stays fast with thousands of runs  ->  frozen values

``reading_answers``, ``reading_budgets`` and ``reading_regions`` have what is about regions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, not_, or_, select

from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.records import (
    SILENT_AFTER,
    ClusterLine,
    FigureLine,
    FigurePoint,
    MapRecord,
    RoundLine,
    RunDetail,
    RunRecord,
)
from server.run_store.schema import (
    Cluster,
    Figure,
    Map,
    Report,
    Round,
    Run,
)
from server.run_store.states import DONE, INTERRUPTED, RUNNING

_RUN_COLUMNS = tuple(
    name for name in RunRecord.__dataclass_fields__ if name in Run.__table__.columns
)


def runs(
    store: Store,
    *,
    name: str | None = None,
    status: str | None = None,
    with_map: bool = False,
    with_figures: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> list[RunRecord]:
    """Return runs, the latest first.

    Parameters
    ----------
    store : Store
    name, status : str, optional
        Only runs of this name; only those that have this status now.
    with_map, with_figures : bool
        Only runs that have a map; only those that have figures.
    limit, offset : int
        How many, and after how many.
    """
    chosen = _chosen(name, status)
    if with_map:
        chosen.append(Run.id.in_(select(Map.run_id)))
    if with_figures:
        chosen.append(select(Figure.run_id).where(Figure.run_id == Run.id).exists())
    page = select(Run.id).where(*chosen).order_by(Run.started.desc(), Run.id)
    page = page.limit(limit).offset(offset)
    return _runs(store, Run.id.in_(page.subquery().select()))


def count_runs(store: Store, *, name: str | None = None, status: str | None = None) -> int:
    """Return how many runs there are, of this name and with this status now if told."""
    with store.read() as connection:
        counted = select(func.count()).select_from(Run).where(*_chosen(name, status))
        return int(connection.execute(counted).scalar_one())


def run_names(store: Store) -> list[str]:
    """Return the names that runs have, the one of the latest run first."""
    with store.read() as connection:
        named = select(Run.name).group_by(Run.name).order_by(func.max(Run.started).desc())
        return list(connection.execute(named).scalars())


def _chosen(name: str | None, status: str | None) -> list[ColumnElement[bool]]:
    chosen = [Run.name == name_of(name)] if name is not None else []
    if status is not None:
        chosen.append(_has(status))
    return chosen


def _has(status: str) -> ColumnElement[bool]:
    """Tell whether a run has that status now, as :meth:`RunRecord.status_at` has it."""
    is_silent = Run.updated < datetime.now(UTC) - SILENT_AFTER
    if status == RUNNING:
        return and_(Run.status == RUNNING, not_(is_silent))
    if status == INTERRUPTED:
        return or_(Run.status == INTERRUPTED, and_(Run.status == RUNNING, is_silent))
    return Run.status == status


def run(store: Store, run_id: str) -> RunDetail | None:
    """Return one run with its configuration and plan, or None."""
    found = _runs(store, Run.id == run_id)
    if not found:
        return None
    with store.read() as connection:
        told = connection.execute(select(Run.config, Run.plan).where(Run.id == run_id)).one()
    return RunDetail(run=found[0], config=told.config, plan=told.plan)


def _runs(store: Store, chosen: ColumnElement[bool]) -> list[RunRecord]:
    counts = (
        select(
            Round.run_id,
            func.count().label("rounds"),
            func.sum(case((Round.state == DONE, 1), else_=0)).label("done"),
            func.sum(Round.answered).label("answered"),
            func.sum(Round.refused).label("refused"),
        )
        .where(Round.run_id.in_(select(Run.id).where(chosen)))
        .group_by(Round.run_id)
        .subquery()
    )
    query = (
        select(*(getattr(Run, column) for column in _RUN_COLUMNS), counts)
        .outerjoin(counts, counts.c.run_id == Run.id)
        .where(chosen)
        .order_by(Run.started.desc(), Run.id)
    )
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [
        RunRecord(
            **{column: row[column] for column in _RUN_COLUMNS},
            rounds_done=int(row["done"] or 0),
            rounds=int(row["rounds"] or 0),
            releases=int(row["answered"] or 0),
            refusals=int(row["refused"] or 0),
        )
        for row in rows
    ]


def rounds(store: Store, run_id: str) -> list[RoundLine]:
    """Return the rounds of a run in their order, the planned ones too."""
    query = _all_of(Round, RoundLine).where(Round.run_id == run_id).order_by(Round.number)
    with store.read() as connection:
        return [RoundLine(**row) for row in connection.execute(query).mappings()]


def cluster_map(store: Store, run_id: str) -> MapRecord | None:
    """Return the map of a finished run with its clusters, or None."""
    names = [name for name in MapRecord.__dataclass_fields__ if name != "clusters"]
    found = select(*(getattr(Map, name) for name in names)).where(Map.run_id == run_id)
    clusters = (
        _all_of(Cluster, ClusterLine).where(Cluster.run_id == run_id).order_by(Cluster.number)
    )
    with store.read() as connection:
        row = connection.execute(found).mappings().one_or_none()
        if row is None:
            return None
        lines = [ClusterLine(**line) for line in connection.execute(clusters).mappings()]
    return MapRecord(**row, clusters=lines)


def figures(store: Store, run_id: str) -> list[FigureLine]:
    """Return the figures of a run's report, by name."""
    query = _all_of(Figure, FigureLine).where(Figure.run_id == run_id).order_by(Figure.name)
    with store.read() as connection:
        return [FigureLine(**row) for row in connection.execute(query).mappings()]


def figure_history(
    store: Store, figure: str, *, run_name: str | None = None, limit: int = 200
) -> list[FigurePoint]:
    """Return one figure over the latest runs that have it, the earliest first."""
    query = (
        select(
            Figure.run_id,
            Run.name.label("run_name"),
            Run.started,
            Run.trust_model,
            Run.simulated,
            Figure.value,
            Figure.noise,
            Figure.kind,
        )
        .join(Run, Run.id == Figure.run_id)
        .where(Figure.name == figure)
        .order_by(Run.started.desc(), Run.id)
        .limit(limit)
    )
    if run_name is not None:
        query = query.where(Run.name == run_name)
    with store.read() as connection:
        return [FigurePoint(**row) for row in connection.execute(query).mappings()][::-1]


def report_text(store: Store, run_id: str) -> str | None:
    """Return the ``report.json`` of a finished run, or None."""
    with store.read() as connection:
        return connection.execute(select(Report.text).where(Report.run_id == run_id)).scalar()


def has_map(store: Store, run_id: str) -> bool:
    """Tell whether a run has a map."""
    return _exists(store, Map, run_id)


def has_report(store: Store, run_id: str) -> bool:
    """Tell whether a run has a report."""
    return _exists(store, Report, run_id)


def _exists(store: Store, model: Any, run_id: str) -> bool:
    with store.read() as connection:
        found = connection.execute(select(model.run_id).where(model.run_id == run_id)).first()
    return found is not None


def _all_of(model: Any, line: Any) -> Select[Any]:
    """Select the columns of a table that a ``line`` has."""
    return select(*(getattr(model, name) for name in line.__dataclass_fields__))
