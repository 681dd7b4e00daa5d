"""Runs over a few made-up silos whose server is killed wherever a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message
from scipy.sparse import csr_matrix

import server.app
import server.checkpoint
import server.resuming
from client.feedback import Feedback
from client.silo import Silo
from privacy.door import Door, ServerDoor
from privacy.ledger import Ledger
from privacy.ledger_check import read_account
from privacy.policy import Policy
from privacy.query import FloatArray, NoiseKind, SumQuery, TrustModel
from privacy.release import ClippedSum, Release
from server.central_noise import SERVER_LEDGER
from server.run_config import RunConfig, parse_flat
from simulations.in_process_grid import InProcessGrid
from simulations.silos import client_app, node_configs
from strategies.messages import records_to_request
from strategies.public_catalogue import PublicCatalogue
from strategies.questions import QUESTION_TYPES, Request
from tests.privacy.examples import NOW, SetClock, a_noise, a_policy

N_ITEMS, DIM, PEOPLE = 80, 8, 60
SILOS = ("east", "west")
RUN = "sample-1"
VOLATILE = {
    "seconds",
    "started",
    "resumed",
    "seconds_per_round",
    "median_seconds_per_round",
    "bytes_up_per_client_round",
}
"""Of a report: times, and the bytes of regions' records, which hold one head more or less."""


class Killed(BaseException):
    """Stands for kill -9: nothing of the program may answer to it."""


@dataclass(frozen=True, eq=False)
class Shoppers:
    """Users with vectors and the items that they have met. Private, but nobody's."""

    vectors: FloatArray
    last_days: csr_matrix
    item_vectors: FloatArray = field(repr=False)
    feedback: Feedback | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def part(self, users: slice) -> Shoppers:
        return Shoppers(self.vectors[users], self.last_days[users], self.item_vectors)


