"""Faults of sums, of what is said beside them, and of what the ledger knows.

Each is an installed function with a few lines around it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

import privacy.clipping
import privacy.door
from privacy.door import Door
from privacy.ledger import Ledger, Reservation
from privacy.mechanism import NoiseSource, add_noise
from privacy.query import DIAGONAL, Block, Contributions, SumQuery, TrustModel
from privacy.release import Answer, Release
from simulations.benchmarks.noise_faults import IntArray, Noised, Totals

_clip_and_sum = privacy.door._clip_and_sum
_noised = privacy.door._noised
_answer = Door.answer
_reserve, _commit, _entry = Ledger.reserve, Ledger.commit, Ledger._entry


def unclipped(query: SumQuery, block: Block, part: Contributions, **_: Any) -> IntArray:
    """Sum rows of any length, or their products."""
    rows = part.rows.astype(np.float64).clip(-1e6, 1e6)
    total = np.zeros(block.shape)
    if block.moments:
        products = rows.T @ rows * DIAGONAL
        total[0] = products[np.triu_indices_from(products)]
    else:
        np.add.at(total, part.cells, rows)
    return (total / query.step).astype(np.int64)


def clipped_per_entry(query: SumQuery, block: Block, part: Contributions, **_: Any) -> IntArray:
    """Bound each entry instead of the row."""
    norm = np.float32(block.clipping_norm)
    return unclipped(query, block, Contributions(part.cells, part.rows.clip(-norm, norm)))


def clipped_to_everything(query: SumQuery, block: Block, part: Contributions) -> IntArray:
    """Let each block use up what all of them may change together."""
    longer = query.sensitivity if not block.moments else block.clipping_norm
    return privacy.clipping.clipped_sum(query, replace(block, clipping_norm=longer), part)


def in_single_precision(query: SumQuery, block: Block, part: Contributions) -> IntArray:
    """Sum in floating point, in the users' order: rounding depends on everybody."""
    if block.moments:
        return privacy.clipping.clipped_sum(query, block, part)
    lengths = np.linalg.norm(part.rows, axis=1, keepdims=True)
    rows = part.rows / np.maximum(lengths / np.float32(block.clipping_norm), np.float32(1))
    total = np.zeros(block.shape, np.float32)
    np.add.at(total, part.cells, rows)
    return (total.astype(np.float64) / query.step).astype(np.int64)


def over_their_number(query: SumQuery, contributions: Any) -> dict[str, IntArray]:
    """Answer with a mean: the sum over the exact number of users."""
    batches = [contributions] if isinstance(contributions, Mapping) else list(contributions)
    users = sum(len(next(iter(batch.values())).cells) for batch in batches)
    totals = _clip_and_sum(query, batches)
    return {name: total // max(users, 1) for name, total in totals.items()}


def counted_twice(query: SumQuery, contributions: Any) -> dict[str, IntArray]:
    """Add the last batch of users again."""
    batches = [contributions] if isinstance(contributions, Mapping) else list(contributions)
    return _clip_and_sum(query, batches + batches[-1:])


def norm_not_squared(self: Block) -> Fraction:
    """Return the norm of a row where the norm of its products is meant."""
    return (DIAGONAL if self.moments else 1) * Fraction(self.clipping_norm)


def everybody_is_finite(contributions: Mapping[str, Contributions]) -> NDArray[np.bool_]:
    """Let rows in that are no numbers."""
    return np.ones(len(next(iter(contributions.values())).cells), np.bool_)


def sigma_by_the_crowd(
    query: SumQuery, totals: Totals, source: NoiseSource, *, owner: str, entry: int
) -> Noised:
    """Add less noise where there is more to hide."""
    largest = max(float(np.abs(total).max()) for total in totals.values()) * query.step
    other = replace(query, sigma=query.sigma / (1 + largest / query.sensitivity / 100))
    return add_noise(other, totals, source, owner=owner, entry=entry)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TalkativeRelease(Release):
    """A release with one field more: the exact number of users."""

    users: float


def with_a_field(
    query: SumQuery, reserved: Any, totals: Totals, owner: str, source: NoiseSource
) -> Release:
    """Tell the exact number of users in a field of its own."""
    release = _noised(query, reserved, totals, owner, source)
    told = {name: getattr(release, name) for name in Release.__dataclass_fields__}
    return TalkativeRelease(**told, users=float(sum(t.sum() for t in totals.values())))


def with_an_array(
    query: SumQuery, reserved: Any, totals: Totals, owner: str, source: NoiseSource
) -> Release:
    """Tell an exact figure in an array of its own, as a metric would be."""
    release = _noised(query, reserved, totals, owner, source)
    exact = np.array([[float(sum(total.sum() for total in totals.values()))]], np.float32)
    return replace(release, sums={**release.sums, "loss": exact})


def in_its_header(
    query: SumQuery, reserved: Any, totals: Totals, owner: str, source: NoiseSource
) -> Release:
    """Tell of the exact sums in the last digits of a number that is public."""
    release = _noised(query, reserved, totals, owner, source)
    largest = max(int(np.abs(total).max()) for total in totals.values())
    return replace(release, sigma=release.sigma * (1 + (1 + largest % 7) * 1e-9))


def uncharged(self: Ledger, query: SumQuery, noise: str, code: str = "") -> Reservation:
    """Go on as if a cost had been reserved."""
    window = self.policy.window.at(self.clock())
    return Reservation(1 + query.round_number, window)


def unrecorded(self: Ledger, entry: int, reply: bytes | None) -> Any:
    """Get a signed head without recording any answer."""
    query = SumQuery(
        purpose="none",
        kind="none",
        blocks=(Block(name="a", cells=1, width=1, clipping_norm=1.0),),
        sigma=1.0,
        trust_model=TrustModel.LOCAL,
        run="none",
        round_number=0,
        nonce="",
    )
    return self.refuse(query, "none", "Only for a head to sign.")


def users_first(self: Door, query: SumQuery, contribute: Any) -> Answer:
    """Compute first and charge afterwards: a crash in between costs nothing."""
    users = contribute(self.policy.window.at(self.ledger.clock()))
    return _answer(self, query, lambda window: users)


def noised_anew(self: Ledger, query: SumQuery, noise: str, code: str = "") -> Reservation:
    """Charge and answer a repeated request as if it were new."""
    reserved = _reserve(self, query, noise, code)
    if reserved.reply is None:
        return reserved
    again = replace(query, round_number=query.round_number + secrets.randbelow(10**6) + 1000)
    return _reserve(self, again, noise, code)


def with_twice_the_sigma(self: Ledger, *about: Any) -> Any:
    """Record more noise than there is."""
    entry = _entry(self, *about)
    return replace(entry, sigma=2 * entry.sigma)


def of_other_bytes(self: Ledger, entry: int, reply: bytes | None) -> Any:
    """Record the digest of something else than what is sent."""
    return _commit(self, entry, reply and reply + b"\0")
