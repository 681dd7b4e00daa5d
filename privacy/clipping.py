"""Clip each user's row, cut it down to the lattice, and sum: all exact from there on.

(cells, rows) of n users  ->  sum over users of clip(row) / step, per cell, in integers

Clipping is Opacus' ghost clipping on a sparse linear module. The module's
output for a user is ``<row, sums[cell]>``, so that the gradient of a user's
output with respect to ``sums`` is that user's row in that user's cell, and a
per-user gradient norm is a row norm. For moments the output is ``row W row``:
the gradient with respect to ``W`` is the row's outer product with itself, whose
norm is the row's squared. Opacus turns those norms into clipping factors (Li et
al. 2022, ghost clipping), and no array of shape (n_users, cells, width) ever
exists.

A clipped row is cut towards zero to integer multiples of the step, which never
makes it longer; where rounding in the clipping itself left it too long, it is
cut further. Doubles hold all these integers exactly, so the sum depends neither
on the order of the users nor on the batches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.grad_sample import (
    GradSampleModuleFastGradientClipping,
    register_norm_sampler,
)
from scipy.sparse import csr_matrix
from torch import nn

from privacy.query import (
    DIAGONAL,
    OFF_DIAGONAL,
    Block,
    Contributions,
    IntArray,
    SumQuery,
)

Doubles = NDArray[np.float64]

BATCH = 2048
"""Users clipped at a time; bounds the memory beyond the input to a few rows' worth."""


class _CellProduct(torch.autograd.Function):
    """``<row, sums[cell]>`` for each user, where ``sums`` is zero."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, cells: torch.Tensor, sums: torch.Tensor
    ) -> torch.Tensor:
        return rows.new_zeros(len(rows))  # the parameter is zero; only the norms are wanted

    @staticmethod
    def backward(ctx: Any, *weights: torch.Tensor) -> tuple[None, None, None]:
        return None, None, None  # Opacus has seen the outputs' gradients; the sum is taken below


class _QuadraticForm(torch.autograd.Function):
    """``<row, W row>`` for each user, where ``W`` is zero."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        return rows.new_zeros(len(rows))

    @staticmethod
    def backward(ctx: Any, *weights: torch.Tensor) -> tuple[None, None]:
        return None, None


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


class Moments(nn.Module):
    """A quadratic form whose per-user gradient is the user's row times itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(width, width, dtype=torch.float64))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return shape (n_users,)."""
        form: torch.Tensor = _QuadraticForm.apply(rows, self.matrix)  # type: ignore[no-untyped-call]
        return form


@register_norm_sampler(Moments)  # type: ignore[untyped-decorator]
def _squared_row_norms(
    layer: Moments, activations: list[torch.Tensor], backprops: torch.Tensor
) -> dict[nn.Parameter, torch.Tensor]:
    return {layer.matrix: backprops.abs() * activations[0].square().sum(dim=1)}


def clipped_sum(
    query: SumQuery, block: Block, contributions: Contributions, *, batch: int = BATCH
) -> IntArray:
    """Sum the users' rows, or their moments, each clipped to the block's clipping norm.

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
    int64, shape ``block.shape``
        In steps of the query's lattice. Exact, so it must not leave before
        noise has been added.
    """
    add = _add_moments if block.moments else _add_rows
    total = np.zeros(block.shape, dtype=np.int64)
    module = _with_ghost_norms(block)
    for start in range(0, len(contributions.cells), batch):
        # In C order, so that a row's norm is added up in the same way whoever stands beside it.
        part = np.ascontiguousarray(contributions.rows[start : start + batch])
        rows = torch.tensor(part, dtype=torch.float64, requires_grad=True)
        cells = contributions.cells[start : start + batch]
        factors = _clipping_factors(module, block, rows, torch.from_numpy(cells))
        on_lattice = _cut_to_lattice(
            rows.detach(), factors / query.row_step, query.longest_row(block)
        )
        add(total, on_lattice.numpy(), cells)
    return total


def _with_ghost_norms(block: Block) -> GradSampleModuleFastGradientClipping:
    return GradSampleModuleFastGradientClipping(
        Moments(block.width) if block.moments else CellSums(block.cells, block.width),
        max_grad_norm=block.clipping_norm**2 if block.moments else block.clipping_norm,
        loss_reduction="sum",
        use_ghost_clipping=True,
    )


def _clipping_factors(
    module: GradSampleModuleFastGradientClipping,
    block: Block,
    rows: torch.Tensor,
    cells: torch.Tensor,
) -> torch.Tensor:
    """Return what each user's row is to be multiplied with: shape (n_users,)."""
    outputs = module(rows) if block.moments else module(rows, cells)
    outputs.sum().backward()  # per-user norms, through Opacus' hooks
    factors: torch.Tensor = module.get_clipping_coef()
    module.zero_grad(set_to_none=True)
    return factors.sqrt() if block.moments else factors


def _add_rows(total: IntArray, on_lattice: Doubles, cells: IntArray) -> None:
    """Add the rows of each cell, those of touched cells only."""
    touched, places = np.unique(cells, return_inverse=True)
    users = np.arange(len(cells))
    shape = (len(touched), len(cells))
    membership = csr_matrix((np.ones(len(cells)), (places, users)), shape=shape)
    total[touched] += np.asarray(membership @ on_lattice, dtype=np.int64)


def _add_moments(total: IntArray, on_lattice: Doubles, cells: IntArray) -> None:
    """Add the rows' products: exact, as each is below 2^32 and a batch's sum below 2^53."""
    products = (on_lattice.T @ on_lattice).astype(np.int64) * OFF_DIAGONAL
    products[np.diag_indices_from(products)] //= OFF_DIAGONAL
    products[np.diag_indices_from(products)] *= DIAGONAL
    total += products[np.triu_indices_from(products)]


def _cut_to_lattice(rows: torch.Tensor, factors: torch.Tensor, longest: int) -> torch.Tensor:
    """Return ``trunc(factors * rows)``, every row's squared norm at most ``longest``.

    The integers stand in doubles, exactly: their squares add up to 2^50 at most.
    """
    cut = (rows * factors[:, None]).trunc_()
    too_long = np.flatnonzero(np.einsum("ij,ij->i", cut.numpy(), cut.numpy()) > longest)
    for user in too_long.tolist():
        row = cut[user]
        while float(row.square().sum()) > longest:
            largest = row.abs().argmax()
            row[largest] -= row[largest].sign()
    return cut
