"""Small queries, policies, ledgers and users that the tests of the privacy layer share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privacy.door import Contribute, Door
from privacy.ledger import Ledger
from privacy.mechanism import NoiseSource
from privacy.policy import Policy
from privacy.query import Block, Contributions, NoiseKind, SumQuery, TrustModel

SEED = 7
"""Of every seeded noise in these tests."""


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
    )


def a_policy(**changes: Any) -> Policy:
    rules: dict[str, Any] = {
        "region": "north",
        "window": "2017",
        "epsilon": 10.0,
        "delta": 1e-6,
        "noise_kinds": {NoiseKind.FLOAT, NoiseKind.SEEDED},
        "question_kinds": {"cell-sums"},
    }
    return Policy(**(rules | changes))


def a_ledger(folder: Path, **changes: Any) -> Ledger:
    return Ledger(folder / "ledger.sqlite", a_policy(**changes))


def a_door(folder: Path, *, seed: int | None = SEED, **changes: Any) -> Door:
    return Door(a_ledger(folder, **changes), NoiseSource(seed))


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
    return lambda: contributions


def forbidden(reason: str = "users were touched") -> Contribute:
    """Fail the test when anything is computed from users."""

    def contribute() -> Mapping[str, Contributions]:
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
