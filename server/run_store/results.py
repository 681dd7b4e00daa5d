"""A finished run's results, as rows: its map, where clusters lie to each other, and its figures.

Report, released centroids  ->  Results  ->  ``map``, ``cluster``, ``figure``, ``report``
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, select

from server.report import Report
from server.run_store.columns import name_of
from server.run_store.figures import figures
from server.run_store.putting import Row, put
from server.run_store.schema import Cluster, Figure, Map, Run
from server.run_store.schema import Report as ReportRow

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a finished run found, as rows of the tables."""

    map: Row
    clusters: list[Row]
    figures: list[Row]
    report: Row


def results_of(report: Report, centroids: Array) -> Results:
    """Return the rows of a report.

    Parameters
    ----------
    report : Report
    centroids : shape (k, d)
        Released.
    """
    run, part = name_of(report.run.id), report.clustering
    return Results(
        map={
            "run_id": run,
            "k": part.k,
            "n_groups": len(part.groups),
            "size_noise": part.size_noise,
            "warning": part.warning,
            "groups": [group.model_dump() for group in part.groups],
        },
        clusters=[
            {
                "run_id": run,
                "number": cluster.id,
                "label": cluster.label,
                "terms": cluster.terms,
                "items": cluster.items,
                "noisy_size": cluster.noisy_size,
                "size_noise": part.size_noise,
                "parent": cluster.parent,
                "x": x,
                "y": y,
            }
            for cluster, (x, y) in zip(part.clusters, places(centroids).tolist(), strict=True)
        ],
        figures=figure_rows(report),
        report={"run_id": run, "text": report.to_json()},
    )


def figure_rows(report: Report) -> list[Row]:
    """Return one row for each figure of a report."""
    run = name_of(report.run.id)
    return [{"run_id": run, **asdict(figure)} for figure in figures(report)]


def places(centroids: Array) -> Array:
    """Return where centroids lie on their first two principal axes: shape (k, 2).

    Post-processing of what was released. An axis points to where its longest part is positive,
    so that the same map looks the same.
    """
    centred = centroids - centroids.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    longest = np.abs(axes).argmax(axis=1)
    axes = axes * np.where(axes[np.arange(len(axes)), longest] < 0, -1.0, 1.0)[:, None]
    found = np.zeros((len(centroids), 2))
    found[:, : len(axes)] = centred @ axes.T
    return found


def put_results(connection: Connection, results: Results, *, name: str) -> None:
    """Write a run's results in place of any there are.

    Parameters
    ----------
    connection : Connection
    results : Results
    name : str
        The run's; its maps are counted.
    """
    run = results.map["run_id"]
    put(connection, Map, [{**results.map, "version": _version(connection, run, name)}])
    connection.execute(delete(Cluster).where(Cluster.run_id == run))
    put(connection, Cluster, results.clusters)
    put_report(connection, results.report, results.figures)


def put_report(connection: Connection, report: Row, found: list[Row]) -> None:
    """Write a report and its figures in place of any there are."""
    connection.execute(delete(Figure).where(Figure.run_id == report["run_id"]))
    put(connection, Figure, found)
    put(connection, ReportRow, [report])


def _version(connection: Connection, run: str, name: str) -> int:
    """Return the map's own number, or the next one of runs of this name."""
    own = connection.execute(select(Map.version).where(Map.run_id == run)).scalar()
    if own is not None:
        return int(own)
    maps = select(func.max(Map.version)).join(Run, Run.id == Map.run_id).where(Run.name == name)
    return int(connection.execute(maps).scalar() or 0) + 1
