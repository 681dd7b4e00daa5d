"""What a run leaves behind: its report, centroids and map, and the heads of the ledgers.

strategy (released values)  ->  Report  ->  files, each whole or not at all
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from privacy.accountant import (
    ACCOUNTANT,
    Adjacency,
    GaussianEvent,
    Unit,
    pld_epsilon,
    privacy_loss,
    rdp_epsilon,
    zcdp_epsilon,
)
from privacy.query import NoiseKind
from privacy.server_record import RoundCount, write_server_record
from privacy.statement import statement
from server.feedback_report import feedback_part
from server.report import (
    OTHER_CALLS,
    ClusteringPart,
    ClusterPart,
    CostPart,
    EncoderPart,
    GroupPart,
    KCurvePart,
    PlannedRelease,
    PrivacyPart,
    PrivateEvaluationPart,
    RefusalPart,
    Report,
    RunPart,
    WeightsPart,
    not_protected,
)
from server.report_page import render
from server.taste_report import taste_part
from strategies.cautions import cautions
from strategies.clustering import NORM_BOUND, Clustering
from strategies.federated_kmeans import FederatedKMeans, RoundRecord
from strategies.interest_tree import InterestTree

REPORT = "report.json"
PAGE = "report.html"
CENTROIDS = "centroids.npz"
SUMMARY = "summary.npz"
CLUSTER_MAP = "cluster-map.npz"
HEADS = "ledgers/heads.json"

Array = NDArray[np.float64]
Writer = Callable[[Path], object]


class OutputError(Exception):
    """Results that cannot be written."""


def prepare_output(folder: Path) -> None:
    """Make sure, before anything is asked, that results can be written to ``folder``.

    Raises
    ------
    OutputError
        If they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"Results cannot be written to {folder} ({error.strerror}). Nothing was done. "
            "Choose another folder."
        ) from error


def write_results(
    folder: Path,
    strategy: FederatedKMeans,
    started: datetime,
    seconds: float,
    *,
    name: str,
    n_users: int | None,
    scale: float = 1.0,
    is_whole_account: bool = True,
) -> Report:
    """Write a finished run's files; the report comes last, so that it vouches for the others.

    Parameters
    ----------
    folder : Path
    strategy : FederatedKMeans
        After its last round.
    started, seconds : datetime, float
        When, and how long.
    name, n_users : str, int or None
        The run's name and its declared number of users.
    scale : float
        What the centroids, the summary and all distances are multiplied with; the cluster map
        stays in the unit in which it was pushed back.
    is_whole_account : bool
        Whether ledgers go on after the run, and limit what others may ask of the same people.
    """
    report = build_report(strategy, started, seconds, name=name, n_users=n_users, scale=scale)
    if not is_whole_account:
        report.privacy.lifetime_epsilon = None
        report.privacy.not_protected.insert(0, OTHER_CALLS)
    write_files(
        folder,
        {
            CLUSTER_MAP: strategy.known.cluster_map().save,
            CENTROIDS: lambda path: _save_centroids(path, strategy, scale),
            SUMMARY: strategy.known.summary().scaled(scale).save,
            **_pages(report),
        },
    )
    return report


