"""What docs/attacks.md says of tests is so: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_that_is_named_is_there() -> None:
    missing = [
        f"{file}::{name}"
        for file, name in NAMED
        if not (ROOT / file).is_file() or f"\ndef {name}(" not in (ROOT / file).read_text()
    ]
    assert missing == []


def test_every_attack_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "| attack " not in line]
    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row] == []


def test_every_test_of_the_attacks_is_on_the_page() -> None:
    found = (ROOT / "tests" / "end_to_end" / "test_attacks.py").read_text()
    names = set(re.findall(r"^def (test_\w+)\(", found, re.MULTILINE))
    assert names <= {name for _, name in NAMED}
