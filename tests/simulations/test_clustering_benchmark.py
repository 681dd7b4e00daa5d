"""The comparison with published systems is fair: same data, sound noise, seeds kept apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans

from privacy.accountant import mu_of
from simulations.benchmarks.clustering.comparison import (
    DATA_SEEDS,
    NOISE_SEEDS,
    OURS,
    TUNING_SEEDS,
    Setting,
    load,
    run_setting,
    save,
    split,
)
from simulations.benchmarks.clustering.page import BEST_FEDDP, costs_of, table
from simulations.benchmarks.clustering.peers import (
    PEERS,
    clipped,
    noisy_means,
    private_mean,
    spread_out,
)
from simulations.benchmarks.clustering.populations import (
    Population,
    g2_like,
    mixture,
    s1_like,
    separated,
    without_public,
)
from simulations.benchmarks.clustering.scoring import best_cost, cells_of, kmeans_cost

DRAWS = {"mixture": mixture, "separated": separated, "S1-like": s1_like, "G2-like": g2_like}
EASY = Setting(population="mixture", n=3000, epsilon=1.0)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_population_is_its_seeds_and_lies_within_its_bound(
    draw: Callable[[int, int], Population],
) -> None:
    one, again, other = (draw(500, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.vectors, again.vectors)
    assert not np.array_equal(one.vectors, other.vectors)
    assert one.vectors.dtype == np.float32
    assert np.linalg.norm(one.vectors, axis=1).max() <= one.norm_bound
    assert one.truth is not None
    assert set(one.truth.tolist()) == set(range(one.k))


def test_public_vectors_are_left_out_where_nothing_is_public() -> None:
    assert mixture(100, 0).public is not None
    assert without_public(mixture)(100, 0).public is None


def test_reported_seeds_are_not_those_of_the_tuning() -> None:
    assert len(DATA_SEEDS) >= 3
    assert len(NOISE_SEEDS) >= 3
    assert not set(TUNING_SEEDS) & {*DATA_SEEDS, *NOISE_SEEDS}


@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_peer_without_noise_to_speak_of_comes_near_the_best(name: str) -> None:
    population = mixture(3000, 5)
    best = best_cost(population.vectors, population.k, seed=0)
    costs = [
        kmeans_cost(population.vectors, PEERS[name](population, 1e6, 1e-6, seed)) / best
        for seed in range(3)
    ]
    trivial = kmeans_cost(population.vectors, population.vectors.mean(axis=0)[None]) / best
    if name == "one private mean":
        assert np.mean(costs) == pytest.approx(trivial, rel=1e-6)
    else:
        # Random starts miss some of ten clusters; no peer is worse than halfway to one mean.
        assert 0.999 <= min(costs) < 1 + 0.5 * (trivial - 1)


@pytest.mark.parametrize("name", sorted(set(PEERS) - {"k-FED, not private"}))
def test_a_peer_of_smaller_budget_is_worse(name: str) -> None:
    population = mixture(2000, 5)
    rich, poor = (
        np.mean(
            [
                kmeans_cost(population.vectors, PEERS[name](population, epsilon, 1e-6, seed))
                for seed in range(3)
            ]
        )
        for epsilon in (20.0, 0.05)
    )
    assert poor > rich


def test_noise_of_the_peers_is_what_gaussian_dp_asks_for() -> None:
    rng = np.random.default_rng(0)
    nobody, cells = np.zeros((0, 2000)), np.zeros(0, np.int64)
    mu, bound, part = 0.5, 3.0, 0.2
    # Without users the count is noise alone; it is raised to 1, so sums are seen as they are.
    means = noisy_means(rng, nobody, cells, 40, bound, mu, count_part=part)
    counts_of_one = means[np.abs(means).max(axis=1) > 0]
    sums = bound / (mu * np.sqrt(1 - part))
    assert np.max([row.std() for row in counts_of_one]) == pytest.approx(sums, rel=0.1)
    population = Population(
        name="", vectors=np.zeros((100, 4000), np.float32), k=1, norm_bound=bound
    )
    expected = bound / mu_of(1.0, 1e-6) / 100
    assert private_mean(population, 1.0, 1e-6, 0).std() == pytest.approx(expected, rel=0.05)


def test_clipping_and_starts_of_the_peers_keep_the_bound() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 8)) * 10
    assert np.linalg.norm(clipped(rows, 2.0), axis=1).max() <= 2 + 1e-9
    starts = spread_out(rng, g2_like(100, 0))
    assert len(starts) == 2
    assert np.linalg.norm(starts, axis=1).max() <= 4.0


def test_costs_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    points, centres = rng.standard_normal((300, 5)), rng.standard_normal((7, 5))
    squares = ((points[:, None] - centres[None]) ** 2).sum(axis=2)
    assert kmeans_cost(points, centres) == pytest.approx(squares.min(axis=1).sum())
    np.testing.assert_array_equal(cells_of(points, centres), squares.argmin(axis=1))
    fitted = KMeans(7, n_init=10, random_state=0).fit(points)
    assert best_cost(points, 7, seed=0) == pytest.approx(fitted.inertia_, rel=0.02)


@pytest.mark.parametrize("concentration", [0.0, 1.0, 0.1])
def test_silos_hold_everybody_once(concentration: float) -> None:
    population = separated(400, 0)
    setting = Setting(
        population="separated", n=400, epsilon=1.0, silos=4, concentration=concentration
    )
    silos = split(setting, population)
    assert len(silos) == 4
    together = np.concatenate(silos)
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(population.vectors, axis=0))


def test_one_setting_is_run_kept_and_tabled(tmp_path: Path) -> None:
    methods = (OURS, "FedDP-KMeans", "FedDP-KMeans, 10 starts", "one private mean")
    figures = list(run_setting(EASY, methods, data_seeds=[1], noise_seeds=[2, 3]))
    assert len(figures) == len(methods) * 2
    save(figures, tmp_path / "figures.json")
    kept = load(tmp_path / "figures.json")
    assert [(one.setting, one.method, one.noise_seed) for one in kept] == [
        (one.setting, one.method, one.noise_seed) for one in figures
    ]
    assert [one.cost for one in kept] == pytest.approx([one.cost for one in figures], abs=1e-6)
    costs = costs_of(figures)[EASY]
    assert set(costs) == {OURS, BEST_FEDDP, "one private mean"}
    assert 1.0 <= np.mean(costs[OURS]) < np.mean(costs["one private mean"])
    rows = table({EASY: costs}).splitlines()
    assert f"{np.mean(costs[OURS]):.4f} ± " in rows[2]
    assert "mixture | 3,000 | server | 1" in rows[2]
