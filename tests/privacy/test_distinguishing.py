"""The door keeps the mu that it claims, and the check would notice if it did not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import privacy.door
from privacy.mechanism import add_noise
from privacy.query import Block, Contributions
from tests.privacy.distinguisher import least_mu

SIGMA = 1.5
CLAIMED = 1 / SIGMA  # the clipping norm is 1
ROW = np.array([3.0, -4.0], dtype=np.float32)


def betrays(folder: Path) -> float:
    return least_mu(folder, row=ROW, sigma=SIGMA)


def test_door_betrays_no_more_than_it_claims(tmp_path: Path) -> None:
    assert betrays(tmp_path) <= CLAIMED


def test_check_sees_nearly_all_that_is_betrayed(tmp_path: Path) -> None:
    assert betrays(tmp_path) >= 0.8 * CLAIMED


def half_the_noise(block: Block, total: torch.Tensor, *, sigma: float, **rest: Any) -> torch.Tensor:
    return add_noise(block, total, sigma=sigma / 2, **rest)


def noise_of_another_norm(
    block: Block, total: torch.Tensor, *, sigma: float, **rest: Any
) -> torch.Tensor:
    return add_noise(block, total, sigma=sigma / np.sqrt(2), **rest)


def no_noise_in_half_of_the_cells(block: Block, total: torch.Tensor, **rest: Any) -> torch.Tensor:
    noised = add_noise(block, total, **rest)
    noised[::2] = total[::2]
    return noised


def unclipped_sum(block: Block, contributions: Contributions) -> torch.Tensor:
    total = torch.zeros(block.cells, block.width)
    cells = torch.from_numpy(contributions.cells)
    return total.index_add_(0, cells, torch.from_numpy(contributions.rows))


def clipped_per_entry(block: Block, contributions: Contributions) -> torch.Tensor:
    limited = contributions.rows.clip(-block.clipping_norm, block.clipping_norm)
    return unclipped_sum(block, Contributions(contributions.cells, limited))


@pytest.mark.parametrize(
    ("step", "mutant"),
    [
        ("add_noise", half_the_noise),
        ("add_noise", noise_of_another_norm),
        ("add_noise", no_noise_in_half_of_the_cells),
        ("clipped_sum", unclipped_sum),
        ("clipped_sum", clipped_per_entry),
    ],
)
def test_check_notices_a_broken_mechanism(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, mutant: Any
) -> None:
    monkeypatch.setattr(privacy.door, step, mutant)
    assert betrays(tmp_path) > CLAIMED
