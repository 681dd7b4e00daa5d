"""Clipping bounds what one user adds, exactly; everything else stays as it is."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import privacy.clipping
from privacy.clipping import clipped_sum
from privacy.query import Contributions, IntArray, SumQuery
from tests.privacy.examples import a_block, a_query, users

Rows = npt.NDArray[Any]

OPACUS_MARGIN = Fraction(1e-6)
"""Opacus clips to C / (norm + 1e-6)."""
LONGEST_IN_A_DOUBLE = 1e150
"""Rows beyond have squares that no double holds; they are only known not to add too much."""
NORMS = st.one_of(
    st.sampled_from([1e-6, 2.0**-3, 0.7, 1.0, math.nextafter(1.0, 0), 3.0, 1e6]),
    st.floats(-6, 6).map(lambda exponent: min(max(10.0**exponent, 1e-6), 1e6)),
)


def asking(norm: float, *, cells: int = 1, width: int = 1, second: float | None = None) -> SumQuery:
    """Ask for one block; a second one makes the lattice coarser than the first needs."""
    blocks = [a_block(cells=cells, width=width, clipping_norm=norm)]
    if second is not None:
        blocks.append(a_block("counts", cells=cells, width=1, clipping_norm=second))
    return a_query(*blocks, sigma=2 * math.hypot(norm, second or 0.0))


def sum_of(query: SumQuery, rows: Rows, cells: IntArray | None = None, **more: int) -> IntArray:
    where = np.zeros(len(rows), np.int64) if cells is None else cells
    return clipped_sum(query, query.blocks[0], Contributions(where, rows), **more)


def squared_length(row: IntArray) -> int:
    return sum(int(entry) ** 2 for entry in row.ravel())


def oracle_row(row: Rows, norm: float, step: float) -> list[int]:
    """Clip one row and cut it to the lattice, in whole numbers and fractions only."""
    exact = [Fraction(float(entry)) for entry in row]
    squared = sum((entry**2 for entry in exact), Fraction())
    digits = 2**1200  # the root is taken of an integer so large that nothing is lost
    length = Fraction(math.isqrt(int(squared * digits**2)), digits)
    factor = min(Fraction(1), Fraction(norm) / (length + OPACUS_MARGIN))
    return [int(entry * factor / Fraction(step)) for entry in exact]


@st.composite
def crowds(draw: st.DrawFn, *, norm: float, largest: float = 1e300, most: int = 4) -> Rows:
    """Draw rows of several users: of any length, all alike, with ties, or right at the norm."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    width = draw(st.one_of(st.integers(1, 9), st.sampled_from([16, 33, 100, 384, 400])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    top = math.log10(min(largest, 1e37) if dtype is np.float32 else largest)
    shapes = draw(st.lists(st.sampled_from(list(SHAPES)), min_size=1, max_size=most))
    rows = [SHAPES[shape](rng, width, norm, top) for shape in shapes]
    with np.errstate(under="ignore"):
        return np.array(rows).astype(dtype)


def any_length(rng: np.random.Generator, width: int, norm: float, top: float) -> Rows:
    return rng.standard_normal(width) / (8 * width) * 10 ** rng.uniform(-300, top)


def any_entries(rng: np.random.Generator, width: int, norm: float, top: float) -> Rows:
    signs = rng.choice([-1.0, 1.0], width)
    return signs * 10 ** rng.uniform(-300, top, width) / width


def about_the_norm(rng: np.random.Generator, width: int, norm: float, top: float) -> Rows:
    row = rng.standard_normal(width)
    length = norm * rng.choice([0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 3.0])
    return np.asarray(row / np.linalg.norm(row) * length)


def ties(rng: np.random.Generator, width: int, norm: float, top: float) -> Rows:
    return np.asarray(rng.choice([-1.0, 0.0, 1.0], width) * norm * rng.choice([1e-3, 1.0, 7.0]))


def one_entry(rng: np.random.Generator, width: int, norm: float, top: float) -> Rows:
    beside = [norm, math.nextafter(norm, 0), math.nextafter(norm, math.inf), 1e30]
    row = np.zeros(width)
    row[rng.integers(width)] = rng.choice(beside) * rng.choice([-1.0, 1.0])
    return row


def nothing(rng: np.random.Generator, width: int, norm: float, top: float) -> Rows:
    return np.zeros(width)


SHAPES = {
    "any length": any_length,
    "any entries": any_entries,
    "about the norm": about_the_norm,
    "ties": ties,
    "one entry": one_entry,
    "nothing": nothing,
}


@given(data=st.data(), norm=NORMS, second=st.none() | NORMS)
@settings(max_examples=80, deadline=None)
def test_no_user_adds_more_than_the_longest_row(
    data: st.DataObject, norm: float, second: float | None
) -> None:
    rows = data.draw(crowds(norm=norm))
    query = asking(norm, width=rows.shape[1], second=second)
    for row in rows:
        assert squared_length(sum_of(query, row[None])) <= query.longest_row(query.blocks[0])


