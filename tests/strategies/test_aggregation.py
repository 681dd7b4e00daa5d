"""Post-processing of noisy sums, against what is known without noise or by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from privacy.query import NoiseKind
from privacy.release import Release
from strategies.aggregation import (
    CellMoves,
    NoisySum,
    add_up,
    cell_moves,
    histogram_quantile,
    shrink_mean,
    shrink_rows,
    users_by_silo,
    within_ball,
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


def moves(sums: np.ndarray, counts: np.ndarray, sigma: float) -> CellMoves:
    return CellMoves(sums / counts[:, None], (sigma / counts) ** 2)


def test_without_noise_nothing_is_shrunk() -> None:
    rng = np.random.default_rng(0)
    sums, counts = rng.standard_normal((4, 20)) * 50, np.array([10.0, 20.0, 30.0, 40.0])
    means = sums / counts[:, None]
    np.testing.assert_allclose(shrink_rows(moves(sums, counts, 1e-9)), means, rtol=1e-6)
    np.testing.assert_allclose(shrink_mean(means[0], 1e-9), means[0], rtol=1e-6)


def test_pure_noise_is_shrunk_away() -> None:
    rng = np.random.default_rng(1)
    sums, counts = rng.standard_normal((8, 300)), np.full(8, 10.0)
    assert np.linalg.norm(shrink_rows(moves(sums, counts, 1.0))) < 0.2 * np.linalg.norm(sums / 10)
    assert np.linalg.norm(shrink_mean(sums[0] / 10, 0.1)) < 0.5 * np.linalg.norm(sums[0] / 10)


def test_shrinking_comes_closer_to_the_truth_than_the_raw_mean() -> None:
    rng = np.random.default_rng(2)
    counts = np.full(8, 100.0)
    truth = rng.standard_normal((8, 1)) @ rng.standard_normal((1, 200)) * 0.01
    better = 0
    for _ in range(20):
        sums = truth * counts[:, None] + 2.0 * rng.standard_normal(truth.shape)
        shrunk = np.linalg.norm(shrink_rows(moves(sums, counts, 2.0)) - truth)
        better += shrunk < np.linalg.norm(sums / counts[:, None] - truth)
    assert better == 20


COUNT = 0.5
"""What a user adds to the counts."""


def silos_of(
    users: np.ndarray, truth: np.ndarray, sigma: float, rng: np.random.Generator
) -> NoisySum:
    """Return noisy sums of silos with ``users`` (silos, cells) around the cells' true means."""
    parts = {}
    for number, row in enumerate(users):
        sums = row[:, None] * truth + sigma * rng.standard_normal(truth.shape)
        counts = COUNT * row[:, None] + sigma * rng.standard_normal((len(row), 1))
        parts[f"silo-{number}"] = NoisySum({"sums": sums, "counts": counts}, sigma)
    total = {
        name: np.sum([part.sums[name] for part in parts.values()], axis=0)
        for name in ("sums", "counts")
    }
    return NoisySum(total, sigma * np.sqrt(len(users)), parts if len(users) > 1 else {})


def sizes_of(users: np.ndarray) -> dict[str, float]:
    return {f"silo-{number}": float(row.sum()) for number, row in enumerate(users)}


TRUTH = 0.3 * np.random.default_rng(8).standard_normal((5, 12))


def test_silos_that_are_alike_are_weighed_alike() -> None:
    users = np.full((8, 5), 400.0)
    answer = silos_of(users, TRUTH, 1e-6, np.random.default_rng(0))
    found = cell_moves(answer, COUNT, sizes_of(users))
    np.testing.assert_allclose(found.means, TRUTH, rtol=1e-4)
    np.testing.assert_allclose(found.noise, (1e-6 * np.sqrt(8) / 3200) ** 2, rtol=1e-3)


def test_a_silo_that_has_a_cells_users_counts_for_that_cell() -> None:
    rng = np.random.default_rng(4)
    users = np.full((10, 5), 20.0)
    users[np.arange(5), np.arange(5)] = 2000.0  # each cell lives in one silo
    weighed, plain, claimed = [], [], []
    for _ in range(60):
        answer = silos_of(users, TRUTH, 60.0, rng)
        found = cell_moves(answer, COUNT, sizes_of(users))
        weighed.append(((found.means - TRUTH) ** 2).mean())
        claimed.append(found.noise.mean())
        whole = cell_moves(NoisySum(answer.sums, answer.sigma), COUNT, {})
        plain.append(((whole.means - TRUTH) ** 2).mean())
    assert np.mean(weighed) < 0.4 * np.mean(plain)
    assert np.mean(claimed) == pytest.approx(np.mean(weighed), rel=0.5)


def test_weighing_silos_leaves_the_means_where_they_are() -> None:
    rng = np.random.default_rng(5)
    users = rng.dirichlet(np.full(5, 0.5), 6) * rng.uniform(500, 5000, (6, 1))
    found = np.mean(
        [
            cell_moves(silos_of(users, TRUTH, 30.0, rng), COUNT, sizes_of(users)).means
            for _ in range(200)
        ],
        axis=0,
    )
    slope = float((found * TRUTH).sum() / (TRUTH**2).sum())
    assert slope == pytest.approx(1.0, abs=0.05)


def test_a_silo_of_unknown_size_has_no_say_and_nobody_counts_negatively() -> None:
    users = np.full((3, 5), 100.0)
    answer = silos_of(users, TRUTH, 500.0, np.random.default_rng(6))
    sizes = {"silo-0": 500.0, "silo-1": -3.0}
    counted = users_by_silo(answer, COUNT, np.array([500.0, -3.0, 0.0]))
    assert (counted >= 0).all()
    assert counted[2].max() == 0
    found = cell_moves(answer, COUNT, sizes)
    assert np.isfinite(found.means).all()
    assert (found.noise > 0).all()


ENDS = np.array([0.5, 1.0, 1.5, 2.0])


def test_quantile_without_noise_is_the_bin_that_reaches_it() -> None:
    histogram = np.array([10.0, 30.0, 40.0, 20.0])
    assert histogram_quantile(histogram, ENDS, 0.4) == pytest.approx(1.0)
    assert histogram_quantile(histogram, ENDS, 0.41) == pytest.approx(1.5)
    assert histogram_quantile(histogram, ENDS, 1.0) == pytest.approx(2.0)


def test_quantile_is_not_pushed_up_by_noise_in_empty_bins() -> None:
    rng = np.random.default_rng(3)
    truth, ends = np.zeros(32), np.arange(1, 33) / 16
    truth[7] = 2000.0
    estimates = [
        histogram_quantile(truth + 25 * rng.standard_normal(32), ends, 0.5) for _ in range(200)
    ]
    assert np.mean(estimates) == pytest.approx(0.5, abs=0.01)


def test_quantile_of_noise_alone_stays_in_range() -> None:
    assert 0 < histogram_quantile(np.full(4, -5.0), ENDS, 0.5) <= 2.0


def test_points_beyond_the_bound_are_drawn_back_to_it() -> None:
    points = np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    np.testing.assert_allclose(
        within_ball(points, 1.0), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]], rtol=1e-12
    )
