"""What a run leaves behind: its report, centroids and map, and the heads of the ledgers.

strategy (released values)  ->  Report  ->  files, each whole or not at all
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

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
from server.report import (
    PROMISE,
    RELEASER,
    SIMULATED,
    TRUSTED,
    ClusteringPart,
    ClusterPart,
    CostPart,
    EncoderPart,
    PlannedRelease,
    PrivacyPart,
    RefusalPart,
    Report,
    RunPart,
    not_protected,
)
from server.report_page import render
from server.run_config import RunConfig
from strategies.federated_kmeans import FederatedKMeans, RoundRecord
from strategies.heads import write_heads as save_heads
from strategies.labels import typical_items

REPORT = "report.json"
PAGE = "report.html"
CENTROIDS = "centroids.npz"
CLUSTER_MAP = "cluster-map.npz"
HEADS = "ledgers/heads.json"
TERMS = 8

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
            f"Results cannot be written to {folder} ({error.strerror}). Nothing was asked of any "
            "region. Choose another folder."
        ) from error


def write_results(
    folder: Path, config: RunConfig, strategy: FederatedKMeans, started: datetime, seconds: float
) -> Report:
    """Write a finished run's files; the report comes last, so that it vouches for the others."""
    report = build_report(config, strategy, started, seconds)
    _write(
        folder,
        {
            CLUSTER_MAP: strategy.known.cluster_map().save,
            CENTROIDS: lambda path: _save_centroids(path, strategy),
            **_pages(report),
        },
    )
    return report


def write_heads(folder: Path, strategy: FederatedKMeans) -> None:
    """Write the ledgers' heads that were received, also of a run that failed."""
    _write(folder, {HEADS: lambda path: save_heads(path, strategy.heads, run=strategy.known.run)})


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` and ``report.html``."""
    _write(folder, _pages(report))


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
    config: RunConfig, strategy: FederatedKMeans, started: datetime, seconds: float
) -> Report:
    """Put together what may be told about a run: public and released values only."""
    known = strategy.known
    planned = strategy.history[: len(strategy.phases)]
    return Report(
        run=RunPart(
            id=known.run,
            name=config.run.name,
            version=_version(),
            seed=config.run.seed,
            started=started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            trust_model=config.privacy.trust_model.value,
            n_clients=config.run.n_clients,
            n_users=config.privacy.declared_users,
            n_rounds=len(strategy.history),
            simulated=strategy.noise_kind is NoiseKind.SEEDED,
        ),
        encoder=EncoderPart(
            name=known.catalogue.encoder_name,
            dim=known.dim,
            device=known.catalogue.device,
            fingerprint=known.catalogue.encoder,
        ),
        clustering=_clustering(strategy),
        privacy=_privacy(config, strategy, planned),
        cost=_cost(strategy.history, config.run.n_clients),
    )


def _clustering(strategy: FederatedKMeans) -> ClusteringPart:
    known = strategy.known
    gaps = np.linalg.norm(known.centroids[:, None] - known.centroids[None], axis=2)
    terms = typical_items(known.centroids, known.catalogue, TERMS)
    return ClusteringPart(
        k=known.k,
        clusters=[
            ClusterPart(id=index, label=label, terms=terms[index], noisy_size=round(size, 1))
            for index, (label, size) in enumerate(zip(known.labels, known.sizes, strict=True))
        ],
        silhouette=known.silhouette,
        silhouette_noise=known.silhouette_noise,
        inter_cluster_distance=float(gaps[np.triu_indices(known.k, 1)].mean()),
        intra_cluster_distance=float(np.sqrt(max(known.squared_distance, 0.0))),
        smallest_cluster=round(float(known.sizes.min()), 1),
        warning=strategy.warning,
        size_noise=round(known.size_noise, 2),
    )


def _privacy(
    config: RunConfig, strategy: FederatedKMeans, planned: list[RoundRecord]
) -> PrivacyPart:
    answered = [record for record in strategy.history if record.answered]
    discrete = strategy.noise_kind is NoiseKind.DISCRETE
    events = [
        GaussianEvent(record.sensitivity, record.sigma, record.step if discrete else 0.0)
        for record in answered
    ]
    delta, adjacency = config.privacy.delta, Adjacency.ADD_OR_REMOVE_ONE
    claimed = privacy_loss(events, delta=delta, unit=Unit.USER, adjacency=adjacency).epsilon
    window = "; ".join(sorted(strategy.windows))
    # Where regions answered beyond the plan, the promise is what was really spent.
    epsilon = max(config.privacy.epsilon, claimed)
    return PrivacyPart(
        statement=_statement(
            config, epsilon, window, simulated=strategy.noise_kind is NoiseKind.SEEDED
        ),
        not_protected=not_protected(strategy.noise_kind),
        epsilon=epsilon,
        delta=delta,
        unit=Unit.USER,
        adjacency=adjacency,
        window=window,
        lifetime_epsilon=epsilon,
        accountant=ACCOUNTANT,
        epsilon_by_accountant={
            ACCOUNTANT: claimed,
            "pld": pld_epsilon(events, delta=delta, adjacency=adjacency),
            "rdp": rdp_epsilon(events, delta=delta, adjacency=adjacency),
            "zcdp": zcdp_epsilon(events, delta=delta, adjacency=adjacency),
        },
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


def _statement(config: RunConfig, epsilon: float, window: str, *, simulated: bool) -> str:
    promise = PROMISE.format(
        window=window,
        epsilon=epsilon,
        delta=config.privacy.delta,
        releaser=RELEASER[config.privacy.trust_model.value],
        trust=TRUSTED[config.privacy.trust_model.value],
    )
    return promise + SIMULATED if simulated else promise


def _cost(history: list[RoundRecord], n_clients: int) -> CostPart:
    asked = len(history) * n_clients
    return CostPart(
        bytes_up_per_client_round=sum(record.bytes_up for record in history) / asked,
        bytes_down_per_client_round=sum(record.bytes_down for record in history) / asked,
        seconds_per_round=sum(record.seconds for record in history) / len(history),
    )


def _save_centroids(path: Path, strategy: FederatedKMeans) -> None:
    with path.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            centroids=strategy.known.centroids.astype(np.float32),
            counts=strategy.known.sizes.astype(np.float32),
        )


def _pages(report: Report) -> dict[str, Writer]:
    text = report.model_dump_json(indent=2, exclude_none=True) + "\n"
    return {
        PAGE: lambda path: path.write_text(render(report), encoding="utf-8"),
        REPORT: lambda path: path.write_text(text, encoding="utf-8"),
    }


def _write(folder: Path, writers: Mapping[str, Writer]) -> None:
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


def _version() -> str:
    try:
        return version("fedinterest")
    except PackageNotFoundError:
        return "unknown"
