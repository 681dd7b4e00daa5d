"""Which number of clusters is taken, and when none is."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.k_curve import KCurve, k_curve
from tests.strategies.test_choose_k import blobs, one_blob, weights_of


def curve(k: int, per_blob: int, most: int, *, choosing: bool = True) -> KCurve:
    cells = blobs(k, per_blob=per_blob)
    return k_curve(cells, weights_of(cells), 5.0, most, choosing=choosing, seed=0)


def test_few_cells_for_each_of_clear_clusters_tell_their_number() -> None:
    # A fifth of the 32 cells is below the 8 clusters; a third of them is not.
    found = curve(8, 4, 20)
    assert (found.peak, found.chosen, found.is_sharp, found.is_open) == (8, 8, True, False)


def test_a_curve_that_climbs_to_what_the_cells_can_tell_chooses_nothing() -> None:
    found = curve(8, 2, 20)
    assert found.ks[-1] == found.peak == 5
    assert found.is_open
    assert not found.is_sharp
    assert found.chosen == 20
    assert found.n_cells == 16


def test_too_few_cells_to_try_two_clusters_choose_nothing() -> None:
    found = k_curve(one_blob(4), np.full(4, 100.0), 5.0, 6, choosing=True, seed=0)
    assert (found.ks, found.is_open, found.chosen) == ([1], True, 6)


def test_a_peak_at_what_was_asked_for_is_taken() -> None:
    found = curve(8, 12, 8)
    assert (found.peak, found.chosen, found.is_open) == (8, 8, False)


def test_where_no_number_stands_out_the_smallest_about_as_good_is_taken() -> None:
    cells = one_blob(200)
    found = k_curve(cells, np.full(200, 100.0), 5.0, 20, choosing=True, seed=0)
    assert not found.is_sharp
    assert found.chosen <= found.peak
    best = max(found.silhouettes)
    assert found.silhouettes[found.ks.index(found.chosen)] >= best - 0.025


def test_a_sharp_peak_is_taken_though_a_smaller_k_is_about_as_good() -> None:
    rng = np.random.default_rng(0)
    centres = np.vstack([10 * np.eye(6), 10 * np.eye(6)[:1] + 1.0 * np.eye(6)[1:2]])
    cells = np.repeat(centres, 12, axis=0) + 0.2 * rng.standard_normal((84, 6))
    weights = np.r_[np.full(60, 100.0), np.full(12, 100.0), np.full(12, 16.0)]
    found = k_curve(cells, weights, 1.0, 12, choosing=True, seed=0)
    assert found.is_sharp
    assert found.chosen == found.peak


@pytest.mark.parametrize(("choosing", "most_tried"), [(True, 60), (False, 20)])
def test_a_long_range_is_tried_at_a_few_k(choosing: bool, most_tried: int) -> None:
    cells = one_blob(600)
    found = k_curve(cells, np.full(600, 100.0), 1.0, 100, choosing=choosing, seed=0)
    assert len(found.ks) <= most_tried
    assert found.ks[0] == 1
    assert found.ks[-1] == 100
    assert found.ks == sorted(set(found.ks))


def test_cells_in_the_noise_have_no_say() -> None:
    cells = np.vstack([blobs(4), 50 * np.eye(4)])
    weights = np.r_[np.full(48, 100.0), np.full(4, 20.0)]
    assert k_curve(cells, weights, 10.0, 12, choosing=True, seed=0).chosen == 4
