"""A report whose claim cannot be compared with anything is told, whatever is in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from privacy.audit.server_claim import read_claim

SOUND: dict[str, Any] = {"epsilon": 2.5, "delta": 1e-6, "releases": 2}


def written(path: Path, run: str, **privacy: Any) -> Path:
    path.write_text(json.dumps({"run": {"id": run}, "privacy": SOUND | privacy}), encoding="utf-8")
    return path


@pytest.mark.parametrize("epsilon", [None, 0, 2, 0.0, 1e300])
def test_sound_claim_is_read(tmp_path: Path, epsilon: float | None) -> None:
    claim = read_claim(written(tmp_path / "report.json", "run-1", epsilon=epsilon, releases=0))
    assert (claim.run, claim.epsilon, claim.delta) == ("run-1", epsilon, 1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("delta", value) for value in (5.0, 1.0, 0.0, -1e-6, math.nan, math.inf, None, "x", 1)),
        *(("epsilon", value) for value in (-1.0, math.nan, math.inf, 10**400, "x", True)),
        *(("releases", value) for value in (-1, 1.0, None, True)),
    ],
)
def test_tampered_claim_is_told(tmp_path: Path, name: str, value: Any) -> None:
    path = written(tmp_path / "report.json", "run-1", **{name: value})
    with pytest.raises(ValueError, match=r"report\.json is not a run's report"):
        read_claim(path)


@pytest.mark.parametrize("run", ["\ud800", "a\nb"])
def test_run_that_cannot_be_printed_is_told(tmp_path: Path, run: str) -> None:
    with pytest.raises(ValueError, match="is not a run's report"):
        read_claim(written(tmp_path / "report.json", run))
