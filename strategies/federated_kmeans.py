"""Federated K-means as a Flower Strategy: phases ask, regions answer, the server post-processes.

phase.ask  ->  requests to all regions  ->  answers  ->  one noisy sum  ->  phase.absorb

One phase is one round of ``Strategy.start``; the push-back goes out as the
evaluation of the last one. Answers are added up in the order of the regions'
names, so that two engines give the same sums. Before a question is sent and after
its answers were absorbed, the run can be kept (``run_state``), to go on from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from privacy.calibration import noise_multipliers
from privacy.door import ServerDoor
from privacy.query import NoiseKind, SumQuery, TrustModel, sensitivity_of
from privacy.release import ClippedSum, Refusal, Release
from privacy.signing import SigningKey
from strategies.aggregation import add_up
from strategies.clustering import Clustering
from strategies.heads import HeadBook
from strategies.messages import request_to_records
from strategies.phases.calibration import Mean
from strategies.phases.phase import Phase
from strategies.questions import Request
from strategies.replies import size_of, sort_replies

log = logging.getLogger("flwr")

POLL_SECONDS = 0.2
ONCE_TOO_OFTEN_SHARE = 0.05
SLACK_SECONDS = 60.0
"""Handing questions out and looking for answers take time, too: so much longer than a round's
answers are waited for, a question is good."""


ADDED_BY_SERVER = "server"
"""The noise of an answer under ``central``."""


class StrategyError(Exception):
    """A run that cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedAnswer:
    """What one region was charged for, without the sums: for those who keep accounts of it.

    Attributes
    ----------
    region, public_key : str
        Whose ledger, and the key that signed its head.
    window : str
        Of the region's, that it is charged to.
    entry : int
        Its number in the region's ledger.
    sensitivity, sigma, step : float
        The mechanism; ``step`` is 0 for continuous noise, the lattice's else.
    noise : str
        The region's kind of noise; ``server`` where the server's door adds it.
    code : str
        SHA-256 of the region's program, by its own signed word; empty: unknown.
    """

    region: str
    public_key: str
    window: str
    entry: int
    sensitivity: float
    sigma: float
    step: float
    noise: str
    code: str

    @classmethod
    def of(cls, answer: Release | ClippedSum, step: float) -> AcceptedAnswer:
        """Return the account of an answer to a question whose lattice has this ``step``."""
        noise = answer.noise if isinstance(answer, Release) else None
        return cls(
            region=answer.region,
            public_key=answer.head.public_key if answer.head else "",
            window=answer.window,
            entry=answer.entry,
            sensitivity=answer.sensitivity,
            sigma=answer.sigma,
            # As the region's own ledger charges it.
            step=0.0 if noise in (NoiseKind.FLOAT, NoiseKind.SEEDED) else step,
            noise=noise.value if noise else ADDED_BY_SERVER,
            code=answer.code,
        )


@dataclass(slots=True, kw_only=True)
class RoundRecord:
    """What one phase asked and got: figures for the report, all public or released.

    Attributes
    ----------
    sensitivity, sigma, step, share : float
        Of each region's release; ``step`` is the lattice's.
    asked, answered : int
        Regions; each answer is a release, or clipped sums.
    answers : list of AcceptedAnswer
        Those answers, in the order of the regions' names.
    refusals : list of Refusal
    malformed : int
        Replies that were no answer to the question, or errors.
    bytes_down, bytes_up : int
        Over all regions.
    seconds : float
        From the question to the last answer that was waited for.
    started : str
        When it was asked, ISO 8601, UTC.
    """

    number: int
    purpose: str
    sensitivity: float
    sigma: float
    step: float
    share: float
    asked: int = 0
    answered: int = 0
    answers: list[AcceptedAnswer] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    malformed: int = 0
    bytes_down: int = 0
    bytes_up: int = 0
    seconds: float = 0.0
    started: str = ""

    @property
    def late(self) -> int:
        """Regions that were asked and not heard of in time: what comes later is not used."""
        return max(self.asked - self.answered - len(self.refusals) - self.malformed, 0)


