"""What the guide to exploring a run says works, block by block, on a run of the command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulations.benchmarks.clustering.populations import separated
from tests.end_to_end.test_command_line import ROOT, Command, fedinterest

__all__ = ["fedinterest"]

GUIDE = ROOT / "docs" / "exploring.md"


def test_every_block_runs_on_a_run_of_few_people(
    fedinterest: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("users.npy", separated(60, 1).vectors)
    told = fedinterest(*_command().split())
    assert told.returncode == 0, told.stderr
    found = _run_blocks()
    assert found["labels"].shape == (60,)
    assert found["merger"].size_noise_.max() > 0


def test_every_block_of_the_guide_runs_and_finds_the_ten_groups(
    fedinterest: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    population = separated(8000, 1)
    monkeypatch.chdir(tmp_path)
    np.save("users.npy", population.vectors)
    told = fedinterest(*_command().split())
    assert told.returncode == 0, told.stderr
    found = _run_blocks()
    assert found["chosen"].k_ == 10
    assert found["summary"].weights.sum() == pytest.approx(8000, rel=0.1)
    assert len(found["dense"].cluster_centers_) == 10
    assert found["labels"].shape == (8000,)
    truth = population.truth
    assert truth is not None
    for group in range(10):
        share = np.bincount(found["labels"][truth == group]).max() / (truth == group).sum()
        assert share > 0.95


def _command() -> str:
    """Return the guide's command, without its name."""
    text = GUIDE.read_text(encoding="utf-8")
    (command,) = re.findall(r"```bash\nfedinterest (.*?)\n```", text)
    return str(command)


def _run_blocks() -> dict[str, Any]:
    """Run the guide's blocks one after the other; return what they named."""
    text = GUIDE.read_text(encoding="utf-8")
    found: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(compile(block, str(GUIDE), "exec"), found)  # noqa: S102 - the guide is ours
    return found
