"""Weights are tuned once for a map, and again when anything about them is another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client.kept_weights import KEPT, kept_or_tuned
from strategies.fusion import Fusion

NOW = datetime(2026, 3, 1, tzinfo=UTC)
USUAL = Fusion()
TUNED = Fusion(half_life=1e9, text=1.0)


class Tuning:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Fusion:
        self.times += 1
        return TUNED


@pytest.fixture
def map_path(tmp_path: Path) -> Path:
    path = tmp_path / "cluster-map.npz"
    path.write_bytes(b"a map")
    return path


def test_the_same_map_is_tuned_once(map_path: Path) -> None:
    tune = Tuning()
    for later in (timedelta(0), timedelta(hours=5), KEPT - timedelta(seconds=1)):
        assert kept_or_tuned(map_path, USUAL, NOW + later, tune) == TUNED
    assert tune.times == 1


def test_another_map_other_usual_weights_or_another_week_are_tuned_anew(map_path: Path) -> None:
    tune = Tuning()
    kept_or_tuned(map_path, USUAL, NOW, tune)
    kept_or_tuned(map_path, replace(USUAL, lift=0.5), NOW, tune)
    map_path.write_bytes(b"another map")
    kept_or_tuned(map_path, replace(USUAL, lift=0.5), NOW, tune)
    kept_or_tuned(map_path, replace(USUAL, lift=0.5), NOW + KEPT, tune)
    kept_or_tuned(map_path, replace(USUAL, lift=0.5), NOW, tune)  # the clock was set back
    assert tune.times == 5


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"about": 1}', '{"tuned": 3, "about": {}}'])
def test_a_damaged_file_is_made_anew(map_path: Path, damaged: str) -> None:
    tune = Tuning()
    kept_or_tuned(map_path, USUAL, NOW, tune)
    map_path.with_suffix(".weights.json").write_text(damaged)
    assert kept_or_tuned(map_path, USUAL, NOW, tune) == TUNED
    assert kept_or_tuned(map_path, USUAL, NOW, tune) == TUNED
    assert tune.times == 2


def test_who_cannot_write_tunes_each_time(map_path: Path) -> None:
    tune = Tuning()
    map_path.with_suffix(".weights.unfinished").mkdir()
    assert kept_or_tuned(map_path, USUAL, NOW, tune) == TUNED
    assert kept_or_tuned(map_path, USUAL, NOW, tune) == TUNED
    assert tune.times == 2
