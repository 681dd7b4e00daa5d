"""The claim is true of every ledger that it is about, and says what was looked at."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from privacy.accountant import Adjacency
from privacy.audit.auditing import Audit, audit
from privacy.audit.claims import claim
from privacy.audit.evidence import SERVER_LEDGER
from privacy.query import NoiseKind
from tests.privacy.damaged_ledger import LEDGER
from tests.privacy.examples import a_door, a_query, giving, users


def a_ledger_of(folder: Path, region: str, *, sigma: float = 2.0, **rules: Any) -> Path:
    door = a_door(folder / region, noise=NoiseKind.SEEDED, region=region, **rules)
    door.answer(a_query(sigma=sigma), giving({"sums": users([[1, 0], [0, 1]])}))
    return folder / region / LEDGER


def upwards(epsilon: float) -> str:
    """Spell an epsilon between 1 and 10 in four digits, rounded up."""
    return f"{math.ceil(epsilon * (1 - 1e-6) * 1000) / 1000:.4g}"


def test_one_ledger_has_one_clause(tmp_path: Path) -> None:
    told = claim(audit([a_ledger_of(tmp_path, "north")]))
    assert "what north released by at most a factor e^" in told
    assert told.count("factor") == 1


def test_each_delta_and_adjacency_has_a_clause_with_its_own_largest_epsilon(tmp_path: Path) -> None:
    found = audit(
        [
            a_ledger_of(tmp_path, "strict"),
            a_ledger_of(tmp_path, "stricter", sigma=3.0),
            a_ledger_of(tmp_path, "lax", sigma=2.2, delta=1e-3, lifetime_delta=1e-3),
            a_ledger_of(tmp_path, "replacing", sigma=4.0, adjacency=Adjacency.REPLACE_ONE),
        ]
    )
    told = claim(found)
    assert told.count("factor") == 3
    of = {one.region: one.lifetime.cost.epsilon for one in found.ledgers if one.lifetime}
    for about, region, delta in (
        ("any one of strict, stricter", "strict", "1e-06"),
        ("what lax", "lax", "0.001"),
        ("what replacing", "replacing", "1e-06"),
    ):
        assert (
            f"{about} released by at most a factor e^{upwards(of[region])} over its ledger's whole "
            f"life, but for a probability of {delta}" in told
        )
    assert told.count("exchanging any one user's data") == 1


def test_windows_have_their_own_delta(tmp_path: Path) -> None:
    found = audit([a_ledger_of(tmp_path, "north", delta=1e-3)])
    (window,) = found.ledgers[0].windows
    spent = upwards(window.cost.epsilon)
    expected = f"e^{spent} in any one window, but for a probability of 0.001, and"
    assert expected in claim(found)
    assert "over its whole life, but for 1e-06" in claim(found)


@pytest.mark.parametrize("readable", [True, False])
def test_servers_ledger_alone_is_what_was_looked_at(tmp_path: Path, readable: bool) -> None:
    path = tmp_path / SERVER_LEDGER
    if readable:
        shutil.copy(a_ledger_of(tmp_path, "server"), path)
    else:
        path.write_text("junk", encoding="utf-8")
    told = claim(audit([path]))
    assert "mechanism" not in told
    assert told.endswith("No region's ledger was given.")
    word = "PASS: 1 ledger of servers holds" if readable else "UNUSABLE: 1 of 1 ledger of servers"
    assert told.startswith(word)


def test_servers_ledgers_count_among_what_is_none(tmp_path: Path) -> None:
    north = a_ledger_of(tmp_path, "north")
    (north.parent / SERVER_LEDGER).write_text("junk", encoding="utf-8")
    assert claim(audit([north])).startswith("UNUSABLE: 1 of 2 inputs")


def test_nothing_looked_at_promises_nothing() -> None:
    assert "checks" not in claim(Audit())
