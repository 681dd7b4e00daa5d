"""The door keeps the mu that it claims, and the check would notice if it did not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from opacus.grad_sample import GradSampleModuleFastGradientClipping

import privacy.clipping
import privacy.door
from privacy.audit.distinguishing import distinguish
from privacy.audit.noise_draws import MULTIPLIER, draw_cells
from privacy.mechanism import add_noise
from privacy.query import (
    OFF_DIAGONAL,
    Block,
    Contributions,
    FloatArray,
    IntArray,
    NoiseKind,
    SumQuery,
)
from tests.privacy.examples import a_block, a_query, users

CLAIMED = 1 / MULTIPLIER
CELLS = 4000
ERROR = 1e-6
"""Probability with which the bound may be wrong."""

Totals = Mapping[str, IntArray]


def least_mu(folder: Path, kind: NoiseKind) -> float:
    """Return what a door's answers betray at least of the target."""
    draws = draw_cells(folder, kind, 0, CELLS)
    return distinguish(draws.evidence_there, draws.evidence_absent, threshold=0.5, error=ERROR).mu


def test_claim_is_that_of_the_accountant(tmp_path: Path) -> None:
    claimed = draw_cells(tmp_path, NoiseKind.SEEDED, 0, 10).mu
    assert claimed == CLAIMED == 2.0


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


# Second moments: one release has no cells to repeat the trial in, so the change that one user
# makes is compared with what is declared.

MOMENTS = replace(a_block("moments", cells=1, width=3, clipping_norm=0.5), moments=True)
MOMENTS_QUERY = a_query(MOMENTS, sigma=50.0)
TARGETS = [[1e3, 0.0, 0.0], [0.0, -1e3, 0.0], [7.0, -7.0, 7.0], [0.3, 0.4, 0.0], [1e6, 1e6, 1.0]]


def largest_change() -> float:
    """Return the largest change that a target makes, over the declared sensitivity."""
    people = users([[0.1, 0.2, -0.1]], width=3)
    without = privacy.clipping.clipped_sum(MOMENTS_QUERY, MOMENTS, people)
    changes = [
        privacy.clipping.clipped_sum(
            MOMENTS_QUERY, MOMENTS, users([*people.rows.tolist(), target], width=3)
        )
        - without
        for target in TARGETS
    ]
    lengths = [math.sqrt(sum(int(entry) ** 2 for entry in change[0])) for change in changes]
    return max(lengths) * MOMENTS_QUERY.step / MOMENTS_QUERY.sensitivity


def test_one_user_changes_moments_by_what_is_declared_and_nearly_so_much() -> None:
    assert 0.99 < largest_change() <= 1.0


def to_the_norm_not_its_square(block: Block) -> Any:
    return GradSampleModuleFastGradientClipping(
        privacy.clipping.Moments(block.width),
        max_grad_norm=block.clipping_norm,
        loss_reduction="sum",
        use_ghost_clipping=True,
    )


def coefficient_without_its_root(
    module: Any, block: Block, rows: npt.NDArray[np.float64], cells: IntArray
) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1)
    return np.asarray(np.minimum(1.0, block.clipping_norm / lengths) ** 0.5)


def only_truncated(rows: npt.NDArray[np.float64], factors: Any, longest: int) -> None:
    rows *= factors[:, None]
    np.trunc(rows, out=rows)


MOMENT_MUTANTS = [
    {"_with_ghost_norms": to_the_norm_not_its_square},
    {"_clipping_factors": coefficient_without_its_root},
    {"OFF_DIAGONAL": 2 * OFF_DIAGONAL},
    {"DIAGONAL": OFF_DIAGONAL},
]


@pytest.mark.parametrize("mutants", MOMENT_MUTANTS, ids=lambda mutants: next(iter(mutants)))
def test_check_notices_moments_that_change_too_much(
    monkeypatch: pytest.MonkeyPatch, mutants: dict[str, Any]
) -> None:
    # The last resort, cutting what is still too long, would mend some of them.
    monkeypatch.setattr(privacy.clipping, "_cut_to_lattice", only_truncated)
    for name, mutant in mutants.items():
        monkeypatch.setattr(privacy.clipping, name, mutant)
    assert largest_change() > 1.001
