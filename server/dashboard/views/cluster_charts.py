"""Charts of maps: where clusters lie, how large they are, what changed between two runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from server.dashboard.charts import Chart
from server.dashboard.language import Speech
from server.dashboard.views.clusters import ClusterRow, MappedRun
from server.dashboard.views.comparison import Pair

Side = Literal["", "left", "right"]
MOST_BARS = 40
MOST_CHANGES = 20
TALL = 16
"""Bars from which on a chart needs more height."""


def places_chart(shown: MappedRun, speech: Speech, side: Side = "") -> Chart:
    """Return where clusters lie, their areas by noisy size; of two maps, that of one side."""
    labels = told_apart(shown.clusters)
    title = speech.text("clusters.places", noise=speech.number(shown.size_noise))
    return Chart(
        id=f"places-{side}" if side else "places",
        kind="scatter",
        title=f"{speech.text(f'compare.{side}')}: {title}" if side else title,
        columns=_columns(speech, "cluster", "x", "y", "x-noise", "y-noise", "users"),
        # How much of the noise in a centroid lies along these two axes, nobody has released.
        rows=tuple(
            (label, row.x, row.y, None, None, row.noisy_size)
            for label, row in zip(labels, shown.clusters, strict=True)
        ),
        x_label=speech.text("clusters.x"),
        y_label=speech.text("clusters.y"),
    )


def groups_chart(shown: MappedRun, speech: Speech) -> Chart:
    """Return groups and the clusters in them, as areas by noisy size."""
    labels = told_apart(shown.clusters)
    return Chart(
        id="groups",
        kind="treemap",
        title=speech.text("clusters.tree", noise=speech.number(shown.size_noise)),
        columns=_columns(speech, "cluster", "group", "users", "noise"),
        rows=tuple(
            (label, row.group or label, row.noisy_size, row.size_noise)
            for label, row in zip(labels, shown.clusters, strict=True)
        ),
    )


def sizes_chart(shown: MappedRun, speech: Speech) -> Chart:
    """Return the largest clusters with their noise."""
    n = min(MOST_BARS, len(shown.clusters))
    rows = [(row.noisy_size, row.size_noise) for row in shown.clusters[:n]]
    return Chart(
        id="sizes",
        kind="intervals",
        title=speech.text("clusters.sizes", n=n, of=len(shown.clusters)),
        columns=_columns(speech, "cluster", "users", "noise"),
        rows=tuple(
            (label, *row) for label, row in zip(told_apart(shown.clusters)[:n], rows, strict=True)
        ),
        x_label=speech.text("clusters.users"),
    )


def changes_chart(pairs: Sequence[Pair], speech: Speech) -> Chart:
    """Return the largest differences between two maps, with their noise."""
    most = sorted(pairs, key=lambda pair: -abs(pair.difference))[:MOST_CHANGES]
    return Chart(
        id="changes",
        kind="intervals",
        title=speech.text("compare.changes", n=len(most), of=len(pairs)),
        columns=_columns(speech, "cluster", "difference", "noise"),
        rows=tuple(
            (label, pair.difference, pair.difference_noise)
            for label, pair in zip(told_apart([pair.right for pair in most]), most, strict=True)
        ),
        x_label=speech.text("clusters.difference"),
    )


def told_apart(rows: Iterable[ClusterRow]) -> list[str]:
    """Return the labels of clusters; a number behind those that are called the same."""
    rows = list(rows)
    times = Counter(row.label for row in rows)
    return [row.label if times[row.label] == 1 else f"{row.label} ({row.number})" for row in rows]


def _columns(speech: Speech, *names: str) -> tuple[str, ...]:
    return tuple(speech.text(f"clusters.{name}") for name in names)