class FederatedKMeans(Strategy):
    """Global interest clusters from noisy sums.

    Parameters
    ----------
    known : Clustering
        What the server knows before the first round.
    phases : sequence of Phase
        In their order; the last one is the push-back.
    epsilon, delta : float
        Budget of the whole run, for one user added or removed.
    trust_model : TrustModel
    server_door : ServerDoor, optional
        Adds the noise under ``central``.
    signing_key : SigningKey, optional
        Signs the requests, for regions that answer known servers only.
    n_clients : int
        Regions to wait for.
    wait_seconds : float
        How long to wait for them before the first round.
    ask_once_too_often : bool
        After the plan is spent, ask again: every region should refuse. Under
        ``central`` nothing is asked beyond the plan.
    recommendation_plan : str, optional
        How the phases ask what goes with what, and why so, in a sentence.
    least_answers : int
        A phase with fewer usable answers stops the run.
    request_seconds : float
        A signed request expires after so long.
    round_seconds : float, optional
        Answers are waited for for so long. Little later Flower no longer hands the question out,
        and takes no answer to it; its own default is half a day.
    known_regions : callable, optional
        Returns the public keys of the regions that may answer, by name. It is called before
        each question; without it any region may.

    Attributes
    ----------
    keep : callable, optional
        Called where the run can be kept: before a question is sent, before the server's door
        releases anything, and after a phase.
    done : int
        So many phases were absorbed, or are gone without.
    pending : Request, optional
        Asked, or about to be, and not absorbed.
    resumed : int
        How often the run was interrupted and went on.
    """

    def __init__(
        self,
        *,
        known: Clustering,
        phases: Sequence[Phase],
        epsilon: float,
        delta: float,
        trust_model: TrustModel,
        n_clients: int,
        server_door: ServerDoor | None = None,
        signing_key: SigningKey | None = None,
        wait_seconds: float = 120.0,
        ask_once_too_often: bool = False,
        recommendation_plan: str | None = None,
        least_answers: int = 1,
        request_seconds: float = 86400.0,
        round_seconds: float | None = None,
        known_regions: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self.known = known
        self.phases = list(phases)
        shares = {phase.name: phase.share for phase in phases}
        self.multipliers = noise_multipliers(epsilon, delta, shares)
        self.epsilon = epsilon
        self.delta = delta
        self.trust_model = trust_model
        self.server_door = server_door
        self.signing_key = signing_key
        self.n_clients = n_clients
        self.wait_seconds = wait_seconds
        self.recommendation_plan = recommendation_plan
        self.least_answers = least_answers
        self.request_seconds = request_seconds
        self.round_seconds = round_seconds
        self.known_regions = known_regions
        self.keep: Callable[[], None] | None = None
        self.done = 0
        self.pending: Request | None = None
        self.resumed = 0
        self.history: list[RoundRecord] = []
        self.noises: set[NoiseKind] = set()
        self.windows: set[str] = set()
        self.heads = HeadBook()
        self._rounds_before = 0
        self._has_waited = False
        self._query: SumQuery | None = None
        self._keys: Mapping[str, str] | None = None
        self._asked_at = 0.0
        self._faults: set[str] = set()
        if ask_once_too_often and trust_model is TrustModel.LOCAL:
            extra = Mean("once-too-often", ONCE_TOO_OFTEN_SHARE)
            self.multipliers |= noise_multipliers(epsilon, delta, {extra.name: extra.share})
            self.extra: Phase | None = extra
        else:
            self.extra = None

    @property
    def noise_kind(self) -> NoiseKind:
        """The noise of this run's releases; the weakest, where they differ."""
        for kind in (NoiseKind.SEEDED, NoiseKind.FLOAT):
            if kind in self.noises:
                return kind
        return NoiseKind.DISCRETE

    @property
    def num_rounds(self) -> int:
        """Rounds of :meth:`start` still to come: the push-back shares one with the phase before."""
        return len(self.phases) - 1 + (self.extra is not None) - self._rounds_before

    def go_on(self, *, done: int, pending: Request | None, resumed: int) -> None:
        """Begin after the phases that an interrupted run has done.

        What the server's door has released already is absorbed, and nobody is asked for it.
        """
        self.done, self.pending, self.resumed = done, pending, resumed
        if pending is not None and self.server_door is not None:
            release = self.server_door.released(self._signed(pending).query())
            if release is not None:
                self._learn(self.phases[done], [release])
        # The push-back is asked in the same round as the phase before it.
        both = self.done == len(self.phases) - 1
        self._rounds_before = self.done - 1 if both or self.done >= len(self.phases) else self.done

    def initial_arrays(self) -> ArrayRecord:
        """Return what :meth:`start` begins with: no centroids yet."""
        return self._arrays(np.zeros((self.known.k, self.known.dim)))

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask the round's question of every region."""
        number = self._rounds_before + server_round
        if number <= len(self.phases) - 1:
            if number <= self.done:
                return []  # only the push-back is left of this round
            return self._ask(number, self.phases[number - 1], MessageType.TRAIN, grid)
        if self.extra is None:
            raise StrategyError(f"Round {number} is beyond the plan. Nothing was asked.")
        return self._ask(len(self.phases) + 1, self.extra, MessageType.TRAIN, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Add the answers up and learn from their sum."""
        number = self._rounds_before + server_round
        if number <= min(self.done, len(self.phases) - 1):
            return None, None  # nothing was asked
        answers = self._receive(replies)
        if number > len(self.phases) - 1:
            self._done()  # once too often: whatever came back is not used
            return None, None
        self._absorb(self.phases[self.done], answers)
        if not self.known.centroids.size:
            return None, None
        return self._arrays(self.known.centroids), None

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Push the finished map back; its quality is the last question."""
        if self._rounds_before + server_round != len(self.phases) - 1:
            return []
        return self._ask(len(self.phases), self.phases[-1], MessageType.EVALUATE, grid)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Learn how well the map fits."""
        if self._rounds_before + server_round != len(self.phases) - 1:
            return None
        self._absorb(self.phases[-1], self._receive(replies))
        return MetricRecord({"silhouette": self.known.silhouette})

    def summary(self) -> None:
        """Log the plan with its full cost, before the first release."""
        log.info("\t├──> epsilon %g, delta %g, one user", self.epsilon, self.delta)
        log.info("\t├──> trust model %s, %d regions", self.trust_model, self.n_clients)
        for phase in self.phases:
            multiplier = self.multipliers[phase.name]
            log.info(
                "\t├──> %-10s share %4.0f%%  noise multiplier %6.2f",
                phase.name,
                100 * phase.share,
                multiplier,
            )
        if self.recommendation_plan:
            log.info("\t├──> %s", self.recommendation_plan)
        local = self.trust_model is TrustModel.LOCAL
        who = "each region adds its own noise" if local else "the server adds one noise for all"
        log.info("\t└──> %s", who)

    def _ask(self, number: int, phase: Phase, kind: str, grid: Grid) -> list[Message]:
        nodes = self._nodes(grid)
        if self.known_regions is not None:
            self._keys = self.known_regions()
        if self.pending is None:  # else it is asked again, as it was before the interruption
            self.pending = self._request(number, phase, len(nodes))
        request = self._signed(self.pending)
        self._query = request.query()
        if self.history and self.history[-1].number == number:
            self.history.pop()
        self.history.append(
            RoundRecord(
                number=number,
                purpose=phase.name,
                sensitivity=self._query.sensitivity,
                sigma=request.sigma,
                step=self._query.step,
                share=phase.share,
                asked=len(nodes),
                started=datetime.now(UTC).isoformat(),
            )
        )
        self._keep()
        self._asked_at = time.monotonic()
        messages = [
            # What is not answered in time is not handed out any more, and costs no region anything.
            Message(
                request_to_records(request),
                dst_node_id=node,
                message_type=kind,
                ttl=None if self.round_seconds is None else self.round_seconds + SLACK_SECONDS,
            )
            for node in nodes
        ]
        self.history[-1].bytes_down = sum(size_of(message) for message in messages)
        return messages

    def _request(self, number: int, phase: Phase, participants: int) -> Request:
        question = phase.ask(self.known)
        return Request(
            run=self.known.run,
            round_number=number,
            purpose=phase.name,
            trust_model=self.trust_model,
            sigma=self.multipliers[phase.name] * sensitivity_of(question.blocks()),
            encoder=self.known.catalogue.encoder,
            catalogue=self.known.catalogue.fingerprint,
            question=question,
            participants=participants,
        )

    def _signed(self, request: Request) -> Request:
        if self.signing_key is None:
            return request
        return request.signed(self.signing_key, expires=int(time.time() + self.request_seconds))

    def _nodes(self, grid: Grid) -> list[int]:
        """Return all regions; before the first question, wait for those that are still to come.

        A run that goes on waits for them, too, but no longer than it has to: some may be gone.
        """
        deadline = time.monotonic() + self.wait_seconds
        wanted = self.least_answers if self._has_waited else self.n_clients
        least = self.least_answers if self.resumed else wanted
        while len(nodes := sorted(grid.get_node_ids())) < wanted:
            if time.monotonic() > deadline:
                if len(nodes) >= least:
                    break
                raise StrategyError(
                    f"{len(nodes)} of {wanted} regions are connected after "
                    f"{self.wait_seconds:g} s. Nothing was asked of them. Start the others, "
                    f"or lower run.{'least-answers' if self._has_waited else 'n-clients'}."
                )
            time.sleep(POLL_SECONDS)
        self._has_waited = True
        return nodes

    def _receive(self, replies: Iterable[Message]) -> list[Release | ClippedSum]:
        """Sort the replies; return the usable ones in the order of their regions' names."""
        record = self.history[-1]
        received = sort_replies(replies, self._query, self.trust_model, self.heads, self._keys)
        record.bytes_up, record.malformed = received.n_bytes, received.malformed
        record.refusals, record.answered = received.refusals, len(received.usable)
        record.answers = [AcceptedAnswer.of(answer, record.step) for answer in received.usable]
        self._faults = {fault.reason for _, fault in received.faults}
        record.seconds = time.monotonic() - self._asked_at
        log.info(
            "\t└──> %s: %d answered, %d refused, %d unusable, %d not in time, %.2f s",
            record.purpose,
            record.answered,
            len(record.refusals),
            record.malformed,
            record.late,
            record.seconds,
        )
        for refusal in record.refusals:
            log.info("\t     %s refused (%s): %s", refusal.region, refusal.reason, refusal.sentence)
        for node, fault in received.faults:
            log.warning("\t     Node %s %s", node, fault.sentence)
        return received.usable

    def _absorb(self, phase: Phase, answers: list[Release | ClippedSum]) -> None:
        if len(answers) < self.least_answers:
            reasons = {refusal.reason for refusal in self.history[-1].refusals} | self._faults
            few = f"{len(answers)} regions, fewer than run.least-answers ({self.least_answers}),"
            found = (
                f"{few if answers else 'No region'} answered phase {phase.name!r} "
                f"({', '.join(sorted(reasons)) or 'no replies'})."
            )
            if not phase.is_needed:
                log.warning("\t     %s The run goes on without it.", found)
                self._done()
                return
            again = " Start it again to go on with this phase." if self.keep else ""
            raise StrategyError(
                f"{found} The run stops here; what was released before stays charged.{again}"
            )
        self._learn(phase, self._releases(answers))

    def _learn(self, phase: Phase, releases: list[Release]) -> None:
        """Let a phase absorb its answers; the run is then beyond it."""
        told, space = self.known.warning, self.known.space_name
        self.noises |= {release.noise for release in releases}
        phase.absorb(self.known, add_up(releases))
        self._done()
        if self.known.space_name is not space:
            log.info("\t     Clusters are looked for in the space of %s", self.known.space_name)
        if self.known.warning != told:
            log.warning("\t     %s", self.known.warning)

    def _releases(self, answers: list[Release | ClippedSum]) -> list[Release]:
        """Return what is noised already; under ``central``, what the server's door makes of it."""
        self.windows |= {answer.window for answer in answers}
        if self.trust_model is not TrustModel.CENTRAL:
            return [answer for answer in answers if isinstance(answer, Release)]
        if self.server_door is None or self._query is None:
            raise StrategyError("Under trust model central the server needs its own door.")
        clipped = [answer for answer in answers if isinstance(answer, ClippedSum)]
        self._keep()  # who answered: once it is released, nobody is asked again
        return [self.server_door.release(self._query, clipped)]

    def _done(self) -> None:
        self.done, self.pending = self.done + 1, None
        self._keep()

    def _keep(self) -> None:
        if self.keep is not None:
            self.keep()

    @staticmethod
    def _arrays(centroids: np.ndarray) -> ArrayRecord:
        return ArrayRecord({"centroids": Array(centroids.astype(np.float32))})
