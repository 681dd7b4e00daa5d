from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ContributionError
from privacy.query import (
    Block,
    Contributions,
    SumQuery,
    TrustModel,
    check_contributions,
    finite_users,
)
from tests.privacy.examples import a_block, a_query, users


def test_sensitivity_adds_the_squares_of_the_blocks_clipping_norms() -> None:
    query = a_query(a_block("sums", clipping_norm=3.0), a_block("counts", clipping_norm=4.0))
    assert query.sensitivity == pytest.approx(5.0)


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_one_block_has_its_clipping_norm_as_sensitivity(norm: float) -> None:
    try:
        block = a_block(clipping_norm=norm)
    except ValueError:
        return  # a block may refuse an extreme norm, but must not get it wrong
    assert a_query(block).sensitivity == pytest.approx(norm)


def test_noise_multiplier_is_sigma_over_sensitivity() -> None:
    assert a_query(a_block(clipping_norm=0.5), sigma=2.0).noise_multiplier == pytest.approx(4.0)


@pytest.mark.parametrize("norm", [0.0, -1.0, math.inf, math.nan])
def test_impossible_clipping_norm_is_an_error_with_the_value(norm: float) -> None:
    with pytest.raises(ValueError, match=rf"clipping norm {norm!r}"):
        a_block(clipping_norm=norm)


@pytest.mark.parametrize(("cells", "width"), [(0, 1), (1, 0), (-1, 3)])
def test_empty_block_is_an_error_with_its_shape(cells: int, width: int) -> None:
    with pytest.raises(ValueError, match=rf"shape \({cells}, {width}\)"):
        a_block(cells=cells, width=width)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
def test_impossible_sigma_is_an_error_with_the_value(sigma: float) -> None:
    with pytest.raises(ValueError, match=rf"sigma {sigma!r}"):
        a_query(sigma=sigma)


def test_query_without_blocks_is_an_error() -> None:
    with pytest.raises(ValueError, match="no blocks"):
        replace(a_query(), blocks=())


def test_two_blocks_of_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match="sums"):
        a_query(a_block("sums"), a_block("sums", clipping_norm=2.0))


OTHER_VALUES: dict[str, Any] = {
    "purpose": "lloyd-2",
    "kind": "item-weights",
    "blocks": (a_block(), a_block("counts")),
    "sigma": 2.5,
    "trust_model": TrustModel.CENTRAL,
    "run": "run-2",
    "round_number": 2,
    "nonce": "another digest",
}
OTHER_BLOCKS: dict[str, Any] = {"name": "counts", "cells": 4, "width": 5, "clipping_norm": 1.5}


def test_every_field_has_another_value_in_these_tests() -> None:
    assert set(OTHER_VALUES) == set(SumQuery.__dataclass_fields__)
    assert set(OTHER_BLOCKS) == set(Block.__dataclass_fields__)


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_fingerprint_changes_with_every_field_of_the_query(field: str) -> None:
    changed = replace(a_query(), **{field: OTHER_VALUES[field]})
    assert changed.fingerprint() != a_query().fingerprint()


@pytest.mark.parametrize("field", OTHER_BLOCKS)
def test_fingerprint_changes_with_every_field_of_a_block(field: str) -> None:
    changed = a_query(replace(a_block(), **{field: OTHER_BLOCKS[field]}))
    assert changed.fingerprint() != a_query().fingerprint()


def test_equal_queries_have_equal_fingerprints() -> None:
    assert a_query().fingerprint() == a_query().fingerprint()


@pytest.mark.parametrize(
    ("cells", "rows"), [((3,), (2, 2)), ((2, 1), (2, 2)), ((2,), (2,)), ((2,), (2, 2, 2))]
)
def test_misshapen_contributions_are_an_error_with_both_shapes(
    cells: tuple[int, ...], rows: tuple[int, ...]
) -> None:
    with pytest.raises(ContributionError) as caught:
        Contributions(np.zeros(cells, np.int64), np.zeros(rows, np.float32))
    assert str(cells) in str(caught.value)
    assert str(rows) in str(caught.value)


def test_a_user_is_finite_only_if_finite_in_every_block() -> None:
    contributions = {
        "sums": users([[0, 0], [np.nan, 0], [0, 0], [1e30, 1]]),
        "counts": users([1, 1, np.inf, 1], width=1),
    }
    assert finite_users(contributions).tolist() == [True, False, False, True]


TWO_BLOCKS = a_query(a_block(), a_block("counts", width=1))


def test_fitting_contributions_pass() -> None:
    check_contributions(TWO_BLOCKS, {"sums": users([[1, 2]], [2]), "counts": users([1], width=1)})
    check_contributions(TWO_BLOCKS, {"sums": users([]), "counts": users([], width=1)})


@pytest.mark.parametrize(
    ("contributions", "words"),
    [
        ({"sums": users([])}, "counts"),
        ({"sums": users([]), "counts": users([], width=1), "ages": users([])}, "ages"),
        ({"sums": users([[1, 2]]), "counts": users([], width=1)}, "number of users"),
        ({"sums": users([1], width=1), "counts": users([1], width=1)}, "2 wide"),
        ({"sums": users([[1, 2]], [3]), "counts": users([1], width=1)}, "cells 0 to 2"),
        ({"sums": users([[1, 2]], [-1]), "counts": users([1], width=1)}, "cells 0 to 2"),
    ],
    ids=["block missing", "block too many", "fewer users", "too narrow", "beyond", "negative"],
)
def test_contributions_that_do_not_fit_are_an_error(
    contributions: dict[str, Contributions], words: str
) -> None:
    with pytest.raises(ContributionError, match=words):
        check_contributions(TWO_BLOCKS, contributions)
