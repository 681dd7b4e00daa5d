"""A run whose server is killed goes on, and ends as if nothing had been."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import server.results
from privacy.audit.auditing import audit
from privacy.query import TrustModel
from server.results import read_report
from strategies.item_space import Space
from tests.server.resumable import RUN, KillEverywhere, Killed, Scene, comparable

TASTE = {
    "recommendation__taste": True,
    "recommendation__lately": True,
    "recommendation__votes": True,
    "recommendation__largest_upload_mb": 0.01,
    "clustering__space": "best",
}
"""In several rounds, which know something in common; then in whichever space is best."""


@pytest.fixture(autouse=True)
def _quick_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the accountant that takes seconds: the releases are compared one by one."""
    monkeypatch.setattr(server.results, "pld_epsilon", lambda events, **rules: 0.0)


def bits(arrays: dict[str, np.ndarray]) -> dict[str, tuple[str, bytes]]:
    return {name: (array.dtype.str, array.tobytes()) for name, array in arrays.items()}


@pytest.mark.parametrize("more", [{}, TASTE], ids=["texts", "taste"])
@pytest.mark.parametrize("trust", ["local", "central"])
def test_a_run_killed_at_every_place_ends_as_one_that_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: str, more: dict[str, Any]
) -> None:
    settings = {"privacy__trust_model": trust, **more}
    whole, broken = Scene(tmp_path / "whole", **settings), Scene(tmp_path / "broken", **settings)
    whole.start()
    with monkeypatch.context() as patch:
        killer = KillEverywhere(patch, broken)
        times = broken.start_until_done()

    phases = len(whole.requests)
    # Before each question, after its answers were lost, and after it was absorbed; under central,
    # instead of that, with the answers there, with the noise drawn, and with the release made.
    assert times - 1 == len(killer.places) == phases * (3 if trust == "local" else 5)
    assert bits(broken.arrays()) == bits(whole.arrays())
    found, expected = read_report(broken.out), read_report(whole.out)
    assert (found.run.resumed, expected.run.resumed) == (len(killer.places), 0)
    assert comparable(found.model_dump()) == comparable(expected.model_dump())
    assert found.clustering.space == ("text" if not more else expected.clustering.space)
    # Nobody is charged twice: ledgers hold the same entries, and an auditor finds no fault.
    assert broken.charges() == whole.charges()
    assert all(len(entries) == phases for entries in broken.charges().values())
    assert [one.faults for one in audit([broken.out]).ledgers] == [[], []]
    # What was asked again was the very same question, under the first run's name.
    prints = {(r.round_number, r.query().fingerprint()) for r in broken.requests}
    assert prints == {(r.round_number, r.query().fingerprint()) for r in whole.requests}
    assert {request.run for request in broken.requests} == {RUN}
    assert not broken.checkpoint.exists()
