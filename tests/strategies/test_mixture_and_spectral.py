"""Synthetic users, the mixture fitted to them, and the spectral cut of the cells."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from strategies.mixture import SummaryMixture
from strategies.spectral import SummarySpectral, weighted_affinities
from strategies.synthetic_users import synthetic_users

Array = NDArray[np.float64]
BOTH = [SummaryMixture, SummarySpectral]


def blobs(k: int = 5, per_blob: int = 12, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    centres = 6 * np.eye(8)[:k]
    return np.repeat(centres, per_blob, axis=0) + 0.4 * rng.standard_normal((k * per_blob, 8))


def noisy_weights(n: int, seed: int = 1) -> Array:
    return np.random.default_rng(seed).uniform(50, 250, n)


def test_each_cell_gets_its_share_of_synthetic_users_to_within_one() -> None:
    cells, weights = blobs(), noisy_weights(60)
    rng = np.random.default_rng(2)
    users, cell = synthetic_users(cells, weights, 1000, spread=0.0, rng=rng)
    counts = np.bincount(cell, minlength=60)
    assert (np.abs(counts - 1000 * weights / weights.sum()) < 1).all()
    np.testing.assert_array_equal(users, cells[cell])


def test_synthetic_users_scatter_as_far_as_the_spread_says() -> None:
    cells = blobs()
    rng = np.random.default_rng(3)
    users, cell = synthetic_users(cells, np.ones(60), 20_000, spread=1.7, rng=rng)
    squares = ((users - cells[cell]) ** 2).sum(axis=1)
    assert np.sqrt(squares.mean()) == pytest.approx(1.7, rel=0.01)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("k", [2, 5, 8])
def test_clear_clusters_are_found(method: type, k: int) -> None:
    cells = blobs(k)
    labels = method(k).fit_predict(cells, sample_weight=noisy_weights(len(cells)))
    assert adjusted_rand_score(np.repeat(np.arange(k), 12), labels) == pytest.approx(1.0)


def test_mixture_recovers_shares_means_and_the_spread_inside_cells() -> None:
    cells, weights = blobs(3), np.repeat([300.0, 200.0, 100.0], 12)
    fitted = SummaryMixture(3, covariance_type="spherical").fit(
        cells, sample_weight=weights, spread=2.0
    )
    order = fitted.predict(6 * np.eye(8)[:3])
    np.testing.assert_allclose(fitted.weights_[order], [1 / 2, 1 / 3, 1 / 6], atol=0.02)
    np.testing.assert_allclose(fitted.means_[order], 6 * np.eye(8)[:3], atol=0.5)
    # 0.4 ** 2 between the cells of a blob, 2 ** 2 / 8 within each cell.
    np.testing.assert_allclose(fitted.covariances_, 0.16 + 0.5, rtol=0.15)
    assert fitted.converged_


def test_heavy_cells_pull_the_mixture() -> None:
    cells = np.vstack([blobs(2), np.full((4, 8), 0.0)])
    heavy = SummaryMixture(2).fit(cells, sample_weight=np.append(np.ones(24), np.full(4, 100.0)))
    light = SummaryMixture(2).fit(cells, sample_weight=np.append(np.ones(24), np.full(4, 1e-3)))
    assert np.linalg.norm(heavy.means_, axis=1).min() < 1
    assert np.linalg.norm(light.means_, axis=1).min() > 4


def test_mixture_is_soft_between_components() -> None:
    fitted = SummaryMixture(2, covariance_type="tied").fit(blobs(2), spread=3.0)
    halfway = fitted.means_.mean(axis=0, keepdims=True)
    probabilities = fitted.predict_proba(halfway)
    assert probabilities.shape == (1, 2)
    assert probabilities.sum() == pytest.approx(1.0)
    assert 0.1 < probabilities[0, 0] < 0.9


@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "tied", "full"])
def test_every_covariance_stays_regular_on_few_cells(covariance_type: str) -> None:
    cells = np.random.default_rng(5).standard_normal((40, 30))
    fitted = SummaryMixture(6, covariance_type=covariance_type, n_users=800).fit(cells)  # type: ignore[arg-type]
    assert np.isfinite(fitted.predict_proba(cells)).all()


def test_affinities_are_symmetric_and_grow_with_both_weights() -> None:
    cells, weights = blobs(2), noisy_weights(24)
    one = weighted_affinities(cells, np.ones(24), 7)
    other = weighted_affinities(cells, weights, 7)
    np.testing.assert_allclose(one, one.T)
    np.testing.assert_allclose(other / one, np.outer(weights, weights) / weights.mean() ** 2)


def test_spectral_finds_rings_where_centroids_cannot() -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    cells = np.vstack([ring, 4 * ring])
    labels = SummarySpectral(2, n_neighbors=3).fit_predict(cells)
    assert adjusted_rand_score(np.repeat([0, 1], 40), labels) == pytest.approx(1.0)


@pytest.mark.parametrize("method", BOTH)
def test_the_same_seed_gives_the_same_labels(method: type) -> None:
    cells, weights = np.random.default_rng(6).standard_normal((60, 4)), noisy_weights(60)
    one = method(4, random_state=3).fit_predict(cells, sample_weight=weights)
    other = method(4, random_state=3).fit_predict(cells, sample_weight=weights)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", BOTH)
def test_neither_the_unit_nor_the_number_of_people_matters(method: type) -> None:
    cells, weights = blobs(), noisy_weights(60)
    one = method(5).fit_predict(cells, sample_weight=weights)
    other = method(5).fit_predict(1e-3 * cells, sample_weight=1e3 * weights)
    assert adjusted_rand_score(one, other) == pytest.approx(1.0)


@pytest.mark.parametrize("method", BOTH)
def test_as_many_clusters_as_cells_and_not_one_more(method: type) -> None:
    cells = np.random.default_rng(7).standard_normal((6, 3))
    assert len(set(method(6).fit_predict(cells))) == 6
    with pytest.raises(ValueError, match="7 clusters were asked for, and there are 6 cells"):
        method(7).fit(cells)
    with pytest.raises(ValueError, match="0 clusters"):
        method(0).fit(cells)


@pytest.mark.parametrize("method", BOTH)
def test_one_cell_and_equal_cells_are_no_error(method: type) -> None:
    assert list(method(1).fit_predict(np.array([[1.0, 2.0]]))) == [0]
    assert set(method(1).fit_predict(np.full((20, 3), 0.5))) == {0}
    assert len(method(3).fit_predict(np.full((20, 3), 0.5))) == 20


@pytest.mark.parametrize("method", BOTH)
def test_bad_input_is_refused(method: type) -> None:
    with pytest.raises(ValueError, match="not finite"):
        method(2).fit(np.full((9, 2), np.nan))
    with pytest.raises(ValueError, match="not finite"):
        method(2).fit(np.zeros((9, 2)), sample_weight=np.full(9, np.nan))
    with pytest.raises(ValueError, match="one weight for each cell"):
        method(2).fit(np.zeros((9, 2)), sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="all noise"):
        method(2).fit(np.zeros((9, 2)), sample_weight=np.full(9, -2.0))
    with pytest.raises(ValueError, match="not a matrix"):
        method(2).fit(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="not a distance"):
        SummaryMixture(2).fit(blobs(), spread=float("inf"))


@pytest.mark.parametrize("method", BOTH)
def test_cells_with_negative_weight_do_not_matter(method: type) -> None:
    cells = np.vstack([blobs(), np.full((1, 8), 1.0)])
    labels = method(5).fit_predict(cells, sample_weight=np.append(noisy_weights(60), -20.0))
    assert adjusted_rand_score(np.repeat(np.arange(5), 12), labels[:-1]) == pytest.approx(1.0)


@pytest.mark.parametrize("method", BOTH)
def test_they_behave_as_estimators(method: type) -> None:
    cells, weights = blobs(), noisy_weights(60)
    fitted = clone(method(5, random_state=4))
    assert fitted.get_params()["random_state"] == 4
    labels = fitted.fit_predict(cells, sample_weight=weights)
    np.testing.assert_array_equal(labels, fitted.predict(cells))
    with pytest.raises(ValueError, match="columns"):
        fitted.predict(np.zeros((2, 3)))


@pytest.mark.parametrize("place", [[0.06691841], [0.33348666, -1.0384], [81.3, 1e6, 1e-9]])
def test_one_place_far_from_the_origin_is_one_component(place: list[float]) -> None:
    mixture = SummaryMixture(1).fit([place], sample_weight=[56.2])
    np.testing.assert_allclose(mixture.means_, [place])
    assert mixture.labels_.tolist() == [0]
