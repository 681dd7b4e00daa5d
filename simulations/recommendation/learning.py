"""A private run over a split's history: the strategy, its messages, and the door.

history of everybody  ->  silos  ->  FederatedKMeans with the given phases  ->  ClusterMap
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from client.interest_profile import InterestProfiles
from client.silo import Silo
from privacy.accountant import mu_of
from privacy.query import NoiseKind, TrustModel
from server.central_noise import SERVER_LEDGER, open_server_door
from simulations.in_process_grid import run_in_process
from simulations.recommendation.splits import Split
from simulations.silos import (
    UNLIMITED,
    client_app,
    door_for,
    finite,
    node_configs,
    noise_source,
)
from strategies.cluster_map import ClusterMap
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans, StrategyError
from strategies.phases.phase import Phase


def delta_for(users: int) -> float:
    """Return the delta of benchmarks: 1 / (n ln n)."""
    return float(1 / (users * np.log(users)))


def learn(
    split: Split,
    plan: Callable[[float], Sequence[Phase]],
    epsilon: float,
    *,
    k: int = 1,
    seed: int = 1,
    silos: int = 1,
    trust_model: TrustModel = TrustModel.CENTRAL,
    noise: NoiseKind = NoiseKind.FLOAT,
) -> ClusterMap:
    """Run the phases over everybody's history; return the map that is pushed back.

    As :func:`learn_and_tell` does, which tells of the run, too.
    """
    return learn_and_tell(
        split, plan, epsilon, k=k, seed=seed, silos=silos, trust_model=trust_model, noise=noise
    )[0]


def learn_and_tell(
    split: Split,
    plan: Callable[[float], Sequence[Phase]],
    epsilon: float,
    *,
    k: int = 1,
    seed: int = 1,
    silos: int = 1,
    trust_model: TrustModel = TrustModel.CENTRAL,
    noise: NoiseKind = NoiseKind.FLOAT,
) -> tuple[ClusterMap, FederatedKMeans]:
    """Run the phases over everybody's history; return the map, and the strategy after them.

    Parameters
    ----------
    split : Split
    plan : callable
        From users times effective mu to phases.
    epsilon : float
        Budget of the whole run; infinite: hardly any noise.
    k : int
        Clusters; with 1 there are none.
    seed : int
        Of the server, and of ``seeded`` noise.
    silos : int
        So many regions have the users, the n-th one every n-th of them.
    trust_model : TrustModel
    noise : NoiseKind
    """
    profiles, catalogue = split.profiles, split.behaviour.catalogue
    delta = delta_for(len(profiles))
    private = np.isfinite(epsilon)
    local = trust_model is TrustModel.LOCAL
    mu = (mu_of(epsilon, delta) if private else UNLIMITED) / (silos**0.5 if local else 1.0)
    known = Clustering(
        run=f"recommendation-{seed}",
        k=k,
        seed=seed,
        effective_mu=mu,
        catalogue=catalogue,
        is_private=private,
        users=float(len(profiles)),
    )
    if k == 1:
        known.centroids, known.sizes = np.zeros((1, known.dim)), np.zeros(1)
    strategy = FederatedKMeans(
        known=known,
        phases=plan(mu * len(profiles)),
        epsilon=epsilon,
        delta=delta,
        trust_model=trust_model,
        n_clients=silos,
    )
    with tempfile.TemporaryDirectory(prefix="fedinterest-learning-") as name:
        folder = Path(name)
        if not local:
            strategy.server_door = open_server_door(
                folder / SERVER_LEDGER,
                epsilon=finite(epsilon),
                delta=delta,
                noise=noise_source(noise, seed),
                simulated=True,
            )
        clients = [
            Silo(
                everybody=_part(profiles, number, silos),
                door=door_for(
                    strategy, f"silo-{number + 1}", folder / f"{number}.sqlite", noise, seed
                ),
                catalogue=catalogue,
            )
            for number in range(silos)
        ]
        _run(strategy, clients)
    if (pushed := clients[0].pushed) is None:
        raise StrategyError("No map was pushed back: the plan's last phase is not Quality.")
    return pushed, strategy


def _run(strategy: FederatedKMeans, clients: Sequence[Silo]) -> None:
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        strategy.start(grid, strategy.initial_arrays(), num_rounds=strategy.num_rounds)

    run_in_process(server, client_app(clients), node_configs(clients), {})


def _part(profiles: InterestProfiles, number: int, silos: int) -> InterestProfiles:
    return profiles.part(slice(number, None, silos)) if silos > 1 else profiles
