"""An attacker who knows everything but which canaries took part.

requests and releases of a run, everybody else's vectors  ->  evidence for each canary

What a canary adds to a release is computed as its region computes it: the same contributions,
clipped by the same code. With Gaussian noise, the answers' log-likelihood depends on the coins
only through ``<release - everybody else's sum, the canary's own row> / sigma^2``, summed over
the releases, and through the products of the canaries' rows with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from client.contributions import batches_of_contributions, contributions_to
from client.vector_users import VectorUsers
from privacy.clipping import clipped_sum
from privacy.query import Block, Contributions, FloatArray, SumQuery
from privacy.release import Release
from strategies.questions import Request

Doubles = NDArray[np.float64]

PRIOR_PRECISION = 4.0
"""Of a fair coin: 1 over its variance."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """One request and what a region released for it."""

    request: Request
    release: Release


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a run tells of the canaries of one region.

    Attributes
    ----------
    scores : float64, shape (m,)
        Evidence that a canary was there; more is more.
    mu : float64, shape (m,)
        Gaussian-DP parameter at which each canary took part: lengths of its rows over sigma,
        squared and summed over all releases. At most the run's.
    """

    scores: Doubles
    mu: Doubles


def evidence(answered: Iterable[Answered], canaries: FloatArray, others: FloatArray) -> Evidence:
    """Return the evidence for each canary, the others' part in it taken off.

    Parameters
    ----------
    answered : iterable of Answered
        Of one region, all of its releases.
    canaries, others : float32, shapes (m, d) and (n_others, d)
        Vectors of norm 1 at most; ``others`` take part for certain.

    Notes
    -----
    The score is the best linear estimate of the coins: with y the evidence and G the
    products of the rows, ``(G + 4 I)^-1 (y - G / 2)``. Canaries that lie in each other's
    way are so told apart as well as can be.
    """
    m = len(canaries)
    found, products = np.zeros(m), np.zeros((m, m))
    for one in answered:
        query = one.request.query()
        own = contributions_to(one.request.question, VectorUsers(canaries))
        for block in query.blocks:
            rest = one.release.sums[block.name] - _sum(one.request, block, others)
            cells, rows = _own_rows(query, block, own[block.name])
            found += np.vecdot(rest[cells], rows) / query.sigma**2
            together = cells[:, np.newaxis] == cells
            products += np.where(together, rows @ rows.T, 0.0) / query.sigma**2
    expected = products.sum(axis=1) / 2
    scores = np.linalg.solve(products + PRIOR_PRECISION * np.eye(m), found - expected)
    return Evidence(scores=scores, mu=np.sqrt(products.diagonal()))


def _sum(request: Request, block: Block, users: FloatArray) -> Doubles:
    """Return the exact clipped sum of users: float64, shape ``block.shape``."""
    query, total = request.query(), np.zeros(block.shape, np.int64)
    for batch in batches_of_contributions(request.question, VectorUsers(users)):
        total += clipped_sum(query, block, batch[block.name])
    return np.asarray(total * query.step)


def _own_rows(
    query: SumQuery, block: Block, part: Contributions
) -> tuple[NDArray[np.int64], Doubles]:
    """Return each user's cell and clipped row: shapes (m,) and (m, width).

    By the door's own clipping: of rows, in one cell for each user; of moments, user by user.
    """
    m = len(part.cells)
    if block.moments:
        sums: Sequence[NDArray[np.int64]] = [
            clipped_sum(query, block, Contributions(part.cells[i : i + 1], part.rows[i : i + 1]))
            for i in range(m)
        ]
        return part.cells, np.asarray(np.concatenate(sums) * query.step, np.float64)
    apart = Contributions(np.arange(m, dtype=np.int64), part.rows)
    rows = clipped_sum(query, replace(block, cells=m), apart)
    return part.cells, np.asarray(rows * query.step, np.float64)
