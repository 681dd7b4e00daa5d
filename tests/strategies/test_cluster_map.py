"""A map that does not fit together or is damaged is refused whole; a good one survives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strategies import cluster_map as module
from strategies.cluster_map import LONGEST_LABEL, ClusterMap, shown
from strategies.question_kinds.items import MOST_TASTE_ITEMS
from strategies.taste_spectrum import MOST_TASTES

N_ITEMS = 4


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "run": "run-1",
        "catalogue": "c",
        "encoder": "e",
        "centroids": np.eye(2, 3, dtype=np.float32),
        "noisy_sizes": np.ones(2, np.float32),
        "labels": ["Tea", "Bread"],
        "item_weights": np.ones((2, N_ITEMS), np.float32),
        "popularity": np.ones(N_ITEMS, np.float32),
        "recent_popularity": np.full(N_ITEMS, 0.5, np.float32),
        "taste_weights": np.array([1, 0, 2, 1], np.float32),
        "taste_directions": np.eye(3, 2, dtype=np.float32),
        "taste_strengths": np.array([0.9, 0.4], np.float32),
        "fusion": np.array([20, 0.3, 0.3, 0, 1], np.float32),
    } | changes


WITHOUT = {
    "recent_popularity": np.zeros(0, np.float32),
    "taste_weights": np.zeros(0, np.float32),
    "taste_directions": np.zeros((0, 0), np.float32),
    "taste_strengths": np.zeros(0, np.float32),
    "fusion": np.zeros(0, np.float32),
}


@pytest.mark.parametrize("changes", [{}, WITHOUT, {"taste_share": 0.5}])
def test_a_map_survives_the_disk(tmp_path: Path, changes: dict[str, Any]) -> None:
    made = ClusterMap(**fields(**changes))
    made.save(tmp_path / "map.npz")
    read = ClusterMap.load(tmp_path / "map.npz")
    for name, value in fields(**changes).items():
        np.testing.assert_array_equal(getattr(read, name), value)
    assert (read.taste is None) is (changes is WITHOUT)
    assert (read.space is None) is (read.taste_share == 0)
    assert (read.voted is None) is (changes is WITHOUT)


def test_taste_in_which_nothing_rose_above_the_noise_is_none() -> None:
    nothing = {"taste_directions": np.zeros((3, 0)), "taste_strengths": np.zeros(0)}
    assert ClusterMap(**fields(**nothing)).taste is None


@pytest.mark.parametrize(
    "changes",
    [
        {"popularity": np.ones((N_ITEMS, 1), np.float32)},
        {"recent_popularity": np.ones(N_ITEMS + 1, np.float32)},
        {"recent_popularity": -np.ones(N_ITEMS, np.float32)},
        {"recent_popularity": np.full(N_ITEMS, np.nan, np.float32)},
        {"taste_weights": np.ones(N_ITEMS, np.float32)},
        {"taste_weights": np.ones(N_ITEMS - 1, np.float32)},
        {"taste_weights": np.array([1, 0, -2, 1], np.float32)},
        {"taste_directions": np.eye(3, dtype=np.float32)},
        {"taste_directions": np.full((3, 2), np.inf, np.float32)},
        {"taste_strengths": np.ones(3, np.float32)},
        {"taste_strengths": np.ones((2, 1), np.float32)},
        {"taste_strengths": np.array([np.nan, 1], np.float32)},
        {"fusion": np.array([8, 0.3, 0], np.float32)},
        {"fusion": np.array([[8, 0.3, 0.3, 0, 1]], np.float32)},
        {"fusion": np.array([0, 0.3, 0, 1], np.float32)},
        {"fusion": np.array([8, -0.3, 0, 1], np.float32)},
        {"fusion": np.array([np.inf, 0.3, 0, 1], np.float32)},
        {"taste_share": -0.1},
        {"taste_share": 1.1},
        {"taste_share": float("nan")},
        {"taste_share": 0.5, **WITHOUT},
        {"taste_share": 1.0},
        {"taste_share": np.full((1, 1, 1), 0.5, np.float32)},
        {"labels": ["Tea", "\x1b[2JBread"]},
        {"labels": ["Tea", "Bread" * 100]},
        {"labels": ["Tea", 5]},
        {"labels": np.ones(2, np.float32)},
        {
            "taste_directions": np.zeros((3, MOST_TASTES + 1), np.float32),
            "taste_strengths": np.ones(MOST_TASTES + 1, np.float32),
        },
    ],
)
def test_a_map_whose_parts_do_not_fit_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"A cluster map|A space of items"):
        ClusterMap(**fields(**changes))


def test_a_label_is_made_fit_to_be_shown() -> None:
    assert shown("Tea\xa0and\x1b[2J milk") == "Tea and [2J milk"
    assert len(shown("x" * 500)) == LONGEST_LABEL
    ClusterMap(**fields(labels=[shown("\x07"), shown("y" * 500)]))


def test_taste_over_too_many_items_is_none() -> None:
    n_items, m = MOST_TASTE_ITEMS + 5, MOST_TASTE_ITEMS + 1
    weights = np.zeros(n_items, np.float32)
    weights[:m] = 1
    wide: dict[str, Any] = {
        "item_weights": np.ones((2, n_items), np.float32),
        "popularity": np.ones(n_items, np.float32),
        "recent_popularity": np.zeros(0, np.float32),
        "taste_weights": weights,
        "taste_directions": np.zeros((m, 2), np.float32),
    }
    with pytest.raises(ValueError, match=f"over {m} items"):
        ClusterMap(**fields(**wide))


def test_a_map_that_lacks_something_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    ClusterMap(**fields()).save(path)
    with np.load(path, allow_pickle=False) as archive:
        content = {name: archive[name] for name in archive.files}
    for lacking in ("taste_share", "run", "popularity"):
        some = {name: value for name, value in content.items() if name != lacking}
        np.savez_compressed(path, allow_pickle=False, **some)
        with pytest.raises(ValueError, match="Nothing was read"):
            ClusterMap.load(path)
    np.savez_compressed(path, allow_pickle=False, **content, more=np.zeros(1))
    with pytest.raises(ValueError, match="Nothing was read"):
        ClusterMap.load(path)


def test_a_map_that_is_too_large_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="larger than"):
        ClusterMap(**fields())


@pytest.mark.parametrize("damage", ["cut", "other version", "text", "empty"])
def test_a_damaged_map_is_refused_with_a_sentence(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "map.npz"
    with monkeypatch.context() as patched:
        if damage == "other version":
            patched.setattr(module, "VERSION", 2)
        ClusterMap(**fields()).save(path)
    whole = path.read_bytes()
    if damage in ("cut", "text", "empty"):
        path.write_bytes({"cut": whole[:200], "text": b"a map", "empty": b""}[damage])
    with pytest.raises(ValueError, match="Nothing was read"):
        ClusterMap.load(path)
