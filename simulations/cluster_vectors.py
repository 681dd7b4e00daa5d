"""Cluster finished vectors: the same strategy, messages and door, all in this process.

arrays of vectors, one for each silo  ->  door and ledger for each  ->  FederatedKMeans  ->  report

For those who bring their own embeddings. Each call has silos, policies and
ledgers of its own, marked as simulated: nobody's real budget is spent.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from client.answering import answer
from client.vector_silo import VectorSilo
from privacy.accountant import mu_of
from privacy.door import Door, ServerDoor
from privacy.errors import LedgerError
from privacy.ledger import Ledger
from privacy.ledger_check import read_account
from privacy.mechanism import NoiseSource
from privacy.policy import Answers, Budget, Policy, Windows
from privacy.query import LEAST_NOISE, FloatArray, NoiseKind, TrustModel
from server.central_noise import SERVER_LEDGER, open_server_door
from server.report import Report
from server.results import HEADS, prepare_output, write_heads, write_results
from simulations.cluster_settings import ClusterSettings
from simulations.given_vectors import VectorsError
from simulations.in_process_grid import run_in_process
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans
from strategies.messages import answer_to_records, records_to_request
from strategies.plan import clustering_alone
from strategies.public_catalogue import PublicCatalogue
from strategies.questions import QUESTION_TYPES

NAME = "cluster"
PARTITION = "partition-id"
UNLIMITED = 1e12
"""Budget of a run that promises nothing."""
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
    strategy: FederatedKMeans, clients: Sequence[VectorSilo], settings: ClusterSettings, out: Path
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
        run_in_process(server, client_app(clients), _node_configs(clients), {})
    finally:
        write_heads(out, strategy)
    return reports[0]


def client_app(clients: Sequence[VectorSilo]) -> ClientApp:
    """Return the app that answers for whichever silo a message is sent to."""
    app = ClientApp()

    @app.train()
    def answer_question(message: Message, context: Context) -> Message:
        silo = clients[int(context.node_config[PARTITION])]
        reply = answer(silo, records_to_request(message.content))
        return Message(answer_to_records(reply), reply_to=message)

    @app.evaluate()
    def receive_map(message: Message, context: Context) -> Message:
        return answer_question(message, context)

    return app


def _node_configs(clients: Sequence[VectorSilo]) -> list[dict[str, int]]:
    return [{PARTITION: number} for number in range(len(clients))]


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
    vectors = np.asarray(vectors / np.float32(norm_bound), dtype=np.float32)
    digest = hashlib.sha256(f"{vectors.shape}".encode() + vectors.tobytes()).hexdigest()
    return PublicCatalogue(
        fingerprint=digest,
        encoder=VectorSilo.encoder_fingerprint,
        encoder_name="given vectors",
        device="none",
        item_ids=[],
        texts=[],
        categories=[],
        vectors=vectors,
    )


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


def _noise(settings: ClusterSettings) -> NoiseSource:
    seed = settings.seed if settings.noise is NoiseKind.SEEDED else None
    return NoiseSource(settings.noise, seed)


def _budget(settings: ClusterSettings) -> float:
    return settings.epsilon if math.isfinite(settings.epsilon) else UNLIMITED


def _server_door(settings: ClusterSettings, out: Path) -> ServerDoor:
    return open_server_door(
        out / SERVER_LEDGER,
        epsilon=_budget(settings),
        delta=settings.delta,
        noise=_noise(settings),
        simulated=True,
    )


def _silo(
    name: str,
    vectors: FloatArray,
    settings: ClusterSettings,
    strategy: FederatedKMeans,
    out: Path,
) -> VectorSilo:
    """Return one silo behind a new door, whose policy allows what this run asks."""
    epsilon = _budget(settings)
    policy = Policy(
        region=name,
        budget=Budget(
            epsilon=epsilon,
            delta=settings.delta,
            lifetime_epsilon=epsilon,
            lifetime_delta=settings.delta,
        ),
        window=Windows(start=datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC), days=366),
        answers=Answers(
            questions=frozenset(QUESTION_TYPES),
            trust_models=frozenset({settings.trust_model}),
            noise_kinds=frozenset({settings.noise}),
            least_noise_multiplier=max(LEAST_NOISE, min(strategy.multipliers.values())),
        ),
    )
    path = out / "ledgers" / f"{name}.sqlite"
    ledger = Ledger(path, policy, simulated=True)
    return VectorSilo(
        vectors=vectors,
        norm_bound=settings.norm_bound,
        door=Door(ledger, _noise(settings)),
        catalogue_fingerprint=strategy.known.catalogue.fingerprint,
    )
