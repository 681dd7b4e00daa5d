"""Faults of the noise: too little, none, the same again.

Each is the installed ``add_noise`` with a few lines around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import privacy.door
from privacy.mechanism import NoiseSource, add_noise, generator_from
from privacy.query import FloatArray, SumQuery

IntArray = NDArray[np.int64]
Totals = Mapping[str, IntArray]
Noised = dict[str, FloatArray]
Patches = list[tuple[Any, str, Any]]
"""What is replaced, and by what: an owner, the name of its attribute, the fault."""


def with_sigma(of: Callable[[SumQuery, int], float]) -> Patches:
    """Add noise of another sigma than the query's: a function of it and the entry's number."""

    def noise(
        query: SumQuery, totals: Totals, source: NoiseSource, *, owner: str, entry: int
    ) -> Noised:
        other = replace(query, sigma=of(query, entry))
        return add_noise(other, totals, source, owner=owner, entry=entry)

    return [(privacy.door, "add_noise", noise)]


def after_noise(change: Callable[[SumQuery, Totals, Noised], Noised]) -> Patches:
    """Change what has its noise already."""

    def noise(
        query: SumQuery, totals: Totals, source: NoiseSource, *, owner: str, entry: int
    ) -> Noised:
        return change(query, totals, add_noise(query, totals, source, owner=owner, entry=entry))

    return [(privacy.door, "add_noise", noise)]


def reshape_noise(change: Callable[[SumQuery, Noised], Noised]) -> Patches:
    """Draw noise as it is meant, make other noise of it, and add that to the sums."""

    def noise(
        query: SumQuery, totals: Totals, source: NoiseSource, *, owner: str, entry: int
    ) -> Noised:
        zeros = {name: np.zeros_like(total) for name, total in totals.items()}
        drawn = change(query, add_noise(query, zeros, source, owner=owner, entry=entry))
        return {
            name: (total * query.step + drawn[name]).astype(np.float32)
            for name, total in totals.items()
        }

    return [(privacy.door, "add_noise", noise)]


def no_noise_where_nobody_is(query: SumQuery, totals: Totals, noised: Noised) -> Noised:
    """Leave cells that nobody touched at 0, as sparse histograms do."""
    return {name: np.where(totals[name] == 0, np.float32(0), part) for name, part in noised.items()}


def exact_mean_in_one_entry(query: SumQuery, totals: Totals, noised: Noised) -> Noised:
    """Put an exact mean where a noisy entry belongs."""
    name = query.blocks[0].name
    exact = noised[name].copy()
    exact[0, -1] = np.abs(totals[name]).mean() * query.step
    return noised | {name: exact}


def no_noise_in_one_of_a_thousand(query: SumQuery, totals: Totals, noised: Noised) -> Noised:
    """Leave single entries as they are."""
    bare = {}
    for name, part in noised.items():
        flat = part.ravel().copy()
        flat[::1000] = totals[name].ravel()[::1000] * query.step
        bare[name] = flat.reshape(part.shape)
    return bare


def one_noise_for_all_blocks(query: SumQuery, drawn: Noised) -> Noised:
    """Give every block the noise of the first."""
    first = drawn[query.blocks[0].name].ravel()
    return {name: np.resize(first, part.shape) for name, part in drawn.items()}


def noise_of_a_short_period(query: SumQuery, drawn: Noised) -> Noised:
    """Use the first 500 numbers again and again."""
    return {name: np.resize(part.ravel()[:500], part.shape) for name, part in drawn.items()}


def laplace(query: SumQuery, drawn: Noised) -> Noised:
    """Noise of the promised variance, but of another distribution."""
    rng = np.random.default_rng(
        np.frombuffer(drawn[query.blocks[0].name].tobytes()[:64], np.uint32)
    )
    scale = query.sigma / np.sqrt(2)
    return {
        name: rng.laplace(0, scale, part.shape).astype(np.float32) for name, part in drawn.items()
    }


def little_noise_in_the_last_block(query: SumQuery, drawn: Noised) -> Noised:
    """Give the last block a quarter of the noise."""
    last = query.blocks[-1].name
    return drawn | {last: drawn[last] / np.float32(4)}


def less_and_less(query: SumQuery, entry: int) -> float:
    """Return a sigma that falls with the ledger's entries."""
    return float(query.sigma / entry**0.5)


def same_seed(material: bytes) -> Any:
    """Seed every generator alike, whatever the operating system gave."""
    return generator_from(b"seed")


def discrete_of_one_seed(total: IntArray, scale: float) -> IntArray:
    """Draw discrete noise from a seed that is always the same."""
    noise = np.random.default_rng(0).normal(0, scale, len(total))
    return np.asarray(total + np.rint(noise).astype(np.int64))


def same_generator(self: NoiseSource, owner: str, entry: int) -> Any:
    """Give all seeds and owners the same noise."""
    return generator_from(f"{entry}".encode())


def generator_of_owner(self: NoiseSource, owner: str, entry: int) -> Any:
    """Forget that each entry has its own noise."""
    return generator_from(f"{self.seed}/{owner}".encode())
