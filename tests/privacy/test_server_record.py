"""What a server keeps for auditors survives its file, and what is no such file is told."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from privacy.server_record import (
    RoundCount,
    ServerRecord,
    read_server_record,
    write_server_record,
)
from tests.strategies.examples import a_head, a_key

ROUND = RoundCount(round_number=1, purpose="mean", asked=8, answered=5, refused=1, unusable=1)
EMPTY: dict[str, Any] = {"schema_version": 2, "run": "run-1", "heads": [], "rounds": []}


def test_who_was_asked_and_never_heard_of_dropped_out() -> None:
    assert ROUND.dropped_out == 1


def test_heads_survive_the_way_through_a_file(tmp_path: Path) -> None:
    heads = [a_head("north", 4), a_head("Süd", 2**40)]
    write_server_record(tmp_path / "heads.json", heads, run="run-1", rounds=[ROUND])
    assert read_server_record(tmp_path / "heads.json") == ServerRecord(
        run="run-1", heads=tuple(heads), rounds=(ROUND,)
    )
    content = json.loads((tmp_path / "heads.json").read_text(encoding="utf-8"))
    assert (content["schema_version"], content["run"]) == (2, "run-1")


def test_a_run_without_answers_has_a_file_without_heads(tmp_path: Path) -> None:
    write_server_record(tmp_path / "heads.json", [], run="run-1")
    assert read_server_record(tmp_path / "heads.json").heads == ()


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"heads\.json cannot be read \(No such file"):
        read_server_record(tmp_path / "heads.json")


def with_head(**changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 2,
        "run": "run-1",
        "heads": [asdict(a_head()) | changes],
        "rounds": [],
    }


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        {"schema_version": 1, "run": "run-1", "heads": [], "rounds": []},
        {"schema_version": 2},
        EMPTY | {"run": 7},
        EMPTY | {"heads": 7},
        EMPTY | {"heads": [7]},
        EMPTY | {"heads": [{"region": "north"}]},
        EMPTY | {"rounds": [7]},
        EMPTY | {"rounds": [{"purpose": "mean"}]},
        EMPTY | {"rounds": [asdict(ROUND) | {"asked": "8"}]},
        with_head(sequence="4"),
        with_head(colour="red"),
    ],
    ids=str,
)
def test_what_are_no_heads_is_an_error_that_names_the_file(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "heads.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=r"heads\.json does not hold ledgers' heads"):
        read_server_record(path)


def test_bytes_that_are_no_text_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "heads.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"heads\.json does not hold ledgers' heads"):
        read_server_record(tmp_path / "heads.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 5},
        {"head": "0" * 64},
        {"region": "south"},
        {"public_key": a_key("south").public},
        {"signature": "00" * 64},
        {"signature": "no hexadecimal"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_head_that_its_key_did_not_sign_is_an_error(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    (tmp_path / "heads.json").write_text(json.dumps(with_head(**changes)))
    with pytest.raises(ValueError, match="is not signed by its key"):
        read_server_record(tmp_path / "heads.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "\ud800"},
        {"run": "a\x1b[2J"},
        {"heads": [{"\ud800": 1}]},
        {"heads": [asdict(a_head("\x1b[2J"))]},
        *(
            {"rounds": [asdict(ROUND) | change]}
            for change in ({"purpose": "\ud800"}, {"asked": -1}, {"answered": 10**400}, {"\n": 1})
        ),
    ],
)
def test_what_cannot_be_printed_or_counted_is_told_in_one_line(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "heads.json"
    path.write_text(json.dumps(EMPTY | changes), encoding="utf-8")
    with pytest.raises(ValueError, match=r"heads\.json") as told:
        read_server_record(path)
    assert str(told.value).isprintable()
