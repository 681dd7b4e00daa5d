"""A whole run under attack: what federated K-means tells of canaries, at least.

people and canaries, each put in by a fair coin  ->  FederatedKMeans, messages, doors
    ->  every request and release, as the server sees them  ->  guesses  ->  epsilon is at least

The door is examined by itself in ``privacy.audit``; here the questions, the clients and
the plan's arithmetic take part. The bound is information and never a proof: the test of
one run is loose for Gaussian noise (its power says how loose), the attack sees only
what these canaries make visible, and another population could fare worse.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from client.answering import answer
from client.silo import Silo
from client.vector_users import VectorUsers
from privacy.accountant import mu_of
from privacy.audit.one_run import best_guesses, correct_guesses, expected_epsilon, least_epsilon
from privacy.query import FloatArray, NoiseKind, TrustModel
from privacy.release import Release
from simulations.canary_attack import Answered, evidence
from simulations.in_process_grid import run_in_process
from simulations.silos import door_for, given_catalogue
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans
from strategies.messages import answer_to_records, records_to_request
from strategies.plan import clustering_alone

SILO = "silo"
GROUPS = 8
"""Interests of the people beside the canaries; as many clusters are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineAudit:
    """What one run told of its canaries. Information, never a proof.

    Attributes
    ----------
    epsilon : float
        Lower bound of the run's epsilon, right with probability ``confidence``.
    claimed, delta : float
        The run's budget.
    expected : float
        Power: what the same test shows on average for a Gaussian mechanism that uses the claim
        to the full, on independent canaries.
    confidence : float
    canaries, guesses, correct : int
    exposure : float
        How much of the budget's mu^2 a canary is exposed to, on average: 1 if its rows are as long
        as the clipping norms in every release.
    releases, users, dim : int
        Of the run; users beside the canaries.
    seconds : float
    """

    epsilon: float
    claimed: float
    delta: float
    expected: float
    confidence: float
    canaries: int
    guesses: int
    correct: int
    exposure: float
    releases: int
    users: int
    dim: int
    seconds: float

    @property
    def consistent(self) -> bool:
        """Whether the bound is at most what was claimed."""
        return self.epsilon <= self.claimed

    def told(self) -> dict[str, object]:
        """Return all of it for a report, with a sentence for people."""
        outcome = (
            f"{self.correct} of {self.guesses} guesses were right, so epsilon is at least "
            f"{self.epsilon:.2f} ({100 * self.confidence:g}% confidence)"
        )
        return asdict(self) | {
            "sentence": f"A whole run at epsilon {self.claimed:g}, delta {self.delta:g}, over "
            f"{self.users:,} made-up people and {self.canaries} canaries was attacked by somebody "
            f"who knows every question, every release and everybody else: {outcome}. Where the "
            f"claim is used to the full, this test shows {self.expected:.2f} on average. "
            + (
                "Information, never a proof."
                if self.consistent
                else "That is MORE than was claimed: something is wrong, or chance of "
                f"{100 * (1 - self.confidence):g}%."
            )
        }