@pytest.mark.parametrize(
    "length", [0.0, 1e-38, 1e-6, 0.5, 1.0, math.nextafter(1.0, 2), 1.0 + 1e-6, 3.0, 1e10, 1e30]
)
def test_no_user_adds_more_than_the_clipping_norm(length: float) -> None:
    query = asking(1.0, width=2)
    found = sum_of(query, users([0.6 * length, -0.8 * length]).rows)
    longest = min(length * (1 + 1e-6), 1.0)  # the row was in single precision
    assert squared_length(found) * Fraction(query.step) ** 2 <= longest**2


@given(data=st.data(), norm=NORMS, second=st.none() | NORMS)
@settings(max_examples=60, deadline=None)
def test_each_row_is_what_exact_arithmetic_gives_to_one_step(
    data: st.DataObject, norm: float, second: float | None
) -> None:
    rows = data.draw(crowds(norm=norm, largest=LONGEST_IN_A_DOUBLE, most=2))
    query = asking(norm, width=rows.shape[1], second=second)
    for row in rows:
        expected = oracle_row(row, norm, query.step)
        assert np.abs(sum_of(query, row[None])[0] - expected).max() <= 1


@given(data=st.data(), norm=NORMS)
@settings(max_examples=40, deadline=None)
def test_clipping_keeps_the_direction(data: st.DataObject, norm: float) -> None:
    rows = data.draw(crowds(norm=norm, largest=LONGEST_IN_A_DOUBLE, most=1)).astype(np.float64)
    lengths = np.linalg.norm(rows / max(np.abs(rows).max(), 1e-300))
    assume(lengths > 0)
    query = asking(norm, width=rows.shape[1])
    found = sum_of(query, rows)[0].astype(np.float64)
    direction = rows[0] / np.abs(rows[0]).max() / lengths
    # What is left across the direction comes from cutting each entry to the lattice.
    across = found - (found @ direction) * direction
    assert np.linalg.norm(across) <= math.sqrt(rows.shape[1]) + 1e-6
    assert found @ direction >= -1e-6


@given(data=st.data(), norm=NORMS, cells=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_batches_order_and_layout_do_not_matter_to_the_last_bit(
    data: st.DataObject, norm: float, cells: int
) -> None:
    rows = data.draw(crowds(norm=norm, most=9))
    n = len(rows)
    order = np.array(data.draw(st.permutations(range(n))))
    where = np.array(data.draw(st.lists(st.integers(0, cells - 1), min_size=n, max_size=n)))
    query = asking(norm, cells=cells, width=rows.shape[1])
    together = sum_of(query, rows, where)
    for batch in (1, 2, max(n - 1, 1)):
        np.testing.assert_array_equal(sum_of(query, rows, where, batch=batch), together)
    np.testing.assert_array_equal(sum_of(query, rows[order], where[order]), together)
    np.testing.assert_array_equal(sum_of(query, np.asfortranarray(rows), where), together)
    wider = np.repeat(rows, 2, axis=1)[:, ::2]  # every second column of another array
    np.testing.assert_array_equal(sum_of(query, wider, where), together)


@given(data=st.data(), norm=NORMS)
@settings(max_examples=30, deadline=None)
def test_a_users_row_is_the_same_alone_and_in_company(data: st.DataObject, norm: float) -> None:
    rows = data.draw(crowds(norm=norm, most=6))
    query = asking(norm, cells=len(rows), width=rows.shape[1])
    together = sum_of(query, rows, np.arange(len(rows)))
    for number, row in enumerate(rows):
        np.testing.assert_array_equal(sum_of(query, row[None])[0], together[number])


@pytest.mark.parametrize("width", [8191, 20_000, 70_001])
def test_a_wide_row_is_the_same_alone_and_in_company(width: int) -> None:
    # So wide that libraries add it up in parts, and perhaps in several threads.
    rows = np.random.default_rng(width).standard_normal((5, width)).astype(np.float32)
    query = asking(1.0, cells=len(rows), width=width)
    together = sum_of(query, rows, np.arange(len(rows)))
    for number, row in enumerate(rows):
        np.testing.assert_array_equal(sum_of(query, row[None])[0], together[number])


def on_the_edge(norm: float, entry: float, *, order: str) -> tuple[SumQuery, Rows]:
    """Ask with a norm at which the last bit of a row's length moves all of its entries."""
    rows = np.full((2, 384), entry)
    return asking(norm, width=384), rows if order == "C" else np.asfortranarray(rows)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("norm", "entry"),
    [
        (0.9000001792047866, 101.78386069110127),
        (0.9000001789115301, 290.73201095156605),
        (0.9000001790524331, 153.6693756201639),
    ],
)
def test_company_does_not_move_a_row_on_the_edge_of_two_lattice_points(
    norm: float, entry: float, order: str
) -> None:
    query, rows = on_the_edge(norm, entry, order=order)
    change = sum_of(query, rows) - sum_of(query, rows[:1])
    assert squared_length(change) <= query.longest_row(query.blocks[0])
    np.testing.assert_array_equal(change, sum_of(query, rows[1:]))