def unit(vectors: np.ndarray) -> FloatArray:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def a_catalogue() -> PublicCatalogue:
    """Return items of four kinds."""
    rng = np.random.default_rng(5)
    kinds = np.repeat(np.eye(4, DIM), N_ITEMS // 4, axis=0)
    names = [f"thing {number}" for number in range(N_ITEMS)]
    return PublicCatalogue(
        fingerprint="catalogue-1",
        encoder="encoder-1",
        encoder_name="fake",
        device="cpu",
        item_ids=names,
        texts=names,
        categories=[f"SHOP > {number * 4 // N_ITEMS}" for number in range(N_ITEMS)],
        vectors=unit(kinds + 0.2 * rng.standard_normal((N_ITEMS, DIM))),
    )


def shoppers(number: int, catalogue: PublicCatalogue) -> Shoppers:
    """Return people each of whom keeps to one or two kinds of item."""
    rng = np.random.default_rng((17, number))
    days = np.zeros((PEOPLE, N_ITEMS), np.float32)
    for person in range(PEOPLE):
        kind = rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])
        met = rng.integers(0, N_ITEMS // 4, size=14) + kind * (N_ITEMS // 4)
        days[person, met] = rng.integers(1, 300, size=len(met))
    return Shoppers(unit((days > 0) @ catalogue.vectors), csr_matrix(days), catalogue.vectors)


class Scene:
    """A folder, its silos and a configuration; the server runs in it as often as it is started.

    Parameters
    ----------
    folder : Path
    changes : values of the run-config
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.catalogue = a_catalogue()
        self.catalogue.save(folder / "catalogue.npz")
        self.flat: dict[str, Any] = {
            "run.out": str(folder / "out"),
            "run.n-clients": len(SILOS),
            "run.wait-seconds": 0.3,
            "clustering.k": 3,
            "privacy.epsilon": 200.0,
            "privacy.declared-users": PEOPLE * len(SILOS),
            "privacy.server-noise-seed": 3,
            "public.catalogue": str(folder / "catalogue.npz"),
        } | {key.replace("__", ".").replace("_", "-"): value for key, value in changes.items()}
        (folder / "out" / "ledgers").mkdir(parents=True, exist_ok=True)
        self.clock = SetClock()
        self.silos = [self._silo(number, name) for number, name in enumerate(SILOS)]
        self.requests: list[Request] = []
        self.after_delivery: Callable[[int], None] = lambda number: None
        self.too_late: set[str] = set()

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def checkpoint(self) -> Path:
        return self.out / "run.checkpoint"

    @property
    def config(self) -> RunConfig:
        return parse_flat(self.flat)

    def start(self, *, run: str = RUN) -> None:
        """Start the server, as ``flwr run`` would: a new one each time."""
        server.app._run(_Wire(self), self.config, run)

    def start_until_done(self, *, most: int = 200) -> int:
        """Start the server until nothing kills it; return how often it was started."""
        for times in range(1, most + 1):
            try:
                self.start(run=f"sample-{times}")
            except Killed:
                continue
            return times
        raise AssertionError(f"It was killed {most} times.")

    def forget(self, region: str) -> None:
        """Let a region's answer to the question under way come too late."""
        self.too_late.add(region)

    def charges(self) -> dict[str, list[dict[str, Any]]]:
        """Return what each ledger has charged, the server's included, without times."""
        paths = [*sorted((self.out / "ledgers").glob("*.sqlite")), self.out / SERVER_LEDGER]
        return {
            path.stem: [
                {key: value for key, value in asdict(entry).items() if key != "time"}
                for entry in read_account(path).entries.values()
            ]
            for path in paths
            if path.exists()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array of the results."""
        found: dict[str, np.ndarray] = {}
        for name in ("cluster-map.npz", "centroids.npz", "summary.npz"):
            with np.load(self.out / name) as archive:
                found |= {f"{name}/{key}": archive[key] for key in archive.files}
        return found

    def _silo(self, number: int, name: str) -> Silo:
        trust = TrustModel(self.flat.get("privacy.trust-model", "local"))
        policy: Policy = a_policy(
            region=name,
            epsilon=2 * self.flat["privacy.epsilon"],
            questions=set(QUESTION_TYPES),
            trust_models={trust},
            least_noise_multiplier=0.001,
            start=NOW,
        )
        ledger = Ledger(
            self.out / "ledgers" / f"{name}.sqlite", policy, clock=self.clock, simulated=True
        )
        return Silo(
            everybody=shoppers(number, self.catalogue),
            door=Door(ledger, a_noise(NoiseKind.SEEDED)),
            catalogue=self.catalogue,
        )


class _Wire(InProcessGrid):
    """Between the server and the scene's silos: writes down what was asked."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(client_app(scene.silos), node_configs(scene.silos))
        self._scene = scene

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        messages = list(messages)
        asked = [records_to_request(message.content) for message in messages]
        self._scene.requests += asked[:1]
        replies = super().send_and_receive(messages, timeout=timeout)
        if asked:
            self._scene.after_delivery(asked[0].round_number)
        late, self._scene.too_late = self._scene.too_late, set()
        return [reply for reply in replies if reply.content["answer"]["region"] not in late]


class KillEverywhere:
    """Kills the server once at each place where it can be interrupted.

    Parameters
    ----------
    patch : MonkeyPatch
    scene : Scene

    Attributes
    ----------
    places : list
        Where it was killed so far.
    """

    def __init__(self, patch: pytest.MonkeyPatch, scene: Scene) -> None:
        self.places: list[tuple[object, ...]] = []
        write, release, commit = (
            server.checkpoint.write_checkpoint,
            ServerDoor.release,
            Ledger.commit,
        )

        def write_and_die(path: Path, checkpoint: Any) -> None:
            write(path, checkpoint)
            state = checkpoint.state
            answered = bool(state.history and state.history[-1].answered)
            self._once("kept", state.done, state.request is not None, answered)

        def release_and_die(
            door: ServerDoor, query: SumQuery, clipped: list[ClippedSum]
        ) -> Release:
            release_ = release(door, query, clipped)
            self._once("released", query.round_number)
            return release_

        def die_before_commit(ledger: Ledger, entry: int, reply: bytes | None) -> Any:
            if ledger.policy.region == "server":
                self._once("noise drawn", entry)
            return commit(ledger, entry, reply)

        patch.setattr(server.resuming, "write_checkpoint", write_and_die)
        patch.setattr(ServerDoor, "release", release_and_die)
        patch.setattr(Ledger, "commit", die_before_commit)
        scene.after_delivery = lambda number: self._once("answers lost", number)

    def _once(self, *place: object) -> None:
        if place not in self.places:
            self.places.append(place)
            raise Killed(place)


def comparable(told: Any) -> Any:
    """Return a report without what may differ between two runs of one seed."""
    if isinstance(told, Mapping):
        return {key: comparable(value) for key, value in told.items() if key not in VOLATILE}
    if isinstance(told, list):
        return [comparable(value) for value in told]
    return told
