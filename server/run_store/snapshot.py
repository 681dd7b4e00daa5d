"""All that is known of a run at one moment, as rows: public, released and operational values.

strategy, configuration  ->  Snapshot

Made where the run stands still; another thread may then write it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from privacy.code_identity import code_hash
from privacy.query import NoiseKind
from privacy.release import Refusal
from privacy.statement import statement
from server.results import program_version
from server.run_config import RunConfig
from server.run_store.columns import name_of
from server.run_store.putting import Row
from server.run_store.states import ASKED, DONE, FAILED, INTERRUPTED, PLANNED
from strategies.federated_kmeans import AcceptedAnswer, FederatedKMeans, RoundRecord

NOT_TOLD = frozenset({"run.signing-key", "run.store"})
"""Of the configuration: where keys and databases lie is nobody's business."""
LONGEST_FAILURE = 2000
"""Characters of a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a run fares.

    Attributes
    ----------
    status : str
    failure_type, failure : str, optional
        The error's class, and what it says.
    """

    status: str
    failure_type: str | None = None
    failure: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> Status:
        """Return that of a run which ``error`` has ended."""
        how = FAILED if isinstance(error, Exception) else INTERRUPTED
        said = str(error)[:LONGEST_FAILURE]
        return cls(status=how, failure_type=type(error).__name__, failure=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run at one moment, as rows of the tables.

    Attributes
    ----------
    run : row
        But for ``updated`` and ``seconds``.
    rounds, releases, refusals, regions : lists of rows
    done : int
        Rounds up to this one change no more.
    """

    run: Row
    rounds: list[Row]
    releases: list[Row]
    refusals: list[Row]
    regions: list[Row]
    done: int


def snapshot_of(
    strategy: FederatedKMeans, config: RunConfig, started: datetime, status: Status
) -> Snapshot:
    """Return what is known of a run now."""
    run = name_of(strategy.known.run)
    history = strategy.history
    waiting = history[-1].number if history and strategy.pending is not None else 0
    return Snapshot(
        run=_run(strategy, config, run, started, status),
        rounds=[_round(run, record, waiting) for record in history] + _planned(strategy, run),
        releases=[row for record in history for row in _releases(run, record)],
        refusals=[row for record in history for row in _refusals(run, record)],
        regions=_regions(strategy, run),
        done=max((record.number for record in history if record.number != waiting), default=0),
    )


def received(record: RoundRecord) -> datetime:
    """Return when a round's answers were there."""
    return datetime.fromisoformat(record.started) + timedelta(seconds=record.seconds)


def _run(
    strategy: FederatedKMeans, config: RunConfig, run: str, started: datetime, status: Status
) -> dict[str, Any]:
    epsilon = strategy.epsilon if math.isfinite(strategy.epsilon) else None
    seeded = bool(strategy.noises) and strategy.noise_kind is NoiseKind.SEEDED
    promise = statement(
        epsilon,
        strategy.delta,
        window="; ".join(sorted(strategy.windows)),
        trust_model=strategy.trust_model,
        seeded=seeded,
    )
    return {
        "id": run,
        "name": config.run.name,
        "version": program_version(),
        "code": code_hash(),
        "trust_model": strategy.trust_model.value,
        "epsilon": epsilon,
        "delta": strategy.delta,
        "declared_users": config.privacy.declared_users,
        "n_clients": strategy.n_clients,
        "noise": strategy.noise_kind.value if strategy.noises else None,
        "simulated": seeded,
        "started": started,
        "status": status.status,
        "failure_type": status.failure_type,
        "failure": status.failure,
        "resumed": strategy.resumed,
        "config": {key: value for key, value in config.flat().items() if key not in NOT_TOLD},
        "plan": [
            {
                "phase": phase.name,
                "share": phase.share,
                "noise_multiplier": _finite(strategy.multipliers[phase.name]),
            }
            for phase in strategy.phases
        ],
        "statement": promise if strategy.windows else None,  # whose budgets, only they can tell
    }


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _round(run: str, record: RoundRecord, waiting: int) -> dict[str, Any]:
    return {
        "run_id": run,
        "number": record.number,
        "purpose": record.purpose,
        "state": ASKED if record.number == waiting else DONE,
        "share": record.share,
        "sensitivity": record.sensitivity,
        "sigma": record.sigma,
        "step": record.step,
        "asked": record.asked,
        "answered": record.answered,
        "refused": len(record.refusals),
        "malformed": record.malformed,
        # Before answers are looked at, nobody is late.
        "late": record.late if record.seconds else 0,
        "bytes_up": record.bytes_up,
        "bytes_down": record.bytes_down,
        "seconds": record.seconds,
        "started": datetime.fromisoformat(record.started),
    }


def _planned(strategy: FederatedKMeans, run: str) -> list[Row]:
    known = {record.number for record in strategy.history}
    phases = [*strategy.phases, *([strategy.extra] if strategy.extra else [])]
    nothing = ("asked", "answered", "refused", "malformed", "late", "bytes_up", "bytes_down")
    return [
        {
            "run_id": run,
            "number": number,
            "purpose": phase.name,
            "state": PLANNED,
            "share": phase.share,
            "sensitivity": None,
            "sigma": None,
            "step": None,
            **dict.fromkeys(nothing, 0),
            "seconds": 0.0,
            "started": None,
        }
        for number, phase in enumerate(phases, start=1)
        if number not in known
    ]


def _releases(run: str, record: RoundRecord) -> list[Row]:
    return [
        {
            "run_id": run,
            "round": record.number,
            "region": name_of(answer.region),
            "purpose": record.purpose,
            "public_key": name_of(answer.public_key),
            "window": name_of(answer.window),
            "entry": answer.entry,
            "sensitivity": answer.sensitivity,
            "sigma": answer.sigma,
            "step": answer.step,
            "noise": answer.noise,
            "received": received(record),
        }
        for answer in record.answers
    ]


def _refusals(run: str, record: RoundRecord) -> list[Row]:
    return [
        {
            "run_id": run,
            "round": record.number,
            "region": name_of(refusal.region),
            "purpose": record.purpose,
            "reason": refusal.reason,
            "sentence": refusal.sentence,
            "received": received(record),
        }
        for refusal in record.refusals
    ]


def _regions(strategy: FederatedKMeans, run: str) -> list[Row]:
    """Return the regions whose signed heads the server holds, and when they were heard of."""
    heard: dict[str, list[datetime]] = {}
    code: dict[str, str] = {}
    for record in strategy.history:
        # A refusal without a head could be anybody's.
        signed = [refusal for refusal in record.refusals if refusal.head]
        answers: list[AcceptedAnswer | Refusal] = [*record.answers, *signed]
        for answer in answers:
            heard.setdefault(answer.region, []).append(received(record))
            code[answer.region] = answer.code or code.get(answer.region, "")
    return [
        {
            "name": name_of(head.region),
            "public_key": name_of(head.public_key),
            "sequence": head.sequence,
            "first_seen": min(heard[head.region]),
            "last_seen": max(heard[head.region]),
            "last_run": run,
            "code": code[head.region] or None,
        }
        for head in strategy.heads
        if head.region in heard
    ]
