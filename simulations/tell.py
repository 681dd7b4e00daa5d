"""What a terminal shows of a run: clusters, recommendations with reasons, receipts."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from client.feedback_store import ShownList
from client.recommender import Recommendation, Recommender
from client.reranking import ListRules
from client.stated_interests import StatedInterests
from server.report import ReceiptPart, Report

console = Console(highlight=False)

TERMS = 5
REPORT_PAGE = "report.html"

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PROGRESS = re.compile(
    r"(├──> |└──> |\[ROUND |Strategy execution|refused \(|ERROR|Error:|mu is |answers? (came|of) |"
    r"goes on|are looked for in|rose above|cannot be (written|locked|kept)|a new one begins)"
)


def is_progress(line: str) -> bool:
    """Tell whether a line of Flower's log is about the run, not about Flower itself."""
    return _PROGRESS.search(line) is not None


def show_progress(line: str) -> None:
    """Show a line of a run's log if it concerns the run; Flower's own are in its log."""
    plain = _ANSI.sub("", line).removeprefix("INFO :").strip()
    if is_progress(plain):
        console.print(f"  {plain}", markup=False)


@contextmanager
def only_progress() -> Iterator[None]:
    """Let Flower's log show a run's progress and nothing else, within the block."""
    log = logging.getLogger("flwr")
    before = log.propagate

    def of_the_run(record: logging.LogRecord) -> bool:
        return is_progress(record.getMessage())

    log.propagate = False  # Opacus gives the root logger a handler, which would print lines twice
    log.addFilter(of_the_run)
    try:
        yield
    finally:
        log.removeFilter(of_the_run)
        log.propagate = before


def summary(report: Report, folder: Path) -> None:
    """Show a run's clusters, its figures and where the report lies."""
    clusters(report)
    figures(report)
    console.print(f"Report: {folder / REPORT_PAGE}")


def clustered(report: Report, folder: Path) -> None:
    """Show what a clustering of given vectors found, released values only."""
    found, privacy = report.clustering, report.privacy
    promise = "no privacy" if privacy.epsilon is None else f"epsilon {privacy.epsilon:g}"
    console.print(
        f"{found.k} clusters of about {found.noisy_users:,.0f} ± {found.users_noise:,.0f} users "
        f"in {report.run.seconds:.1f} s: {promise}, delta {privacy.delta:g}, "
        f"trust model {report.run.trust_model}, {privacy.noise} noise"
    )
    if found.k_curve is not None and found.k_was_chosen:
        curve = found.k_curve
        sharp = f"people fall into {curve.peak}" if curve.is_sharp else "no number stands out"
        console.print(f"K = {curve.chosen} was chosen by the private summary: {sharp}")
    sizes = sorted((cluster.noisy_size for cluster in found.clusters), reverse=True)
    console.print(
        f"Sizes (noisy, ± {found.size_noise:,.0f}): {', '.join(f'{size:z,.0f}' for size in sizes)}"
    )
    if found.silhouette is not None and found.silhouette_noise is not None:
        console.print(
            f"Simplified silhouette {found.silhouette:z.3f} ± {found.silhouette_noise:.3f}"
        )
    if found.intra_cluster_distance is not None and found.intra_noise is not None:
        console.print(
            f"Users lie {found.intra_cluster_distance:.3g} ± {found.intra_noise:.2g} from their "
            f"centroid, centroids {found.inter_cluster_distance:.3g} from each other"
        )
    if found.warning:
        console.print(found.warning)
    console.print(f"Centroids: {folder / 'centroids.npz'}. Report: {folder / REPORT_PAGE}")


def clusters(report: Report) -> None:
    """Show the global interest clusters."""
    table = Table(title="Global interest clusters", title_justify="left")
    table.add_column("what sets it apart")
    table.add_column("users (noisy)", justify="right")
    table.add_column("in words", overflow="fold")
    for cluster in sorted(report.clustering.clusters, key=lambda one: -one.noisy_size):
        terms = ", ".join(cluster.terms[:TERMS])
        size = f"{cluster.noisy_size:.0f} ± {report.clustering.size_noise:.0f}"
        table.add_row(escape(cluster.label), size, escape(terms))
    console.print(table)


