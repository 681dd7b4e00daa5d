"""Clip each user's row, cut it down to the lattice, and sum: all exact from there on.

(cells, rows) of n users  ->  sum over users of clip(row) / step, per cell, in integers

Clipping is Opacus' ghost clipping on a sparse linear module. The module's
output for a user is ``<row, sums[cell]>``, so that the gradient of a user's
output with respect to ``sums`` is that user's row in that user's cell, and a
per-user gradient norm is a row norm. Opacus turns those norms into clipping
factors (Li et al. 2022, ghost clipping), and no array of shape
(n_users, cells, width) ever exists.

A clipped row is cut towards zero to integer multiples of the step, which never
makes it longer; where rounding in the clipping itself left it too long, it is
cut further. Doubles hold all these integers exactly, so the sum depends neither
on the order of the users nor on the batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from opacus.grad_sample import (
    GradSampleModuleFastGradientClipping,
    register_norm_sampler,
)
from torch import nn

from privacy.query import Block, Contributions, IntArray, SumQuery

BATCH = 2048
"""Users clipped at a time; bounds the memory beyond the input to a few rows' worth."""


class _CellProduct(torch.autograd.Function):
    """``<row, sums[cell]>`` for each user, with a sparse backward pass."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, cells: torch.Tensor, sums: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(rows, cells)
        ctx.shape = sums.shape
        return (rows * sums[cells]).sum(dim=1)

    @staticmethod
    def backward(ctx: Any, *weights: torch.Tensor) -> tuple[None, None, torch.Tensor]:
        rows, cells = ctx.saved_tensors
        total = rows.new_zeros(ctx.shape).index_add_(0, cells, weights[0][:, None] * rows)
        return None, None, total


class CellSums(nn.Module):
    """A linear map whose per-user gradient is the user's row in the user's cell."""

    def __init__(self, cells: int, width: int) -> None:
        super().__init__()
        self.sums = nn.Parameter(torch.zeros(cells, width, dtype=torch.float64))

    def forward(self, rows: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """Return shape (n_users,)."""
        product: torch.Tensor = _CellProduct.apply(rows, cells, self.sums)  # type: ignore[no-untyped-call]
        return product


@register_norm_sampler(CellSums)  # type: ignore[untyped-decorator]
def _row_norms(
    layer: CellSums, activations: list[torch.Tensor], backprops: torch.Tensor
) -> dict[nn.Parameter, torch.Tensor]:
    return {layer.sums: backprops.abs() * activations[0].norm(2, dim=1)}


def clipped_sum(
    query: SumQuery, block: Block, contributions: Contributions, *, batch: int = BATCH
) -> IntArray:
    """Sum the users' rows per cell, each clipped to the block's clipping norm.

    Parameters
    ----------
    query : SumQuery
        Gives the lattice.
    block : Block
        Shape and clipping norm.
    contributions : Contributions
        Finite rows; the caller has checked them.
    batch : int
        Users clipped at a time.

    Returns
    -------
    int64, shape (cells, width)
        In steps of the query's lattice. Exact, so it must not leave before
        noise has been added.
    """
    module = GradSampleModuleFastGradientClipping(
        CellSums(block.cells, block.width),
        max_grad_norm=block.clipping_norm,
        loss_reduction="sum",
        use_ghost_clipping=True,
    )
    longest = query.longest_row(block)
    total = torch.zeros(block.cells, block.width, dtype=torch.int64)
    for start in range(0, len(contributions.cells), batch):
        # In C order, so that a row's norm is added up in the same way whoever stands beside it.
        part = np.ascontiguousarray(contributions.rows[start : start + batch])
        rows = torch.tensor(part, dtype=torch.float64, requires_grad=True)
        cells = torch.from_numpy(contributions.cells[start : start + batch])
        module(rows, cells).sum().backward()  # per-user norms, through Opacus' hooks
        factors = module.get_clipping_coef()
        module.zero_grad(set_to_none=True)
        on_lattice = _cut_to_lattice(rows.detach(), factors / query.step, longest)
        partial = torch.zeros(total.shape, dtype=torch.float64)
        total += partial.index_add_(0, cells, on_lattice).to(torch.int64)
    return np.asarray(total.numpy())


def _cut_to_lattice(rows: torch.Tensor, factors: torch.Tensor, longest: int) -> torch.Tensor:
    """Return ``trunc(factors * rows)``, every row's squared norm at most ``longest``.

    The integers stand in doubles, exactly: their squares add up to about 2^50.
    """
    cut = (rows * factors[:, None]).trunc_()
    too_long = torch.nonzero(cut.square().sum(dim=1) > longest).flatten()
    for user in too_long.tolist():
        row = cut[user]
        while float(row.square().sum()) > longest:
            largest = row.abs().argmax()
            row[largest] -= row[largest].sign()
    return cut
