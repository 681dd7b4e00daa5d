"""Adding or removing one user changes a query's exact answer by at most its sensitivity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privacy.clipping import BATCH, clipped_sum
from privacy.query import Block, Contributions, SumQuery
from tests.privacy.examples import a_block, a_query, distance, users

ROUNDING = 1e-5
"""Relative; what float32 does to sums of a dozen users."""

LENGTHS = (0.0, 1e-38, 1e-30, 1e-6, 0.5, 1.0, 1.0 + 1e-6, 2.0, 1e10, 1e18, 1e30)
"""Of a user's row, in clipping norms: nothing, tiny, within, exact, just beyond, huge."""


@dataclass(frozen=True)
class Neighbours:
    """A query, and data sets of which one has one user more."""

    query: SumQuery
    everybody: dict[str, Contributions]
    one_less: dict[str, Contributions]


@st.composite
def rows(draw: st.DrawFn, n: int, block: Block) -> npt.NDArray[np.float32]:
    entry = st.integers(-3, 3)
    directions = draw(
        st.lists(
            st.lists(entry, min_size=block.width, max_size=block.width), min_size=n, max_size=n
        )
    )
    lengths = draw(st.lists(st.sampled_from(LENGTHS), min_size=n, max_size=n))
    array = np.array(directions, dtype=np.float64).reshape(n, block.width)
    norms = np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1.0)
    scale = np.array(lengths).reshape(n, 1) * block.clipping_norm
    clean: npt.NDArray[np.float64] = array / norms * scale
    return clean.astype(np.float32)


@st.composite
def neighbours(draw: st.DrawFn) -> Neighbours:
    n = draw(st.integers(1, 8))
    removed = draw(st.integers(0, n - 1))
    blocks, everybody, one_less = [], {}, {}
    for name in draw(st.sampled_from([("sums",), ("sums", "counts")])):
        block = a_block(
            name,
            cells=draw(st.integers(1, 3)),
            width=draw(st.integers(1, 4)),
            clipping_norm=draw(st.sampled_from([1e-3, 0.1, 1.0, 2.0, 100.0])),
        )
        cell = st.integers(0, block.cells - 1)
        cells = np.array(draw(st.lists(cell, min_size=n, max_size=n)), dtype=np.int64)
        array = draw(rows(n, block))
        blocks.append(block)
        everybody[name] = Contributions(cells, array)
        one_less[name] = Contributions(np.delete(cells, removed), np.delete(array, removed, axis=0))
    return Neighbours(a_query(*blocks), everybody, one_less)


def exact_answer(
    query: SumQuery, contributions: dict[str, Contributions]
) -> dict[str, npt.NDArray[np.float32]]:
    return {
        block.name: clipped_sum(block, contributions[block.name]).numpy() for block in query.blocks
    }


@given(neighbours())
@example(
    Neighbours(
        a_query(a_block(cells=1, width=1), a_block("counts", cells=1, width=1)),
        {"sums": users([[1.0]], width=1), "counts": users([[1.0]], width=1)},
        {"sums": users([], width=1), "counts": users([], width=1)},
    )
)
@settings(max_examples=80, deadline=None)
def test_one_user_changes_the_answer_by_at_most_the_sensitivity(case: Neighbours) -> None:
    change = distance(
        exact_answer(case.query, case.everybody), exact_answer(case.query, case.one_less)
    )
    assert change <= case.query.sensitivity * (1 + ROUNDING)


def test_the_sensitivity_is_not_larger_than_it_must_be() -> None:
    query = a_query(a_block(), a_block("counts", width=1, clipping_norm=0.5))
    alone = {"sums": users([[30.0, 40.0]]), "counts": users([[9.0]], width=1)}
    nobody = {"sums": users([]), "counts": users([], width=1)}
    change = distance(exact_answer(query, alone), exact_answer(query, nobody))
    assert change == pytest.approx(query.sensitivity, rel=1e-4)


def test_rounding_in_a_large_silo_does_not_exceed_the_sensitivity() -> None:
    block = a_block(cells=1, width=1)
    silo = silo_that_rounds_down_or_up()
    newcomer = np.full((1, 1), 0.75, dtype=np.float32)
    without = clipped_sum(block, users(silo, width=1))
    together = clipped_sum(block, users(np.vstack([newcomer, silo]), width=1))
    assert float((together.double() - without.double()).abs()) <= 1 + 1e-3


def silo_that_rounds_down_or_up() -> npt.NDArray[np.float32]:
    """Make 455,000 users whose sum, in float32, rounds down in every batch but the first 22.

    One user more in front moves each batch's last user into the next batch, and
    all of these batches round up instead.
    """
    grid = 2.0**-6  # what float32 can tell apart in sums between 2^17 and 2^18
    step = 2.0**-12
    silo = np.zeros((56, BATCH, 1), dtype=np.float32)
    silo[:22] = 0.75
    last = 0.5 - step * np.arange(34)
    silo[22:, -1, 0] = last
    silo[22:, 0, 0] = 0.5 + grid / 2 - step / 2 - last
    return silo.reshape(-1, 1)
