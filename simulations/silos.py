"""Clients that exist in this process only: their doors, and the app that answers for them.

Each has a policy of its own that allows what its run asks, and nothing more, and a ledger that
is marked as simulated: nobody's real budget is spent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from client.answering import answer
from client.silo import Silo
from privacy.door import Door
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.policy import Answers, Budget, Policy, Windows
from privacy.query import LEAST_NOISE, FloatArray, NoiseKind
from strategies.federated_kmeans import FederatedKMeans
from strategies.messages import answer_to_records, records_to_request
from strategies.public_catalogue import PublicCatalogue, nameless
from strategies.questions import QUESTION_TYPES

PARTITION = "partition-id"
GIVEN = "given-vectors"
"""Encoder of vectors that somebody has brought along."""
UNLIMITED = 1e12
"""Budget of a run that promises nothing."""


def given_catalogue(vectors: FloatArray) -> PublicCatalogue:
    """Return public vectors, which may be none, as a catalogue of nameless items."""
    return nameless(np.asarray(vectors, dtype=np.float32), GIVEN)


def door_for(
    strategy: FederatedKMeans, region: str, path: Path, noise: NoiseKind, seed: int
) -> Door:
    """Return a door with a new ledger, whose policy allows this run and nothing more.

    Parameters
    ----------
    strategy : FederatedKMeans
    region : str
    path : Path
        Of the ledger.
    noise : NoiseKind
    seed : int
        Of ``seeded`` noise.
    """
    epsilon, delta = finite(strategy.epsilon), strategy.delta
    policy = Policy(
        region=region,
        budget=Budget(epsilon=epsilon, delta=delta, lifetime_epsilon=epsilon, lifetime_delta=delta),
        window=Windows(start=datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC), days=366),
        answers=Answers(
            questions=frozenset(QUESTION_TYPES),
            trust_models=frozenset({strategy.trust_model}),
            noise_kinds=frozenset({noise}),
            least_noise_multiplier=max(LEAST_NOISE, min(strategy.multipliers.values())),
        ),
    )
    return Door(Ledger(path, policy, simulated=True), noise_source(noise, seed))


def noise_source(noise: NoiseKind, seed: int) -> NoiseSource:
    """Return noise of a kind; the seed is for ``seeded`` noise."""
    return NoiseSource(noise, seed if noise is NoiseKind.SEEDED else None)


def finite(epsilon: float) -> float:
    """Return a budget's epsilon, a large number where it is infinite."""
    return epsilon if math.isfinite(epsilon) else UNLIMITED


def client_app(silos: Sequence[Silo]) -> ClientApp:
    """Return the app that answers for whichever silo a message is sent to."""
    app = ClientApp()

    @app.train()
    def answer_question(message: Message, context: Context) -> Message:
        silo = silos[int(context.node_config[PARTITION])]
        reply = answer(silo, records_to_request(message.content))
        return Message(answer_to_records(reply), reply_to=message)

    @app.evaluate()
    def receive_map(message: Message, context: Context) -> Message:
        return answer_question(message, context)

    return app


def node_configs(silos: Sequence[Silo]) -> list[dict[str, int]]:
    """Return what tells the app which silo a node is."""
    return [{PARTITION: number} for number in range(len(silos))]
