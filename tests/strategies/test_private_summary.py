"""The summary in a file: what was saved comes back, and what is none is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from strategies.private_summary import PrivateSummary


@pytest.fixture
def summary() -> PrivateSummary:
    rng = np.random.default_rng(0)
    return PrivateSummary(
        cells=rng.standard_normal((7, 2)),
        weights=rng.uniform(1, 9, 7),
        weight_noise=1.5,
        origin=rng.standard_normal(5),
        basis=np.linalg.qr(rng.standard_normal((5, 2)))[0],
        norm_bound=9.0,
    )


def test_what_was_saved_comes_back(summary: PrivateSummary, tmp_path: Path) -> None:
    summary.save(tmp_path / "summary.npz")
    loaded = PrivateSummary.load(tmp_path / "summary.npz")
    for name in ("cells", "weights", "origin", "basis"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(summary, name))
    assert (loaded.weight_noise, loaded.norm_bound) == (1.5, 9.0)


def test_cells_and_their_vectors_are_the_same_places(summary: PrivateSummary) -> None:
    np.testing.assert_allclose(summary.coordinates(summary.vectors), summary.cells, atol=1e-12)
    larger = summary.scaled(3.0)
    np.testing.assert_allclose(larger.vectors, 3 * summary.vectors)
    np.testing.assert_allclose(larger.coordinates(larger.vectors), larger.cells, atol=1e-12)


def test_longer_vectors_are_shortened_as_the_run_shortened_them(summary: PrivateSummary) -> None:
    short = np.random.default_rng(1).standard_normal((4, 5))
    short *= 9 / np.linalg.norm(short, axis=1, keepdims=True)
    np.testing.assert_allclose(summary.coordinates(7 * short), summary.coordinates(short))
    np.testing.assert_allclose(summary.coordinates(np.zeros((1, 5))).shape, (1, 2))
    larger = summary.scaled(3.0)
    np.testing.assert_allclose(larger.coordinates(70 * short), larger.coordinates(3 * short))


def test_vectors_of_another_space_are_told(summary: PrivateSummary) -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 4\); expected \(n, 5\)"):
        summary.coordinates(np.zeros((3, 4)))


def test_parts_that_do_not_fit_are_told(summary: PrivateSummary) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        replace(summary, weights=np.ones(3))


@pytest.mark.parametrize("content", ["text", "missing", "another archive", "another version"])
def test_what_is_no_summary_is_told(summary: PrivateSummary, tmp_path: Path, content: str) -> None:
    path = tmp_path / "summary.npz"
    match content:
        case "text":
            path.write_text("nothing")
        case "another archive":
            np.savez(path, version=1, cells=np.zeros((2, 2)))
        case "another version":
            summary.save(path)
            with np.load(path) as archive:
                whole = dict(archive)
            np.savez(path, **whole | {"version": np.array(9)})
    with pytest.raises(ValueError, match="Nothing was read"):
        PrivateSummary.load(path)
