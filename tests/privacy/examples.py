"""Small queries, policies, ledgers and users that the tests of the privacy layer share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from privacy.door import Contribute, Door
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.policy import Answers, Budget, Policy, Trusted, Windows
from privacy.query import Block, Contributions, NoiseKind, SumQuery, TrustModel
from privacy.sealed_ledger import Clock
from privacy.window import Window

SEED = 7
"""Of every seeded noise in these tests."""
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""By the clock of every ledger here, unless a test sets it."""


def a_block(
    name: str = "sums", *, cells: int = 3, width: int = 2, clipping_norm: float = 1.0
) -> Block:
    return Block(name=name, cells=cells, width=width, clipping_norm=clipping_norm)


def a_query(
    *blocks: Block,
    sigma: float = 2.0,
    trust_model: TrustModel = TrustModel.LOCAL,
    run: str = "run-1",
    round_number: int = 1,
    purpose: str = "lloyd-1",
    kind: str = "cell-sums",
    nonce: str = "digest",
    **more: Any,
) -> SumQuery:
    return SumQuery(
        purpose=purpose,
        kind=kind,
        blocks=blocks or (a_block(),),
        sigma=sigma,
        trust_model=trust_model,
        run=run,
        round_number=round_number,
        nonce=nonce,
        **more,
    )


class SetClock:
    """A clock that a test sets."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)


def a_policy(**changes: Any) -> Policy:
    """Return a policy; ``changes`` are keys of whichever table has them."""
    rules: dict[str, Any] = {
        "region": "north",
        "budget": {"epsilon": 10.0, "lifetime_epsilon": 1e6},
        "window": {"start": NOW - timedelta(days=1), "days": 10},
        "answers": {
            "noise_kinds": set(NoiseKind),
            "questions": {"cell-sums"},
            "least_noise_multiplier": 1.0,
        },
        "trusted": {},
    }
    tables: dict[str, type[BaseModel]] = {
        "budget": Budget,
        "window": Windows,
        "answers": Answers,
        "trusted": Trusted,
    }
    for name, value in changes.items():
        homes = [table for table, fields in tables.items() if name in fields.model_fields]
        (rules[homes[0]] if homes else rules)[name] = value
    return Policy(**rules)


def a_ledger(
    folder: Path,
    *,
    clock: Clock = SetClock(),  # noqa: B008  (nobody sets this one)
    witness: Path | None = None,
    **changes: Any,
) -> Ledger:
    return Ledger(
        folder / "ledger.sqlite", a_policy(**changes), clock=clock, witness=witness, simulated=True
    )


def a_noise(kind: NoiseKind) -> NoiseSource:
    return NoiseSource(kind, SEED if kind is NoiseKind.SEEDED else None)


def a_door(folder: Path, *, noise: NoiseKind = NoiseKind.SEEDED, **changes: Any) -> Door:
    return Door(a_ledger(folder, **changes), a_noise(noise))


def users(
    rows: Sequence[float | Sequence[float]] | npt.NDArray[Any],
    cells: Sequence[int] | None = None,
    *,
    width: int = 2,
) -> Contributions:
    """Put one user per row; everybody into cell 0 unless told otherwise."""
    array = np.asarray(rows, dtype=np.float32).reshape(-1, width)
    where = np.zeros(len(array), np.int64) if cells is None else np.asarray(cells, np.int64)
    return Contributions(where, array)


def giving(contributions: Mapping[str, Contributions]) -> Contribute:
    return lambda window: contributions


def forbidden(reason: str = "users were touched") -> Contribute:
    """Fail the test when anything is computed from users."""

    def contribute(window: Window) -> Mapping[str, Contributions]:
        raise AssertionError(reason)

    return contribute


def oracle_sum(block: Block, contributions: Contributions) -> npt.NDArray[np.float64]:
    """Clip and sum user by user, in float64, with nothing of the package's own."""
    total = np.zeros((block.cells, block.width))
    for cell, row in zip(contributions.cells, contributions.rows.astype(np.float64), strict=True):
        norm = float(np.sqrt(np.square(row).sum()))
        total[cell] += row * min(1.0, block.clipping_norm / norm) if norm else row
    return total


def distance(one: Mapping[str, npt.NDArray[Any]], other: Mapping[str, npt.NDArray[Any]]) -> float:
    """L2 distance of two answers over all their blocks."""
    parts = [one[name].astype(np.float64) - other[name].astype(np.float64) for name in one]
    return float(np.sqrt(sum(np.square(part).sum() for part in parts)))