def figures(report: Report) -> None:
    """Show how good the run is, judged from outside."""
    clustering, new, repeat = report.clustering, report.recommendation, report.repeat
    privacy = report.privacy
    console.print(
        f"Privacy: epsilon {privacy.epsilon:g}, delta {privacy.delta:g}, one {privacy.unit}, "
        f"trust model {report.run.trust_model}, {privacy.noise} noise"
    )
    if clustering.normalized_cost is not None:
        console.print(
            f"K-means cost over non-private: {clustering.normalized_cost:.3f} "
            f"(one mean: {clustering.trivial_cost:.3f})"
        )
    if new is not None:
        popular = new.baselines["popularity"].hit_rate
        console.print(
            f"New for you, hit rate@{new.k}: {new.hit_rate:.3f} "
            f"+- {new.hit_rate_standard_error:.3f} (popularity, exact: {popular:.3f}; paired "
            f"difference {new.difference_to_popularity:+.3f} "
            f"+- {new.difference_standard_error:.3f})"
        )
    if repeat is not None:
        popular = repeat.baselines["popularity"].recall
        console.print(
            f"Your usuals, recall@{repeat.k}: {repeat.recall:.3f} "
            f"+- {repeat.recall_standard_error:.3f} (popularity: {popular:.3f})"
        )
    for difference in report.feedback.differences if report.feedback else []:
        console.print(f"Feedback: {difference.sentence}")


def receipts(entries: Sequence[ReceiptPart]) -> None:
    """Show what each region's own ledger says."""
    table = Table(title="Budget receipts, from the regions' own ledgers", title_justify="left")
    for column in ("region", "releases", "epsilon spent", "limit", "left", "refused"):
        table.add_column(column, justify="left" if column == "region" else "right")
    for one in entries:
        left = one.limit_epsilon - one.spent_epsilon
        table.add_row(
            one.region,
            str(one.releases),
            f"{one.spent_epsilon:.4f}",
            f"{one.limit_epsilon:g}",
            f"{left:.4f}",
            str(one.refused),
        )
    console.print(table)


def recommendations(
    recommender: Recommender,
    user: str,
    *,
    count: int,
    explain: bool,
    interests: StatedInterests | None = None,
    rules: ListRules | None = None,
    experiment: tuple[str, str] = ("", ""),
    keep: Callable[[list[ShownList]], None] | None = None,
) -> None:
    """Show one user's two lists; stated interests count beside what was met.

    Parameters
    ----------
    experiment : (str, str)
        The experiment and the arm that made the list of what is new; empty texts, where none did.
    keep : callable, optional
        Gets both lists before anybody sees them.
    """
    is_new = recommender.cluster_of(user) is None
    if is_new:
        instead = "what is popular" if interests is None else "what suits the stated interests"
        console.print(f"Nobody called {user!r} has events here; {instead} comes instead.")
    usuals = recommender.usuals(user, count)
    found = recommender.new_for(user, count, rules, interests)
    if keep is not None:
        keep(_shown(user, usuals, found, experiment))
    _list("Your usuals", usuals, explain=explain)
    _list("New for you", found, explain=explain)


def _shown(
    user: str,
    usuals: Sequence[Recommendation],
    found: Sequence[Recommendation],
    experiment: tuple[str, str],
) -> list[ShownList]:
    """Return what is shown: of the two lists, experiments are about what is new alone."""
    name, arm = experiment
    return [
        ShownList(user_id=user, items=[(one.item_id, one.kind) for one in usuals]),
        ShownList(
            user_id=user,
            items=[(one.item_id, one.kind) for one in found],
            experiment=name,
            arm=arm,
        ),
    ]


def _list(title: str, items: Sequence[Recommendation], *, explain: bool) -> None:
    table = Table(title=title, title_justify="left", show_header=False)
    for item in items:
        table.add_row(escape(item.item_id.lower()), *([escape(item.reason)] if explain else []))
    console.print(table if items else f"{title}: nothing yet")