def audit_pipeline(
    *,
    epsilon: float = 4.0,
    seed: int = 1,
    delta: float = 1e-6,
    users: int = 4000,
    dim: int = 128,
    canaries: int = 400,
    confidence: float = 0.95,
    noise: NoiseKind = NoiseKind.SEEDED,
) -> PipelineAudit:
    """Run federated K-means once over people and canaries, and guess which canaries were in.

    Parameters
    ----------
    epsilon, delta : float
        Budget of the run.
    seed : int
        Of people, coins, the server, and ``seeded`` noise: the same seed gives the same result.
    users, dim, canaries : int
        People beside the canaries; dimensions; coins to be thrown.
    confidence : float
        Of the bound.
    noise : NoiseKind
        Of the region's door.
    """
    started = time.monotonic()
    rng = np.random.default_rng(seed)
    others, apart = _people(rng, users, dim), _canaries(rng, canaries, dim)
    included = rng.random(canaries) < 0.5
    mu, error = mu_of(epsilon, delta), 1 - confidence
    guesses = best_guesses(mu, canaries=canaries, delta=delta, error=error)
    everybody = rng.permutation(np.vstack([others, apart[included]]))
    with tempfile.TemporaryDirectory(prefix="fedinterest-audit-") as folder:
        answered = _run(everybody, Path(folder), epsilon, delta, seed, noise)
    found = evidence(answered, apart, others)
    correct = correct_guesses(found.scores, included, guesses)
    return PipelineAudit(
        epsilon=least_epsilon(
            canaries=canaries, guesses=guesses, correct=correct, delta=delta, error=error
        ),
        claimed=epsilon,
        delta=delta,
        expected=expected_epsilon(mu, canaries=canaries, guesses=guesses, delta=delta, error=error),
        confidence=confidence,
        canaries=canaries,
        guesses=guesses,
        correct=correct,
        exposure=float(np.mean(found.mu**2) / mu**2),
        releases=len(answered),
        users=users,
        dim=dim,
        seconds=time.monotonic() - started,
    )


def _people(rng: np.random.Generator, users: int, dim: int) -> FloatArray:
    """Draw people in groups, of norm 1 at most: float32, shape (users, dim)."""
    centres = 0.7 * np.linalg.qr(rng.standard_normal((dim, GROUPS)))[0].T
    spread = 0.3 / np.sqrt(dim) * rng.standard_normal((users, dim))
    return _shortened(centres[rng.integers(0, GROUPS, users)] + spread)


def _canaries(rng: np.random.Generator, canaries: int, dim: int) -> FloatArray:
    """Draw canaries of norm 1, far from every group and from each other: shape (m, dim).

    As many as there are dimensions are at right angles; the next ones are again.
    """
    axes = [np.linalg.qr(rng.standard_normal((dim, dim)))[0] for _ in range(0, canaries, dim)]
    return _shortened(np.concatenate(axes)[:canaries])


def _shortened(vectors: np.ndarray) -> FloatArray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1.0) * (1 - 1e-6), dtype=np.float32)


def _run(
    vectors: FloatArray, folder: Path, epsilon: float, delta: float, seed: int, noise: NoiseKind
) -> list[Answered]:
    """Run the strategy over one silo, by messages; return all that the server saw."""
    strategy = _strategy(vectors.shape[1], epsilon, delta, seed)
    silo = Silo(
        everybody=VectorUsers(vectors),
        door=door_for(strategy, SILO, folder / "ledger.sqlite", noise, seed),
        catalogue=strategy.known.catalogue,
    )
    seen: list[Answered] = []
    server, client = ServerApp(), ClientApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        strategy.start(grid, strategy.initial_arrays(), num_rounds=strategy.num_rounds)

    @client.train()
    def answer_question(message: Message, context: Context) -> Message:
        request = records_to_request(message.content)
        reply = answer(silo, request)
        if isinstance(reply, Release):
            seen.append(Answered(request, reply))
        return Message(answer_to_records(reply), reply_to=message)

    @client.evaluate()
    def receive_map(message: Message, context: Context) -> Message:
        return answer_question(message, context)

    run_in_process(server, client, [{}], {})
    return seen


def _strategy(dim: int, epsilon: float, delta: float, seed: int) -> FederatedKMeans:
    known = Clustering(
        run="pipeline-audit",
        k=GROUPS,
        seed=seed,
        effective_mu=mu_of(epsilon, delta),
        catalogue=given_catalogue(np.zeros((0, dim), np.float32)),
    )
    return FederatedKMeans(
        known=known,
        phases=clustering_alone(public=False),
        epsilon=epsilon,
        delta=delta,
        trust_model=TrustModel.LOCAL,
        n_clients=1,
    )
