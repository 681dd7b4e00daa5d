"""Cluster finished vectors: the same strategy, messages and door, all in this process.

arrays of vectors, one for each silo  ->  door and ledger for each  ->  FederatedKMeans  ->  report

For those who bring their own embeddings. Each call has silos, policies and
ledgers of its own, marked as simulated: nobody's real budget is spent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from client.silo import Silo
from client.vector_users import VectorUsers
from privacy.accountant import mu_of
from privacy.door import ServerDoor
from privacy.errors import LedgerError
from privacy.ledger_check import read_account
from privacy.query import FloatArray, TrustModel
from server.central_noise import SERVER_LEDGER, open_server_door
from server.report import Report
from server.results import HEADS, prepare_output, write_heads, write_results
from simulations.cluster_settings import ClusterSettings
from simulations.given_vectors import VectorsError
from simulations.in_process_grid import run_in_process
from simulations.silos import (
    UNLIMITED,
    client_app,
    door_for,
    finite,
    given_catalogue,
    node_configs,
    noise_source,
)
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans
from strategies.plan import clustering_alone
from strategies.public_catalogue import PublicCatalogue

NAME = "cluster"
ROUNDS_WITHOUT_NOISE = 12
LEDGERS = "ledgers"


def cluster_vectors(
    silos: Sequence[FloatArray],
    settings: ClusterSettings,
    out: Path,
    *,
    public: FloatArray | None = None,
) -> Report:
    """Cluster the silos' vectors; leave report, centroids and ledgers in ``out``.

    Parameters
    ----------
    silos : sequence of float32 arrays, shape (n_users, d)
        Finite; a silo may be empty.
    settings : ClusterSettings
    out : Path
        Folder of the results; an earlier run's ledgers there are replaced.
    public : float32, shape (n_public, d), optional
        Public vectors of the same space: directions and candidates to start from.

    Returns
    -------
    Report
        As written to ``report.json``. ``centroids.npz`` has ``centroids`` of
        shape (k, d) in the space of the input.
    """
    out = out.resolve()
    catalogue = _catalogue(public, silos[0].shape[1], settings.norm_bound)
    strategy = _strategy(settings, catalogue, n_silos=len(silos))
    _clear(out)
    if settings.trust_model is TrustModel.CENTRAL:
        strategy.server_door = _server_door(settings, out)
    clients = [
        _silo(f"silo-{number}", vectors, settings, strategy, out)
        for number, vectors in enumerate(silos, start=1)
    ]
    return run(strategy, clients, settings, out)


def run(
    strategy: FederatedKMeans, clients: Sequence[Silo], settings: ClusterSettings, out: Path
) -> Report:
    """Run the strategy over the silos, by messages, and write the results."""
    reports: list[Report] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        started, clock = datetime.now(UTC), time.monotonic()
        strategy.start(grid, strategy.initial_arrays(), num_rounds=strategy.num_rounds)
        seconds = time.monotonic() - clock
        reports.append(
            write_results(
                out,
                strategy,
                started,
                seconds,
                name=NAME,
                n_users=settings.n_declared,
                scale=settings.norm_bound,
                is_whole_account=False,
            )
        )

    try:
        run_in_process(server, client_app(clients), node_configs(clients), {})
    finally:
        write_heads(out, strategy)
    return reports[0]


def _clear(out: Path) -> None:
    """Make room for this run's ledgers, where nothing but an earlier run's are in the way.

    Raises
    ------
    VectorsError
        If there are ledgers that are not marked as simulated, or cannot be read: those may be
        somebody's real account, and nothing is removed.
    """
    prepare_output(out)
    if (out / "run-config.toml").exists():
        raise VectorsError(
            f"{out} holds a simulation's regions. Nothing was started. Choose another folder."
        )
    ledgers = [*(out / LEDGERS).glob("*.sqlite"), *out.glob(SERVER_LEDGER)]
    for path in ledgers:
        _require_simulated(path)
    for path in ledgers:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.stem}.key"):
            (path.parent / name).unlink(missing_ok=True)
    (out / HEADS).unlink(missing_ok=True)
    if (out / LEDGERS).is_dir() and any((out / LEDGERS).iterdir()):
        raise VectorsError(
            f"{out / LEDGERS} holds other files than a run's ledgers. Nothing was started. Choose "
            "another folder."
        )
    (out / LEDGERS).mkdir(exist_ok=True)


def _require_simulated(path: Path) -> None:
    try:
        simulated = read_account(path).identity.simulated
    except LedgerError:
        simulated = False
    if not simulated:
        raise VectorsError(
            f"{path} is not the ledger of a run of this kind. Nothing was started or removed. "
            "Choose another folder."
        )


def _catalogue(public: FloatArray | None, dim: int, norm_bound: float) -> PublicCatalogue:
    """Return the public vectors as a catalogue of nameless items."""
    vectors = np.zeros((0, dim), np.float32) if public is None else public
    return given_catalogue(vectors / np.float32(norm_bound))


def _strategy(
    settings: ClusterSettings, catalogue: PublicCatalogue, *, n_silos: int
) -> FederatedKMeans:
    private = math.isfinite(settings.epsilon)
    local = settings.trust_model is TrustModel.LOCAL
    known = Clustering(
        run=f"{NAME}-{datetime.now(UTC):%Y%m%dT%H%M%S}",
        k=settings.k,
        seed=settings.seed,
        effective_mu=(mu_of(settings.epsilon, settings.delta) if private else UNLIMITED)
        / (n_silos**0.5 if local else 1.0),
        catalogue=catalogue,
        is_private=private,
        choosing_k=settings.choose_k,
        least_size=settings.least_size,
    )
    rounds = {} if private else {"rounds": ROUNDS_WITHOUT_NOISE}
    return FederatedKMeans(
        known=known,
        phases=clustering_alone(public=known.has_catalogue, choosing_k=settings.choose_k, **rounds),
        epsilon=settings.epsilon,
        delta=settings.delta,
        trust_model=settings.trust_model,
        n_clients=n_silos,
    )


def _server_door(settings: ClusterSettings, out: Path) -> ServerDoor:
    return open_server_door(
        out / SERVER_LEDGER,
        epsilon=finite(settings.epsilon),
        delta=settings.delta,
        noise=noise_source(settings.noise, settings.seed),
        simulated=True,
    )


def _silo(
    name: str,
    vectors: FloatArray,
    settings: ClusterSettings,
    strategy: FederatedKMeans,
    out: Path,
) -> Silo:
    path = out / LEDGERS / f"{name}.sqlite"
    return Silo(
        everybody=VectorUsers(vectors, settings.norm_bound),
        door=door_for(strategy, name, path, settings.noise, settings.seed),
        catalogue=strategy.known.catalogue,
    )
