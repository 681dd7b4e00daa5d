"""A run that was made up: its strategy as it is between two messages, without regions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from privacy.code_identity import code_hash
from privacy.query import NoiseKind
from server.report import Report
from server.results import build_report
from server.run_config import RunConfig, parse_flat
from server.run_store import reading
from server.run_store.opening import Store
from server.run_store.recording import Recorder
from server.run_store.records import MapRecord
from strategies.clustering import Clustering
from strategies.federated_kmeans import AcceptedAnswer, FederatedKMeans, RoundRecord
from strategies.plan import plan
from strategies.public_catalogue import PublicCatalogue
from tests.strategies.examples import a_head, a_key, a_refusal

STARTED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
WINDOW = "2026-01-01/2026-04-01"
STEP = 2.0**-24
REGIONS = ("north", "south")


@dataclass
class Clock:
    """Stands for a run's ``Progress``."""

    started: datetime = STARTED
    seconds: float = 1.5


def a_catalogue(labels: tuple[str, str] = ("BREAD", "TEA")) -> PublicCatalogue:
    items = [f"item-{number}" for number in range(10)]
    return PublicCatalogue(
        fingerprint="catalogue-1",
        encoder="encoder-1",
        encoder_name="fake",
        device="cpu",
        item_ids=items,
        texts=items,
        categories=[labels[0]] * 5 + [labels[1]] * 5,
        vectors=np.repeat(np.eye(2, 4, dtype=np.float32), 5, axis=0),
    )


class MadeUp:
    """A run over regions that exist in name only.

    Parameters
    ----------
    place : str
        Of its store.
    run, name : str
    started : datetime
    noise : NoiseKind
    labels : two texts
        Of its clusters.
    delta : float
    """

    def __init__(
        self,
        place: str,
        *,
        run: str = "spring-1",
        name: str = "spring",
        started: datetime = STARTED,
        noise: NoiseKind = NoiseKind.DISCRETE,
        labels: tuple[str, str] = ("BREAD", "TEA"),
        delta: float = 1e-6,
    ) -> None:
        told = {"run.n-clients": 2, "run.name": name, "run.store": place, "privacy.delta": delta}
        self.config: RunConfig = parse_flat({"clustering.k": 2, **told})
        self.noise = noise
        self.clock = Clock(started)
        known = Clustering(
            run=run, k=2, seed=1, effective_mu=1.0, catalogue=a_catalogue(labels), users=100.0
        )
        self.strategy = FederatedKMeans(
            known=known,
            phases=plan(),
            epsilon=self.config.privacy.epsilon,
            delta=self.config.privacy.delta,
            trust_model=self.config.privacy.trust_model,
            n_clients=2,
        )
        self.entries: dict[str, int] = {}

    def recorder(self, **rules: Any) -> Recorder:
        return Recorder(self.strategy, self.config, self.clock, **rules)  # type: ignore[arg-type]

    def ask(self) -> RoundRecord:
        """Ask the next question."""
        number = len(self.strategy.history) + 1
        phase = self.strategy.phases[number - 1]
        record = RoundRecord(
            number=number,
            purpose=phase.name,
            sensitivity=2.0,
            sigma=2.0 * self.strategy.multipliers[phase.name],
            step=STEP,
            share=phase.share,
            asked=len(REGIONS),
            started=(self.clock.started + timedelta(minutes=number)).isoformat(),
        )
        self.strategy.pending = object()  # type: ignore[assignment]
        self.strategy.history.append(record)
        return record

    def answer(self, *regions: str, refusing: tuple[str, ...] = (), window: str = WINDOW) -> None:
        """Let regions answer the question under way, and absorb it."""
        record = self.strategy.history[-1]
        step = STEP if self.noise is NoiseKind.DISCRETE else 0.0
        for region in regions:
            self.entries[region] = self.entries.get(region, 0) + 1
            record.answers.append(
                AcceptedAnswer(
                    region=region,
                    public_key=a_key(region).public,
                    window=window,
                    entry=self.entries[region],
                    sensitivity=record.sensitivity,
                    sigma=record.sigma,
                    step=step,
                    noise=self.noise.value,
                    code=code_hash(),
                )
            )
        record.answered, record.seconds = len(regions), 0.5
        for region in (*regions, *refusing):
            head = a_head(region, record.number)
            self.strategy.heads.restore(
                {
                    "heads": self.strategy.heads.kept()["heads"] | {region: head},
                    "seen": {},
                }
            )
            if region in refusing:
                record.refusals.append(replace(a_refusal(region), head=head))
        self.strategy.noises.add(self.noise)
        self.strategy.windows.add(window)
        self.strategy.pending = None
        self.strategy.done = record.number

    def play(self, rounds: int, recorder: Recorder) -> None:
        """Ask and absorb so many rounds, each recorded as the strategy would have it."""
        for _ in range(rounds):
            self.ask()
            recorder.keep()
            self.answer(*REGIONS)
            recorder.keep()

    def report(self) -> Report:
        """Finish the map, and return the run's report."""
        known = self.strategy.known
        known.users_noise = 4.0
        known.centroids = np.eye(2, 4)
        known.sizes = np.array([60.4, 39.6])
        known.size_noise = 2.0
        known.item_weights = np.ones((2, 10))
        known.popularity = np.ones(10)
        known.silhouette, known.silhouette_noise = 0.25, 0.01
        known.squared_distance, known.squared_distance_noise = 0.09, 0.003
        return build_report(
            self.strategy, self.clock.started, self.clock.seconds, name="spring", n_users=1200
        )


def latest_map(store: Store) -> MapRecord | None:
    """Return the map of the latest run that has one."""
    runs = reading.runs(store, with_map=True, limit=1)
    return reading.cluster_map(store, runs[0].id) if runs else None
