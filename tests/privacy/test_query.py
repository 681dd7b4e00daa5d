from __future__ import annotations

import math
import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ContributionError
from privacy.query import (
    LARGEST_NUMBER,
    LEAST_NOISE,
    LONGEST_NAME,
    MOST_ENTRIES,
    MOST_NOISE,
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


NORMS = st.floats(1e-6, 1e6)


def asking(norms: list[float]) -> SumQuery:
    blocks = [a_block(f"block-{i}", clipping_norm=norm) for i, norm in enumerate(norms)]
    return a_query(*blocks, sigma=2 * math.hypot(*norms))


@given(NORMS)
def test_one_block_has_its_clipping_norm_as_sensitivity(norm: float) -> None:
    assert asking([norm]).sensitivity == norm


@given(st.lists(NORMS, min_size=1, max_size=5))
def test_sensitivity_is_exact_or_rounded_up_to_the_next_double(norms: list[float]) -> None:
    sensitivity = asking(norms).sensitivity
    exact = sum(Fraction(norm) ** 2 for norm in norms)
    assert Fraction(sensitivity) ** 2 >= exact
    below = math.nextafter(math.nextafter(sensitivity, 0), 0)
    assert Fraction(below) ** 2 < exact


@given(st.lists(NORMS, min_size=1, max_size=5))
def test_sensitivity_is_2_to_the_24_to_25_steps_and_a_step_is_a_power_of_two(
    norms: list[float],
) -> None:
    query = asking(norms)
    assert math.frexp(query.step)[0] == 0.5
    assert 2**24 <= Fraction(query.sensitivity) / Fraction(query.step) < 2**25


@given(st.lists(NORMS, min_size=1, max_size=5))
def test_longest_rows_of_all_blocks_together_are_within_the_sensitivity(norms: list[float]) -> None:
    query = asking(norms)
    step = Fraction(query.step)
    longest = [query.longest_row(block) for block in query.blocks]
    assert sum(longest) * step**2 <= Fraction(query.sensitivity) ** 2
    for squared, norm in zip(longest, norms, strict=True):
        assert squared * step**2 <= Fraction(norm) ** 2 < (squared + 1) * step**2


def test_noise_multiplier_is_sigma_over_sensitivity() -> None:
    assert a_query(a_block(clipping_norm=0.5), sigma=2.0).noise_multiplier == pytest.approx(4.0)


@pytest.mark.parametrize("norm", [0.0, -1.0, math.inf, math.nan, 9.9e-7, 1.1e6, 1e-40, 1e300])
def test_impossible_clipping_norm_is_an_error_with_the_value(norm: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"clipping norm {norm!r}")):
        a_block(clipping_norm=norm)


@pytest.mark.parametrize(("cells", "width"), [(0, 1), (1, 0), (-1, 3)])
def test_empty_block_is_an_error_with_its_shape(cells: int, width: int) -> None:
    with pytest.raises(ValueError, match=rf"shape \({cells}, {width}\)"):
        a_block(cells=cells, width=width)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
def test_impossible_sigma_is_an_error_with_the_value(sigma: float) -> None:
    with pytest.raises(ValueError, match=rf"sigma {sigma!r}"):
        a_query(sigma=sigma)


@pytest.mark.parametrize("multiplier", [LEAST_NOISE, MOST_NOISE])
def test_noise_is_many_steps_wide_and_fits_into_integers(multiplier: float) -> None:
    query = a_query(sigma=multiplier)
    assert 2**8 <= query.sigma / query.step <= 2**45
    for beyond in (math.nextafter(LEAST_NOISE, 0), math.nextafter(MOST_NOISE, math.inf)):
        with pytest.raises(ValueError, match=r"noise multiplier .* must lie between"):
            a_query(sigma=beyond)