@pytest.mark.parametrize("batch", [1, 2, 7, 99, 100, 101, 8192])
def test_a_large_crowd_adds_up_exactly_in_any_batches(batch: int) -> None:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(100, 3)) * rng.lognormal(sigma=2.0, size=(100, 1))).astype(np.float32)
    cells = rng.integers(4, size=100)
    query = asking(1.0, cells=4, width=3)
    expected = np.zeros((4, 3), np.int64)
    for cell, row in zip(cells, rows, strict=True):
        expected[cell] += sum_of(query, row[None])[0]
    np.testing.assert_array_equal(sum_of(query, rows, cells, batch=batch), expected)


@pytest.mark.parametrize("moments", [False, True])
@pytest.mark.parametrize("entries", [1, 3, 10, 299, 300])
def test_how_many_rows_are_doubles_at_a_time_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, entries: int, moments: bool
) -> None:
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(100, 3)) * rng.lognormal(size=(100, 1))).astype(np.float32)
    cells = np.zeros(100, np.int64) if moments else rng.integers(4, size=100)
    block = replace(a_block(cells=1 if moments else 4, width=3, clipping_norm=1.0), moments=moments)
    query = a_query(block, sigma=2.0)
    expected = sum_of(query, rows, cells)
    monkeypatch.setattr(privacy.clipping, "CACHED_ENTRIES", entries)
    np.testing.assert_array_equal(sum_of(query, rows, cells), expected)


def test_rows_that_may_not_be_written_or_run_backwards_are_clipped_like_others() -> None:
    rows = np.random.default_rng(2).normal(size=(9, 5)).astype(np.float32)
    query = asking(1.0, width=5)
    expected = sum_of(query, rows)
    np.testing.assert_array_equal(sum_of(query, rows[::-1].copy()[::-1]), expected)
    rows.flags.writeable = False
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not writable")
        np.testing.assert_array_equal(sum_of(query, rows), expected)


def test_rows_within_the_clipping_norm_stay_as_they_are() -> None:
    query = asking(1.0, cells=3, width=2)
    contributions = users([[0.3, -0.4], [0.1, 0.2]], [0, 2])
    found = sum_of(query, contributions.rows, contributions.cells) * query.step
    expected = np.array([[0.3, -0.4], [0, 0], [0.1, 0.2]], np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=query.step)


def test_a_row_that_rounding_made_too_long_is_cut_further() -> None:
    # The norm is a hair below a whole number of steps, and so is every true clipped length.
    query = asking(math.nextafter(0.625, 0), width=2)
    longest = query.longest_row(query.blocks[0])
    nearest = [round(0.375 / query.step), round(0.5 / query.step)]
    assert longest == sum(entry**2 for entry in nearest) - 1
    lengths = 10 ** np.random.default_rng(0).uniform(9, 30, 300)
    for length in (3.344529585557425e22, *lengths):
        found = sum_of(query, np.array([[0.6 * length, 0.8 * length]]))
        assert squared_length(found) <= longest
        assert np.abs(found - nearest).max() <= 1


def test_empty_silo_gives_zeros() -> None:
    found = sum_of(asking(1.0, cells=3, width=2), users([]).rows)
    assert found.shape == (3, 2)
    assert not found.any()


def test_result_has_the_blocks_shape_and_is_in_whole_steps() -> None:
    query = asking(1.0, cells=5, width=4)
    found = sum_of(query, users([[1, 2, 3, 4]], width=4).rows, np.array([4]))
    assert found.shape == (5, 4)
    assert found.dtype == np.int64
    assert not found[:4].any()


def test_clipping_does_not_change_its_inputs() -> None:
    rows = 100 * np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    cells = np.arange(50) % 3
    before = rows.copy(), cells.copy()
    sum_of(asking(1.0, cells=3, width=2), rows, cells, batch=7)
    np.testing.assert_array_equal(rows, before[0])
    np.testing.assert_array_equal(cells, before[1])


def test_sums_of_many_users_do_not_overflow() -> None:
    query = asking(1.0, width=1)
    rows = np.full((40_963, 1), 1e30, np.float32)
    assert int(sum_of(query, rows, batch=2048)[0, 0]) == len(rows) * int(
        sum_of(query, rows[:1])[0, 0]
    )
