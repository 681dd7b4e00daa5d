"""One run's map: its clusters with their noise, the groups they are in, how good they are.

map, groups, figures, run  ->  ClustersPage
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from server.dashboard.views.runs import as_it_is
from server.run_store import reading
from server.run_store.opening import Store
from server.run_store.records import ClusterLine, FigureLine, MapRecord, RunRecord
from strategies.rising import LEAST_SIGMAS

MOST_CHOICES = 50
"""Runs that can be chosen from."""
KEY_FIGURES = (
    "k",
    "noisy_users",
    "silhouette",
    "intra_cluster_distance",
    "inter_cluster_distance",
    "smallest_cluster",
    "normalized_cost",
    "trivial_cost",
    "adjusted_rand_index",
)
"""Of the report's part ``clustering``, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow:
    """One cluster.

    Attributes
    ----------
    number : int
        Its id in ``report.json``.
    label : str
    group : str, optional
        Label of its group; None where clusters are not grouped.
    noisy_size, size_noise : float
        Users; standard deviation of the noise, None where it is not known.
    rises : bool, optional
        Whether the size is at least :data:`LEAST_SIGMAS` standard deviations of its noise; None
        where the noise is not known.
    terms, items : list of str
        What sets its public items apart, in words; items that belong to it most.
    x, y : float
        Its centroid on the first two principal axes of this map's centroids.
    """

    number: int
    label: str
    group: str | None
    noisy_size: float
    size_noise: float | None
    rises: bool | None
    terms: list[str]
    items: list[str]
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A coarse interest: clusters that lie close to each other.

    Attributes
    ----------
    size_noise : float, optional
        Standard deviation of the noise on the sum of its clusters' sizes: they have noise of
        their own each.
    """

    number: int
    label: str
    terms: list[str]
    n_clusters: int
    noisy_size: float
    size_noise: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedRun:
    """A run and the map that it made.

    Attributes
    ----------
    run : RunRecord
        With the status as it is now.
    version : int
        Counts the maps of runs of this name.
    size_noise : float, optional
        Standard deviation of the noise on each size.
    warning : str, optional
        What has to be known before the clusters are used.
    n_in_noise : int
        Clusters that do not rise above the noise.
    groups : list of GroupRow
        Empty where clusters are not grouped.
    clusters : list of ClusterRow
        The largest first.
    """

    run: RunRecord
    version: int
    k: int
    size_noise: float | None
    warning: str | None
    n_in_noise: int
    groups: list[GroupRow]
    clusters: list[ClusterRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoice:
    """A run with a map, to choose."""

    id: str
    name: str
    started: datetime
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClustersPage:
    """One run's map.

    Attributes
    ----------
    choices : list of RunChoice
        The latest :data:`MOST_CHOICES` runs with a map, and the one that is shown.
    shown : MappedRun, optional
        None where no run has a map.
    figures : list of FigureLine
        Of :data:`KEY_FIGURES` those that are known.
    before : str, optional
        Id of the run whose map came before: of the same name if there is one.
    """

    choices: list[RunChoice]
    shown: MappedRun | None
    figures: list[FigureLine]
    before: str | None


def clusters_page(store: Store, run_id: str | None) -> ClustersPage | None:
    """Return the map of a run, or of the latest that has one; None where ``run_id`` has none."""
    latest = reading.runs(store, with_map=True, limit=MOST_CHOICES)
    if run_id is None and not latest:
        return ClustersPage(choices=[], shown=None, figures=[], before=None)
    shown = mapped_run(store, run_id if run_id is not None else latest[0].id)
    if shown is None:
        return None
    before = map_before(latest, shown.run)
    return ClustersPage(
        choices=choices(latest, shown.run),
        shown=shown,
        figures=_key_figures(reading.figures(store, shown.run.id)),
        before=before.id if before else None,
    )


def latest_mapped(store: Store) -> str | None:
    """Return the id of the latest run with a map: the one that is shown where none is chosen."""
    latest = reading.runs(store, with_map=True, limit=1)
    return latest[0].id if latest else None


def mapped_run(store: Store, run_id: str) -> MappedRun | None:
    """Return a run with its map, or None."""
    detail, found = reading.run(store, run_id), reading.cluster_map(store, run_id)
    if detail is None or found is None:
        return None
    groups = _groups(found)
    labels = {group.number: group.label for group in groups}
    rows = [_row(line, labels) for line in found.clusters]
    return MappedRun(
        run=as_it_is(detail.run),
        version=found.version,
        k=found.k,
        size_noise=found.size_noise,
        warning=found.warning,
        n_in_noise=sum(row.rises is False for row in rows),
        groups=groups,
        clusters=sorted(rows, key=lambda row: (-row.noisy_size, row.number)),
    )


def choices(latest: Sequence[RunRecord], *shown: RunRecord) -> list[RunChoice]:
    """Return the runs to choose from, those that are shown among them, the latest first."""
    runs = {run.id: run for run in (*latest, *shown)}
    ordered = sorted(runs.values(), key=lambda run: run.started, reverse=True)
    return [
        RunChoice(id=run.id, name=run.name, started=run.started, simulated=run.simulated)
        for run in ordered
    ]


def map_before(latest: Sequence[RunRecord], run: RunRecord) -> RunRecord | None:
    """Return the run whose map came before that of ``run``: of its name, else of any."""
    earlier = [other for other in latest if other.started < run.started]
    alike = [other for other in earlier if other.name == run.name]
    return next(iter(alike or earlier), None)


def _row(line: ClusterLine, groups: dict[int, str]) -> ClusterRow:
    noise = line.size_noise
    return ClusterRow(
        number=line.number,
        label=line.label,
        group=groups.get(line.parent) if line.parent is not None else None,
        noisy_size=line.noisy_size,
        size_noise=noise,
        rises=None if noise is None else line.noisy_size >= LEAST_SIGMAS * noise,
        terms=line.terms,
        items=line.items,
        x=line.x,
        y=line.y,
    )


def _groups(found: MapRecord) -> list[GroupRow]:
    parts = Counter(line.parent for line in found.clusters)
    if len(found.groups) >= len(found.clusters):
        return []  # each cluster for itself
    rows = [
        GroupRow(
            number=group["id"],
            label=group["label"],
            terms=group["terms"],
            n_clusters=parts[group["id"]],
            noisy_size=group["noisy_size"],
            size_noise=(
                None if found.size_noise is None else found.size_noise * sqrt(parts[group["id"]])
            ),
        )
        for group in found.groups
    ]
    return sorted(rows, key=lambda row: (-row.noisy_size, row.number))


def _key_figures(lines: Sequence[FigureLine]) -> list[FigureLine]:
    by_name = {line.name: line for line in lines}
    found = [by_name.get(f"clustering.{name}") for name in KEY_FIGURES]
    return [line for line in found if line is not None]
