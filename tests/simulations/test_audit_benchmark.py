"""The audit's benchmark tells rates with their limits, in the place that is theirs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from privacy.query import NoiseKind
from simulations.benchmarks.audit import (
    BEGIN,
    END,
    PAGE,
    Case,
    Rate,
    cases,
    failures,
    table,
    write_page,
)
from simulations.benchmarks.broken_doors import EXACT, STATISTICAL


def test_every_fault_and_every_kind_of_intact_door_is_examined() -> None:
    planned = cases(repeats=200, intact=1.0)
    assert {case.name for case in planned} == {
        "intact",
        *(fault.name for fault in (*STATISTICAL, *EXACT)),
    }
    assert sum(case.examinations for case in planned if case.fault is None) >= 300
    assert all(
        case.examinations == 200 for case in planned if case.fault is not None and not case.exact
    )


def test_a_broken_door_fails_and_an_intact_one_does_not() -> None:
    broken = Case(STATISTICAL[0].name, NoiseKind.SEEDED, 0, False, 1)
    intact = Case("intact", NoiseKind.SEEDED, None, False, 1)
    assert failures(broken, 1)
    assert failures(intact, 1) == []


def test_rates_stand_with_their_limits() -> None:
    case = Case("adds half of the noise", NoiseKind.SEEDED, 0, False, 200)
    found = table([Rate(case, 200, Counter({"noise-size": 200}))]).splitlines()[-1]
    expected = "| 200 | 100.0% | 98.2% to 100.0% | `noise-size` |"  # 0.025^(1/200)
    assert found.endswith(expected)


def test_intact_doors_are_told_together_too() -> None:
    rates = [Rate(case, 0, Counter()) for case in cases(repeats=1, intact=1.0)[:3]]
    row = table(rates).splitlines()[2]
    assert row == "| **is intact** | any | statistical | 700 | 0.0% | 0.0% to 0.5% | - |"


def test_table_goes_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_page("new", page)
    assert page.read_text("utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_page_has_a_row_for_every_door() -> None:
    rows = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    for fault in (*STATISTICAL, *EXACT):
        assert f"| {fault.name} |" in rows