def write_heads(folder: Path, strategy: FederatedKMeans) -> None:
    """Write what auditors need of the server: received heads and counts, also of a failed run."""
    rounds = [
        RoundCount(
            round_number=record.number,
            purpose=record.purpose,
            asked=record.asked,
            answered=record.answered,
            refused=len(record.refusals),
            unusable=record.malformed,
        )
        for record in strategy.history
    ]
    run = strategy.known.run
    write_files(
        folder,
        {HEADS: lambda path: write_server_record(path, strategy.heads, run=run, rounds=rounds)},
    )


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` and ``report.html``."""
    write_files(folder, _pages(report))


def read_report(folder: Path) -> Report:
    """Read ``report.json`` of a run.

    Raises
    ------
    OutputError
        If there is none.
    """
    try:
        text = (folder / REPORT).read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(f"There is no report in {folder} ({error.strerror}).") from error
    return Report.model_validate_json(text)


def report_schema() -> str:
    """Return the JSON Schema of ``report.json``."""
    return json.dumps(Report.model_json_schema(), indent=2) + "\n"


def build_report(
    strategy: FederatedKMeans,
    started: datetime,
    seconds: float,
    *,
    name: str,
    n_users: int | None,
    scale: float = 1.0,
) -> Report:
    """Put together what may be told about a run: public and released values only."""
    known = strategy.known
    planned = strategy.history[: len(strategy.phases)]
    return Report(
        run=RunPart(
            id=known.run,
            name=name,
            version=program_version(),
            seed=known.seed,
            started=started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            trust_model=strategy.trust_model.value,
            n_clients=strategy.n_clients,
            n_users=n_users,
            n_rounds=len(strategy.history),
            simulated=strategy.noise_kind is NoiseKind.SEEDED,
            resumed=strategy.resumed,
            late_answers=sum(record.late for record in strategy.history),
        ),
        encoder=EncoderPart(
            name=known.catalogue.encoder_name,
            dim=known.catalogue.vectors.shape[1],
            device=known.catalogue.device,
            fingerprint=known.catalogue.encoder,
        ),
        clustering=_clustering(strategy, n_users, scale),
        privacy=_privacy(strategy, planned),
        taste=taste_part(known),
        feedback=feedback_part(known.experiment) if known.experiment else None,
        private_evaluation=_evaluation(known),
        cost=_cost(strategy.history, strategy.n_clients),
    )


def _clustering(strategy: FederatedKMeans, n_users: int | None, scale: float) -> ClusteringPart:
    known = strategy.known
    tree = known.described()
    is_divided = known.k > 1
    said = cautions(known, delta=strategy.delta, n_declared=n_users)
    return ClusteringPart(
        k=known.k,
        k_was_chosen=known.k_was_chosen,
        k_curve=_curve(known, scale),
        space=known.space_name.value,
        space_quality={space.value: gain for space, gain in known.space_gains.items()} or None,
        space_quality_noise=known.space_gains_noise if known.space_gains else None,
        noisy_users=_rounded(known.users),
        users_noise=round(known.users_noise, 2),
        groups=_groups(tree, known.sizes),
        clusters=[
            ClusterPart(
                id=index,
                label=words.label,
                terms=words.terms,
                items=words.items,
                noisy_size=_rounded(size),
                parent=parent,
            )
            for index, (words, size, parent) in enumerate(
                zip(tree.clusters, known.sizes, tree.parents, strict=True)
            )
        ],
        silhouette=known.silhouette if is_divided else None,
        silhouette_noise=known.silhouette_noise if is_divided else None,
        inter_cluster_distance=scale * _mean_distance(known.centroids),
        intra_cluster_distance=scale * _root(known.squared_distance),
        intra_noise=scale * _noise_of_root(known.squared_distance, known.squared_distance_noise),
        smallest_cluster=_rounded(float(known.sizes.min())),
        warning=" ".join(filter(None, [known.warning, *said])) or None,
        size_noise=round(known.size_noise, 2),
    )


def _evaluation(known: Clustering) -> PrivateEvaluationPart | None:
    told = known.evaluation
    if told is None:
        return None
    return PrivateEvaluationPart(
        k=told.k,
        noisy_users=_rounded(told.users),
        hit_rate=told.ours,
        hit_rate_noise=told.ours_noise,
        popularity=told.popularity,
        popularity_noise=told.popularity_noise,
        difference_noise=told.difference_noise,
        chosen=WeightsPart(**asdict(told.chosen)),
        gain=told.gain,
        gain_noise=told.gain_noise,
    )


def _rounded(number: float) -> float:
    """Return one decimal, and no minus before a zero."""
    return round(number, 1) + 0.0


def _root(square: float) -> float:
    return float(np.sqrt(max(square, 0.0)))


def _noise_of_root(square: float, noise: float) -> float:
    """Return the noise of a root: that of the square over twice the root, its root near zero."""
    return min(noise / max(2 * _root(square), 1e-12), float(np.sqrt(noise)))


def _curve(known: Clustering, scale: float) -> KCurvePart | None:
    curve = known.k_curve
    if curve is None:
        return None
    return KCurvePart(
        k=curve.ks,
        silhouette=curve.silhouettes,
        inertia=[scale**2 * inertia for inertia in curve.inertias],
        peak=curve.peak,
        elbow=curve.elbow,
        chosen=curve.chosen if known.k_was_chosen else None,
        is_sharp=curve.is_sharp,
        is_open=curve.is_open,
    )


def _groups(tree: InterestTree, sizes: Array) -> list[GroupPart]:
    totals = np.bincount(tree.parents, weights=sizes, minlength=len(tree.groups))
    return [
        GroupPart(id=index, label=words.label, terms=words.terms, noisy_size=_rounded(total))
        for index, (words, total) in enumerate(zip(tree.groups, totals.tolist(), strict=True))
    ]


def _mean_distance(centroids: Array) -> float:
    """Return the mean distance between two centroids, 0 where there is one."""
    if len(centroids) < 2:
        return 0.0
    gaps = np.linalg.norm(centroids[:, None] - centroids[None], axis=2)
    return float(gaps[np.triu_indices(len(centroids), 1)].mean())


def _privacy(strategy: FederatedKMeans, planned: list[RoundRecord]) -> PrivacyPart:
    answered = [record for record in strategy.history if record.answered]
    discrete = strategy.noise_kind is NoiseKind.DISCRETE
    events = [
        GaussianEvent(record.sensitivity, record.sigma, record.step if discrete else 0.0)
        for record in answered
    ]
    delta, adjacency = strategy.delta, Adjacency.ADD_OR_REMOVE_ONE
    window = "; ".join(sorted(strategy.windows))
    by_accountant = _epsilons(events, delta, adjacency, finite=math.isfinite(strategy.epsilon))
    claimed = by_accountant[ACCOUNTANT]
    # Where regions answered beyond the plan, the promise is what was really spent.
    epsilon = None if claimed is None else max(strategy.epsilon, claimed)
    return PrivacyPart(
        statement=statement(
            epsilon,
            delta,
            window=window,
            trust_model=strategy.trust_model,
            seeded=strategy.noise_kind is NoiseKind.SEEDED,
        ),
        not_protected=not_protected(strategy.noise_kind),
        epsilon=epsilon,
        delta=delta,
        unit=Unit.USER,
        adjacency=adjacency,
        window=window,
        lifetime_epsilon=epsilon,
        accountant=ACCOUNTANT,
        epsilon_by_accountant=by_accountant,
        noise=strategy.noise_kind,
        plan=[
            PlannedRelease(
                phase=record.purpose,
                sensitivity=record.sensitivity,
                sigma=record.sigma,
                share=record.share,
            )
            for record in planned
        ],
        recommendation_plan=strategy.recommendation_plan,
        releases=sum(record.answered for record in strategy.history),
        refusals=[
            RefusalPart(
                client=refusal.region,
                round=refusal.round_number,
                reason=refusal.reason,
                sentence=refusal.sentence,
            )
            for record in strategy.history
            for refusal in record.refusals
        ],
    )


def _epsilons(
    events: list[GaussianEvent], delta: float, adjacency: Adjacency, *, finite: bool
) -> dict[str, float | None]:
    """Return epsilon by every accountant; none where nothing is promised."""
    if not finite:
        return dict.fromkeys((ACCOUNTANT, "pld", "rdp", "zcdp"))
    return {
        ACCOUNTANT: privacy_loss(events, delta=delta, unit=Unit.USER, adjacency=adjacency).epsilon,
        "pld": pld_epsilon(events, delta=delta, adjacency=adjacency),
        "rdp": rdp_epsilon(events, delta=delta, adjacency=adjacency),
        "zcdp": zcdp_epsilon(events, delta=delta, adjacency=adjacency),
    }


def _cost(history: list[RoundRecord], n_clients: int) -> CostPart:
    asked = len(history) * n_clients
    return CostPart(
        bytes_up_per_client_round=sum(record.bytes_up for record in history) / asked,
        bytes_down_per_client_round=sum(record.bytes_down for record in history) / asked,
        seconds_per_round=sum(record.seconds for record in history) / len(history),
        median_seconds_per_round=median(record.seconds for record in history),
    )


def _save_centroids(path: Path, strategy: FederatedKMeans, scale: float) -> None:
    with path.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            centroids=(strategy.known.centroids * scale).astype(np.float32),
            counts=strategy.known.sizes.astype(np.float32),
            counts_noise=np.float32(strategy.known.size_noise),
            norm_bound=np.float32(NORM_BOUND * scale),
        )


def _pages(report: Report) -> dict[str, Writer]:
    text = report.to_json() + "\n"
    return {
        PAGE: lambda path: path.write_text(render(report), encoding="utf-8"),
        REPORT: lambda path: path.write_text(text, encoding="utf-8"),
    }


def write_files(folder: Path, writers: Mapping[str, Writer]) -> None:
    """Write all files beside their places first, so that a full disk leaves the old ones whole."""
    unfinished = {name: _unfinished(folder / name) for name in writers}
    name = ""
    try:
        for name, write in writers.items():
            unfinished[name].parent.mkdir(exist_ok=True)
            write(unfinished[name])
        for name, path in unfinished.items():
            path.replace(folder / name)
    except OSError as error:
        raise OutputError(f"{folder / name} cannot be written ({error.strerror}).") from error
    finally:
        for path in unfinished.values():
            path.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".unfinished-{path.name}")


def program_version() -> str:
    """Return the version of this program; ``unknown`` where it was not installed."""
    try:
        return version("fedinterest")
    except PackageNotFoundError:
        return "unknown"