def test_more_entries_than_fit_are_an_error_with_their_number() -> None:
    a_block(cells=MOST_ENTRIES, width=1)
    with pytest.raises(ValueError, match=f"{MOST_ENTRIES // 2 + 1} x 2 entries"):
        a_block(cells=MOST_ENTRIES // 2 + 1, width=2)


TEXTS = ("purpose", "kind", "run", "nonce", "encoder", "server_key", "signature")


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("text", ["x" * (LONGEST_NAME + 1), "two\nlines", "\x00"])
def test_a_text_that_no_ledger_should_keep_is_an_error_with_its_name(name: str, text: str) -> None:
    texts: dict[str, Any] = {name: text}
    with pytest.raises(ValueError, match=f"query's {name} begins with"):
        replace(a_query(), **texts)
    texts = {name: "x" * LONGEST_NAME}
    assert getattr(replace(a_query(), **texts), name) == "x" * LONGEST_NAME


@pytest.mark.parametrize("participants", [0, -1, LARGEST_NUMBER + 1])
def test_impossible_number_of_participants_is_an_error_with_it(participants: int) -> None:
    assert a_query(participants=LARGEST_NUMBER).participants == LARGEST_NUMBER
    with pytest.raises(ValueError, match=f"for {participants} participants"):
        a_query(participants=participants)


@pytest.mark.parametrize("number", [-1, LARGEST_NUMBER + 1])
def test_impossible_round_is_an_error_with_its_number(number: int) -> None:
    assert a_query(round_number=LARGEST_NUMBER).round_number == LARGEST_NUMBER
    with pytest.raises(ValueError, match=f"is of round {number}"):
        a_query(round_number=number)


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
    "participants": 2,
    "encoder": "another encoder",
    "server_key": "ab" * 32,
    "signature": "cd" * 64,
    "expires": 86400,
}
OTHER_BLOCKS: dict[str, Any] = {
    "name": "counts",
    "cells": 4,
    "width": 5,
    "clipping_norm": 1.5,
    "moments": True,
}


def test_every_field_has_another_value_in_these_tests() -> None:
    assert set(OTHER_VALUES) == set(SumQuery.__dataclass_fields__)
    assert set(OTHER_BLOCKS) == set(Block.__dataclass_fields__)


@pytest.mark.parametrize("field", sorted(set(OTHER_VALUES) - {"signature", "expires"}))
def test_fingerprint_changes_with_every_field_of_the_query(field: str) -> None:
    changed = replace(a_query(), **{field: OTHER_VALUES[field]})
    assert changed.fingerprint() != a_query().fingerprint()


def test_an_expiry_is_signed_and_leaves_the_request_the_same() -> None:
    later = replace(a_query(), expires=86400)
    assert later.fingerprint() == a_query().fingerprint()
    assert later.signed_message() != a_query().signed_message()


@pytest.mark.parametrize("field", OTHER_BLOCKS)
def test_fingerprint_changes_with_every_field_of_a_block(field: str) -> None:
    block = a_block(cells=1)
    changed = a_query(replace(block, **{field: OTHER_BLOCKS[field]}), sigma=50.0)
    assert changed.fingerprint() != a_query(block, sigma=50.0).fingerprint()


def test_moments_stand_alone_in_one_cell_and_fit_into_memory() -> None:
    moments = replace(a_block("moments", cells=1, width=3), moments=True)
    assert moments.shape == (1, 6)
    assert a_query(moments, sigma=50.0).sensitivity == 29.0
    with pytest.raises(ValueError, match="moments beside another block"):
        a_query(moments, a_block("counts"), sigma=50.0)
    with pytest.raises(ValueError, match="moments of 3 cells"):
        replace(moments, cells=3)
    with pytest.raises(ValueError, match="at most"):
        replace(moments, width=8192)


def test_fingerprint_is_what_is_signed_and_so_does_not_hold_the_signature() -> None:
    signed = replace(a_query(), signature=OTHER_VALUES["signature"])
    assert signed.fingerprint() == a_query().fingerprint()


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


@pytest.mark.parametrize(
    ("cells", "rows"), [(np.int32, np.float32), (np.int64, np.float16), (np.int64, np.int64)]
)
def test_contributions_of_another_type_are_an_error_even_without_users(
    cells: type, rows: type
) -> None:
    for n in (0, 2):
        with pytest.raises(ContributionError, match="expected int64 and float32"):
            Contributions(np.zeros(n, cells), np.zeros((n, 2), rows))


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
