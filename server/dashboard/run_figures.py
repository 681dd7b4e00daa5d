"""Figures of the runs for Prometheus: from the store, of the same state as the pages.

Store  ->  RunFigures (kept until the store changes)  ->  families for ``/metrics``

Values that regions released are noisy: their help says so, and their noise is a metric of its own.
A store that is away breaks nothing: then there is only ``fedinterest_store_up 0``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from server.dashboard.stored import Stored
from server.dashboard.views.run_figures import RunFigures, run_figures
from server.run_store.records import FigureLine
from server.run_store.region_records import BudgetState
from server.run_store.schema import LIFETIME

log = logging.getLogger("fedinterest.dashboard")
Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float | None]]
CLUSTERING = {
    "k": ("fedinterest_clustering_clusters", "Clusters of the latest run that has figures."),
    "noisy_users": ("fedinterest_clustering_users", "Its users, counted with noise."),
    "silhouette": ("fedinterest_clustering_silhouette", "Its silhouette, released with noise."),
    "smallest_cluster": (
        "fedinterest_clustering_smallest_cluster_users",
        "Users in its smallest cluster, counted with noise.",
    ),
    "intra_cluster_distance": (
        "fedinterest_clustering_intra_cluster_distance",
        "Root mean squared distance of users from their centroid, released with noise.",
    ),
}
"""Of the report's figures, those that are exported, with what they are called and what they are."""


class RunCollector(Collector):
    """Reads the store whenever Prometheus asks."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    def collect(self) -> Iterator[Metric]:
        """Yield all families, or only that the store is away."""
        up = ("fedinterest_store_up", "Whether the run store answers.")
        try:
            found = self._stored.view(run_figures)
        except Exception as error:  # figures of the dashboard itself are shown all the same
            log.warning("The store has no figures for Prometheus: %s", type(error).__name__)
            yield GaugeMetricFamily(*up, value=0)
            return
        yield GaugeMetricFamily(*up, value=1)
        yield from _runs(found)
        yield from _clustering(found)
        yield from _budgets(found)


def _runs(found: RunFigures) -> Iterator[Metric]:
    yield _gauge(
        "fedinterest_runs",
        "Runs in the store, by status; silent for a minute is interrupted.",
        ("status",),
        (((status,), count) for status, count in found.by_status.items()),
    )
    of_run = ("run", "name")
    yield _gauge(
        "fedinterest_run_rounds_done",
        "Rounds done, of runs under way.",
        of_run,
        (((run.id, run.name), run.rounds_done) for run in found.under_way),
    )
    yield _gauge(
        "fedinterest_run_rounds_planned",
        "Rounds in all, of runs under way.",
        of_run,
        (((run.id, run.name), run.rounds) for run in found.under_way),
    )
    yield _gauge(
        "fedinterest_run_refusals",
        "Requests that regions refused, of runs under way.",
        of_run,
        (((run.id, run.name), run.refusals) for run in found.under_way),
    )
    if found.ended is not None:
        yield GaugeMetricFamily(
            "fedinterest_run_last_ended_seconds",
            "Seconds since a run ended last, however it ended.",
            value=max(0.0, (datetime.now(UTC) - found.ended).total_seconds()),
        )
    yield CounterMetricFamily(
        "fedinterest_releases",
        "Answers that were received from regions, over all runs.",
        value=found.releases,
    )
    yield GaugeMetricFamily(
        "fedinterest_regions", "Regions that have ever answered.", value=found.regions
    )
    yield GaugeMetricFamily("fedinterest_audits", "Audits in the store.", value=found.audits)
    yield GaugeMetricFamily(
        "fedinterest_audits_failed",
        "Audits in the store whose verdict is not PASS.",
        value=found.audits_failed,
    )


def _clustering(found: RunFigures) -> Iterator[Metric]:
    if found.latest is None:
        return
    labels = ("name", "trust_model", "simulated")
    whose = (found.latest.name, found.latest.trust_model, _spelt(found.latest.simulated))
    lines: dict[str, FigureLine] = {line.name: line for line in found.clustering}
    for figure, (name, told) in CLUSTERING.items():
        line = lines.get(f"clustering.{figure}")
        if line is None:
            continue
        yield _gauge(name, told, labels, [(whose, line.value)])
        if line.noise is not None:
            noise = f"Standard deviation of the noise in {name}."
            yield _gauge(f"{name}_noise", noise, labels, [(whose, line.noise)])


def _budgets(found: RunFigures) -> Iterator[Metric]:
    labels = ("region", "window", "delta", "simulated")
    whose = [(_span(one, one.window, one.delta), one) for one in found.budgets]
    yield _gauge(
        "fedinterest_epsilon_spent",
        "Epsilon, at the label's delta, that a region has spent in its latest window: a lower "
        "bound, counted from received answers, or what its ledger said if that is more.",
        labels,
        ((span, one.spent) for span, one in whose),
    )
    yield _gauge(
        "fedinterest_epsilon_limit",
        "Epsilon that a region's policy allows in that window; only where the server knows it.",
        labels,
        ((span, one.limit) for span, one in whose),
    )
    ever = [(_span(one, LIFETIME, one.lifetime_delta or one.delta), one) for one in found.budgets]
    yield _gauge(
        "fedinterest_epsilon_lifetime_spent",
        "The same over all windows of that ledger; a region stops at whichever limit comes first.",
        labels,
        ((span, one.lifetime_spent) for span, one in ever),
    )
    yield _gauge(
        "fedinterest_epsilon_lifetime_limit",
        "Epsilon that a region's policy allows in all windows; only where the server knows it.",
        labels,
        ((span, one.lifetime_limit) for span, one in ever),
    )
    yield GaugeMetricFamily(
        "fedinterest_epsilon_regions_left_out",
        "Regions whose budgets are not shown here: the fullest come first.",
        value=found.budgets_left_out,
    )


def _span(one: BudgetState, window: str, delta: float) -> Labels:
    return one.region, window, f"{delta:g}", _spelt(one.simulated)


def _spelt(flag: bool) -> str:
    return str(flag).lower()


def _gauge(name: str, told: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family
