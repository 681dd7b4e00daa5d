"""The door keeps the mu that it claims, and the check would notice if it did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privacy.door
from privacy.mechanism import add_noise
from privacy.query import Block, Contributions, FloatArray, IntArray, NoiseKind, SumQuery
from tests.privacy.distinguisher import QUERY, SIGMA, least_mu

CLAIMED = 1.25 / SIGMA  # the clipping norms are 1 and 0.75

Totals = Mapping[str, IntArray]


def test_claim_is_that_of_the_accountant() -> None:
    assert 1 / QUERY.noise_multiplier == CLAIMED == 1.0


@pytest.fixture(scope="module", params=list(NoiseKind))
def betrayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> float:
    """What the unbroken door betrays at least, by kind of noise."""
    return least_mu(tmp_path_factory.mktemp("door"), request.param)


def test_door_betrays_no_more_than_it_claims(betrayed: float) -> None:
    assert betrayed <= CLAIMED


def test_check_sees_nearly_all_that_is_betrayed(betrayed: float) -> None:
    assert betrayed >= 0.8 * CLAIMED


def half_the_noise(query: SumQuery, totals: Totals, *rest: Any, **more: Any) -> Any:
    return add_noise(replace(query, sigma=query.sigma / 2), totals, *rest, **more)


def noise_of_another_norm(query: SumQuery, totals: Totals, *rest: Any, **more: Any) -> Any:
    sigma = query.sigma / np.sqrt(2)
    return add_noise(replace(query, sigma=sigma), totals, *rest, **more)


def noise_for_the_longest_block_only(
    query: SumQuery, totals: Totals, *rest: Any, **more: Any
) -> Any:
    longest = max(block.clipping_norm for block in query.blocks)
    sigma = query.noise_multiplier * longest
    return add_noise(replace(query, sigma=sigma), totals, *rest, **more)


def no_noise_in_half_of_the_cells(
    query: SumQuery, totals: Totals, *rest: Any, **more: Any
) -> dict[str, FloatArray]:
    noised = add_noise(query, totals, *rest, **more)
    for name, part in noised.items():
        part[::2] = totals[name][::2] * query.step
    return noised


def no_noise_on_counts(
    query: SumQuery, totals: Totals, *rest: Any, **more: Any
) -> dict[str, FloatArray]:
    noised = add_noise(query, totals, *rest, **more)
    return noised | {"counts": (totals["counts"] * query.step).astype(np.float32)}


def unclipped_sum(query: SumQuery, block: Block, contributions: Contributions) -> IntArray:
    total = np.zeros((block.cells, block.width))
    np.add.at(total, contributions.cells, contributions.rows / query.step)
    return total.astype(np.int64)


def clipped_per_entry(query: SumQuery, block: Block, contributions: Contributions) -> IntArray:
    limited = contributions.rows.clip(-block.clipping_norm, block.clipping_norm)
    return unclipped_sum(query, block, Contributions(contributions.cells, limited))


def clipped_to_the_sensitivity(
    query: SumQuery, block: Block, contributions: Contributions
) -> IntArray:
    """Let each block alone use up what all of them may change together."""
    lengths = np.linalg.norm(contributions.rows, axis=1, keepdims=True)
    limited = contributions.rows / np.maximum(lengths / query.sensitivity, 1).astype(np.float32)
    return unclipped_sum(query, block, Contributions(contributions.cells, limited))


MUTANTS = [
    ("add_noise", half_the_noise),
    ("add_noise", noise_of_another_norm),
    ("add_noise", noise_for_the_longest_block_only),
    ("add_noise", no_noise_in_half_of_the_cells),
    ("add_noise", no_noise_on_counts),
    ("clipped_sum", unclipped_sum),
    ("clipped_sum", clipped_per_entry),
    ("clipped_sum", clipped_to_the_sensitivity),
]


@pytest.mark.parametrize(("step", "mutant"), MUTANTS)
def test_check_notices_a_broken_mechanism(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, mutant: Any
) -> None:
    monkeypatch.setattr(privacy.door, step, mutant)
    assert least_mu(tmp_path, NoiseKind.SEEDED) > CLAIMED


@pytest.mark.parametrize("mutant", [half_the_noise, noise_for_the_longest_block_only])
def test_check_notices_too_little_discrete_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: Any
) -> None:
    monkeypatch.setattr(privacy.door, "add_noise", mutant)
    assert least_mu(tmp_path, NoiseKind.DISCRETE) > CLAIMED
