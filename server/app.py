"""The ServerApp: one run, from its configuration to its results.

run-config  ->  catalogue (public)  ->  FederatedKMeans.start  ->  report, centroids, map
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from privacy.door import ServerDoor
from privacy.errors import KeyFileError
from privacy.mechanism import NoiseSource
from privacy.query import NoiseKind, TrustModel
from privacy.signing import SigningKey
from server.central_noise import SERVER_LEDGER, open_server_door
from server.planning import effective_mu, planned_phases, recommendation_plan
from server.results import prepare_output, write_heads, write_results
from server.run_config import ConfigError, RunConfig, parse_flat
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans
from strategies.public_catalogue import PublicCatalogue

log = logging.getLogger("flwr")
log.propagate = False  # Opacus gives the root logger a handler, which would print all lines twice

ROUND_TIMEOUT_SECONDS = 600.0

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated K-means over the regions that ``grid`` reaches."""
    config = parse_flat(context.run_config)
    prepare_output(config.out)
    strategy = build_strategy(config, run=f"{config.run.name}-{context.run_id}")
    started, clock = datetime.now(UTC), time.monotonic()
    try:
        strategy.start(
            grid,
            strategy.initial_arrays(),
            num_rounds=strategy.num_rounds,
            timeout=ROUND_TIMEOUT_SECONDS,
        )
        write_results(
            config.out,
            strategy,
            started,
            time.monotonic() - clock,
            name=config.run.name,
            n_users=config.privacy.declared_users,
        )
    finally:
        write_heads(config.out, strategy)  # also where it failed: regions were charged
    log.info("Results are in %s", config.out)


def build_strategy(config: RunConfig, run: str) -> FederatedKMeans:
    """Return the strategy that a configuration describes.

    Raises
    ------
    ConfigError
        If the encoded catalogue is missing or has fewer items than clusters are wanted.
    """
    catalogue = _public_catalogue(config)
    privacy, n_items = config.privacy, len(catalogue.item_ids)
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
        server_door=_server_door(config),
        signing_key=_signing_key(config),
        wait_seconds=config.run.wait_seconds,
        ask_once_too_often=config.run.ask_once_too_often,
        recommendation_plan=recommendation_plan(config, n_items),
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


def _server_door(config: RunConfig) -> ServerDoor | None:
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
    )


def _signing_key(config: RunConfig) -> SigningKey | None:
    if not config.run.signing_key:
        return None
    try:
        return SigningKey.load(Path(config.run.signing_key))
    except KeyFileError as error:
        raise ConfigError(f"run.signing-key: {error} Nothing was asked of any region.") from error
