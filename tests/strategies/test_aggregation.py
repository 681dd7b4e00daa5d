"""Post-processing of noisy sums, against what is known without noise or by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from privacy.query import NoiseKind
from privacy.release import Release
from strategies.aggregation import (
    add_up,
    histogram_quantile,
    shrink_mean,
    shrink_rows,
    shrink_spectrum,
)


def release(region: str, value: float, sigma: float) -> Release:
    return Release(
        region=region,
        run="run",
        round_number=1,
        purpose="mean",
        window="2026-01-01/2027-01-01",
        sums={"sums": np.full((2, 3), value, np.float32)},
        sensitivity=1.0,
        sigma=sigma,
        noise=NoiseKind.SEEDED,
        entry=1,
    )


def test_independent_noises_add_up_in_variance() -> None:
    total = add_up([release("a", 1.0, 3.0), release("b", 2.0, 4.0)])
    np.testing.assert_array_equal(total.sums["sums"], np.full((2, 3), 3.0))
    assert total.sigma == pytest.approx(5.0)


def test_without_noise_nothing_is_shrunk() -> None:
    rng = np.random.default_rng(0)
    sums, counts = rng.standard_normal((4, 20)) * 50, np.array([10.0, 20.0, 30.0, 40.0])
    means = sums / counts[:, None]
    np.testing.assert_allclose(shrink_rows(sums, counts, 1e-9), means, rtol=1e-6)
    np.testing.assert_allclose(shrink_spectrum(sums, counts, 1e-9), means, rtol=1e-6)
    np.testing.assert_allclose(shrink_mean(means[0], 1e-9), means[0], rtol=1e-6)


def test_pure_noise_is_shrunk_away() -> None:
    rng = np.random.default_rng(1)
    sums, counts = rng.standard_normal((8, 300)), np.full(8, 10.0)
    assert np.linalg.norm(shrink_rows(sums, counts, 1.0)) < 0.2 * np.linalg.norm(sums / 10)
    assert np.linalg.norm(shrink_spectrum(sums, counts, 1.0)) < 0.1 * np.linalg.norm(sums / 10)
    assert np.linalg.norm(shrink_mean(sums[0] / 10, 0.1)) < 0.5 * np.linalg.norm(sums[0] / 10)


@pytest.mark.parametrize("shrink", [shrink_rows, shrink_spectrum])
def test_shrinking_comes_closer_to_the_truth_than_the_raw_mean(shrink) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(2)
    counts = np.full(8, 100.0)
    truth = rng.standard_normal((8, 1)) @ rng.standard_normal((1, 200)) * 0.01
    better = 0
    for _ in range(20):
        sums = truth * counts[:, None] + 2.0 * rng.standard_normal(truth.shape)
        shrunk = np.linalg.norm(shrink(sums, counts, 2.0) - truth)
        better += shrunk < np.linalg.norm(sums / counts[:, None] - truth)
    assert better == 20


def test_quantile_without_noise_is_the_bin_that_reaches_it() -> None:
    histogram = np.array([10.0, 30.0, 40.0, 20.0])
    assert histogram_quantile(histogram, 2.0, 0.4) == pytest.approx(1.0)
    assert histogram_quantile(histogram, 2.0, 0.41) == pytest.approx(1.5)


def test_quantile_is_not_pushed_up_by_noise_in_empty_bins() -> None:
    rng = np.random.default_rng(3)
    truth = np.zeros(32)
    truth[7] = 2000.0
    estimates = [
        histogram_quantile(truth + 25 * rng.standard_normal(32), 2.0, 0.5) for _ in range(200)
    ]
    assert np.mean(estimates) == pytest.approx(0.5, abs=0.01)


def test_quantile_of_noise_alone_stays_in_range() -> None:
    assert 0 < histogram_quantile(np.full(8, -5.0), 2.0, 0.5) <= 2.0
