"""Clip each user's row and sum: Opacus' ghost clipping on a sparse linear module.

(cells, rows) of n users  ->  sum over users of clip(row), per cell

The module's output for a user is ``<row, sums[cell]>``, so that the gradient of
a user's output with respect to ``sums`` is that user's row in that user's cell,
and a per-user gradient norm is a row norm. Opacus turns those norms into
clipping factors (Li et al. 2022, ghost clipping) and the reweighted backward
pass is one ``index_add_``: no array of shape (n_users, cells, width) exists.
"""

from __future__ import annotations

from typing import Any

import torch
from opacus.grad_sample import (
    GradSampleModuleFastGradientClipping,
    register_norm_sampler,
)
from torch import nn

from privacy.query import Block, Contributions

BATCH = 8192
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


def clipped_sum(block: Block, contributions: Contributions, *, batch: int = BATCH) -> torch.Tensor:
    """Sum the users' rows per cell, each clipped to the block's clipping norm.

    Parameters
    ----------
    block : Block
        Shape and clipping norm.
    contributions : Contributions
        Finite rows; the caller has checked them.
    batch : int
        Users clipped at a time.

    Returns
    -------
    float64 tensor, shape (cells, width)
        In double precision, so that rounding does not add to the sensitivity.
        Exact, so it must not leave before noise has been added.
    """
    module = GradSampleModuleFastGradientClipping(
        CellSums(block.cells, block.width),
        max_grad_norm=block.clipping_norm,
        loss_reduction="sum",
        use_ghost_clipping=True,
    )
    total = torch.zeros(block.cells, block.width, dtype=torch.float64)
    for start in range(0, len(contributions.cells), batch):
        rows = torch.tensor(
            contributions.rows[start : start + batch], dtype=torch.float64, requires_grad=True
        )
        cells = torch.from_numpy(contributions.cells[start : start + batch])
        module.enable_hooks()
        outputs = module(rows, cells)
        outputs.sum().backward(retain_graph=True)  # per-user norms, through Opacus' hooks
        factors = module.get_clipping_coef()
        module.zero_grad(set_to_none=True)
        module.disable_hooks()
        (factors * outputs).sum().backward()  # the clipped sum
        (sums,) = module.parameters()
        total += sums.grad
        module.zero_grad(set_to_none=True)
    return total
