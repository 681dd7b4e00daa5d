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

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.grad_sample import (
    GradSampleModuleFastGradientClipping,
    register_norm_sampler,
)
from scipy.sparse import csc_matrix
from torch import nn

from privacy.query import (
    DIAGONAL,
    OFF_DIAGONAL,
    Block,
    Contributions,
    IntArray,
    SumQuery,
)
from privacy.row_norms import squared_norms

Doubles = NDArray[np.float64]

# The rows need no gradient: it would be zeros, in an array as large as they are.
warnings.filterwarnings("ignore", message="Full backward hook is firing when gradients are")

BATCH_ENTRIES = 2**21
"""Entries of the rows whose norms Opacus takes at a time, so at most as many users."""
CACHED_ENTRIES = 2**18
"""Entries of the rows that are doubles at a time: 2 MB, which a processor's cache holds."""


class _CellProduct(torch.autograd.Function):
    """``<row, sums[cell]>`` for each user, where ``sums`` is zero."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, cells: torch.Tensor, sums: torch.Tensor
    ) -> torch.Tensor:
        return sums.new_zeros(len(rows))  # the parameter is zero; only the norms are wanted

    @staticmethod
    def backward(ctx: Any, *weights: torch.Tensor) -> tuple[None, None, None]:
        return None, None, None  # Opacus has seen the outputs' gradients; the sum is taken below


class _QuadraticForm(torch.autograd.Function):
    """``<row, W row>`` for each user, where ``W`` is zero."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        return matrix.new_zeros(len(rows))

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
    return {layer.sums: backprops.abs() * torch.from_numpy(np.sqrt(_squared_norms(activations)))}


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
    return {layer.matrix: backprops.abs() * torch.from_numpy(_squared_norms(activations))}


def _squared_norms(activations: list[torch.Tensor]) -> Doubles:
    """Return shape (n_users,). By NumPy: torch's threads would cost more than they bring."""
    rows = activations[0].numpy()
    norms = np.empty(len(rows))
    for some, doubles in _as_doubles(rows):
        norms[some] = squared_norms(doubles)
    return norms


def _as_doubles(rows: NDArray[Any]) -> Iterator[tuple[slice, Doubles]]:
    """Go through the rows, some at a time, each time in the same memory: it may be changed.

    In C order, so that a row's norm is added up in the same way whoever stands beside it.
    """
    step = max(CACHED_ENTRIES // rows.shape[1], 1)
    buffer = np.empty((min(step, len(rows)), rows.shape[1]))
    for start in range(0, len(rows), step):
        some = slice(start, min(start + step, len(rows)))
        doubles = buffer[: some.stop - start]
        doubles[:] = rows[some]
        yield some, doubles


def clipped_sum(
    query: SumQuery, block: Block, contributions: Contributions, *, batch: int | None = None
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
    batch : int, optional
        Users clipped at a time; ``BATCH_ENTRIES`` over the width unless given.

    Returns
    -------
    int64, shape ``block.shape``
        In steps of the query's lattice. Exact, so it must not leave before
        noise has been added.
    """
    total = np.zeros(block.shape, dtype=np.int64)
    module = _with_ghost_norms(block)
    batch = batch or max(BATCH_ENTRIES // block.width, 1)
    for start in range(0, len(contributions.cells), batch):
        rows = contributions.rows[start : start + batch]
        cells = contributions.cells[start : start + batch]
        factors = _clipping_factors(module, block, rows, cells) / query.row_step
        on_lattice = _on_lattice(rows, factors, query.longest_row(block))
        if block.moments:
            total += _sum_of_moments(on_lattice, block.width)
        else:
            touched, places = np.unique(cells, return_inverse=True)
            total[touched] += _sums_of_rows(on_lattice, places, (len(touched), block.width))
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
    rows: NDArray[Any],
    cells: IntArray,
) -> Doubles:
    """Return what each user's row is to be multiplied with: shape (n_users,)."""
    tensors = [torch.from_numpy(np.require(rows, requirements=["C", "W"]))]
    if not block.moments:
        tensors.append(torch.from_numpy(cells))
    module(*tensors).sum().backward()  # per-user norms, through Opacus' hooks
    factors: Doubles = module.get_clipping_coef().numpy()
    module.zero_grad(set_to_none=True)
    return np.sqrt(factors) if block.moments else factors


def _on_lattice(
    rows: NDArray[Any], factors: Doubles, longest: int
) -> Iterator[tuple[slice, Doubles]]:
    """Go through the clipped rows, some at a time, in whole steps."""
    for some, clipped in _as_doubles(rows):
        _cut_to_lattice(clipped, factors[some], longest)
        yield some, clipped


def _sums_of_rows(
    on_lattice: Iterator[tuple[slice, Doubles]], cells: IntArray, shape: tuple[int, int]
) -> IntArray:
    """Sum the rows of each cell: exact, as each is below 2^25 and there are at most 2^21 users."""
    sums = np.zeros(shape)
    for some, rows in on_lattice:
        one_each = np.ones(len(rows)), cells[some], np.arange(len(rows) + 1)
        sums += np.asarray(csc_matrix(one_each, shape=(shape[0], len(rows))) @ rows)
    return sums.astype(np.int64)


def _sum_of_moments(on_lattice: Iterator[tuple[slice, Doubles]], width: int) -> IntArray:
    """Sum the rows' products: exact, as each is below 2^32 and of at most 2^21 users."""
    sums = np.zeros((width, width))
    for _, rows in on_lattice:
        sums += rows.T @ rows
    products = sums.astype(np.int64) * OFF_DIAGONAL
    products[np.diag_indices_from(products)] //= OFF_DIAGONAL
    products[np.diag_indices_from(products)] *= DIAGONAL
    return products[np.triu_indices_from(products)]


def _cut_to_lattice(rows: Doubles, factors: Doubles, longest: int) -> None:
    """Make ``rows`` into ``trunc(factors * rows)``, every squared norm at most ``longest``.

    The integers stand in doubles, exactly: their squares add up to 2^50 at most.
    """
    rows *= factors[:, None]
    np.trunc(rows, out=rows)
    for user in np.flatnonzero(np.vecdot(rows, rows) > longest).tolist():
        row = rows[user]
        while np.vecdot(row, row) > longest:
            largest = np.abs(row).argmax()
            row[largest] -= np.sign(row[largest])
