"""The ServerApp: one run, from its configuration to its results.

run-config  ->  catalogue (public)  ->  FederatedKMeans.start  ->  report, centroids, map
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from privacy.door import ServerDoor
from privacy.errors import KeyFileError
from privacy.mechanism import NoiseSource
from privacy.query import NoiseKind, TrustModel
from privacy.signing import SigningKey
from server.central_noise import SERVER_LEDGER, open_server_door
from server.known_regions import KnownRegionsError, RegionKeys
from server.patient_grid import patient
from server.planning import effective_mu, planned_phases, recommendation_plan
from server.report import Report
from server.results import prepare_output, write_heads, write_results
from server.resuming import Progress, alone_in, follow, unfinished_run
from server.run_config import ConfigError, RunConfig, parse_flat
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans
from strategies.public_catalogue import PublicCatalogue

log = logging.getLogger("flwr")
log.propagate = False  # Opacus gives the root logger a handler, which would print all lines twice

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated K-means over the regions that ``grid`` reaches."""
    config = parse_flat(context.run_config)
    prepare_output(config.out)
    with alone_in(config.out):
        _run(patient(grid), config, run=f"{config.run.name}-{context.run_id}")
    log.info("Results are in %s", config.out)


def _run(grid: Grid, config: RunConfig, run: str) -> None:
    """Begin ``run``, or go on with the one that was interrupted."""
    kept = unfinished_run(config)
    resumed = kept.state.run if kept else ""
    strategy = build_strategy(config, resumed or run, is_resumed=bool(resumed))
    progress = follow(strategy, config, kept)
    with _recorded(strategy, config, progress) as complete:
        try:
            strategy.start(
                grid,
                strategy.initial_arrays(),
                num_rounds=strategy.num_rounds,
                timeout=config.run.round_seconds,
            )
            report = write_results(
                config.out,
                strategy,
                progress.started,
                progress.seconds,
                name=config.run.name,
                n_users=config.privacy.declared_users,
            )
        finally:
            write_heads(config.out, strategy)  # also where it failed: regions were charged
        complete(report)
    progress.finish()


def _recorded(
    strategy: FederatedKMeans, config: RunConfig, progress: Progress
) -> AbstractContextManager[Callable[[Report], None]]:
    """Record the run in its store, if it has one; give what takes its report at the end."""
    if not config.run.store:
        return nullcontext(lambda report: None)
    from server.run_store.recording import recorded  # with a database's libraries

    return recorded(strategy, config, progress)


def build_strategy(config: RunConfig, run: str, *, is_resumed: bool = False) -> FederatedKMeans:
    """Return the strategy that a configuration describes.

    Parameters
    ----------
    config : RunConfig
    run : str
        Its name.
    is_resumed : bool
        Whether it was begun before.

    Raises
    ------
    ConfigError
        If the encoded catalogue is missing or has fewer items than clusters are wanted, or a
        key or the record of known regions cannot be used.
    """
    catalogue = _public_catalogue(config)
    privacy, n_items = config.privacy, len(catalogue.item_ids)
    signing_key = _signing_key(config)
    return FederatedKMeans(
        known=Clustering(
            run=run,
            k=config.clustering.k,
            seed=config.run.seed,
            effective_mu=effective_mu(config),
            catalogue=catalogue,
            users=float(privacy.declared_users),
            silo_sizes=privacy.silo_sizes,
            choosing_k=config.clustering.choose_k,
            least_size=config.clustering.least_size,
        ),
        phases=planned_phases(config, n_items),
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        trust_model=privacy.trust_model,
        n_clients=config.run.n_clients,
        server_door=_server_door(config, resumed=run if is_resumed else ""),
        signing_key=signing_key,
        wait_seconds=config.run.wait_seconds,
        ask_once_too_often=config.run.ask_once_too_often,
        recommendation_plan=recommendation_plan(config, n_items),
        least_answers=config.run.least_answers,
        request_seconds=3600 * config.run.request_hours,
        round_seconds=config.run.round_seconds,
        known_regions=_known_regions(config, signing_key),
    )


def _public_catalogue(config: RunConfig) -> PublicCatalogue:
    if not config.public.catalogue:
        raise ConfigError(
            "public.catalogue is not set. Nothing was started. Encode the public catalogue with "
            "`fedinterest encode CATALOGUE --out FILE.npz` and name that file."
        )
    try:
        catalogue = PublicCatalogue.load(Path(config.public.catalogue))
    except ValueError as error:
        raise ConfigError(f"public.catalogue: {error}") from error
    if len(catalogue.item_ids) < config.clustering.k:
        raise ConfigError(
            f"clustering.k is {config.clustering.k}, but the catalogue has only "
            f"{len(catalogue.item_ids)} items. Nothing was started."
        )
    return catalogue


def _server_door(config: RunConfig, *, resumed: str) -> ServerDoor | None:
    """Under ``central``, the server keeps a ledger of the noise that it adds."""
    privacy = config.privacy
    if privacy.trust_model is not TrustModel.CENTRAL:
        return None
    seeded = privacy.server_noise_seed >= 0
    return open_server_door(
        config.out / SERVER_LEDGER,
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        noise=NoiseSource(NoiseKind.SEEDED, privacy.server_noise_seed) if seeded else NoiseSource(),
        resumed=resumed,
    )


def _signing_key(config: RunConfig) -> SigningKey | None:
    if not config.run.signing_key:
        return None
    try:
        return SigningKey.load(Path(config.run.signing_key))
    except KeyFileError as error:
        raise ConfigError(f"run.signing-key: {error} Nothing was asked of any region.") from error


def _known_regions(config: RunConfig, key: SigningKey | None) -> RegionKeys | None:
    if not config.run.known_regions or key is None:
        return None
    try:
        return RegionKeys(Path(config.run.known_regions), key.public)
    except KnownRegionsError as error:
        raise ConfigError(f"run.known-regions: {error} Nothing was asked of any region.") from error
