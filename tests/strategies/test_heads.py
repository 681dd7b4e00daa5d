"""A server keeps the heads of the regions' ledgers, and objects to what does not fit them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy.release import LEDGER_UNUSABLE, Refusal
from privacy.signed_head import SignedHead
from strategies.heads import HeadBook, read_heads, write_heads
from tests.strategies.examples import a_head, a_key, a_refusal, signed, signed_under


def test_a_genuine_answer_is_noted_with_its_head() -> None:
    book, answer = HeadBook(), signed(a_refusal())
    assert book.objection(answer) is None
    assert list(book) == [answer.head]


def test_the_book_keeps_the_latest_head_of_each_region_in_their_order() -> None:
    book = HeadBook()
    for region, sequence in (("south", 4), ("north", 4), ("north", 9), ("south", 6)):
        assert book.objection(signed(a_refusal(region), sequence)) is None
    assert list(book) == [a_head("north", 9), a_head("south", 6)]


def test_the_same_answer_again_is_no_objection() -> None:
    book = HeadBook()
    assert [book.objection(signed(a_refusal())) for _ in range(2)] == [None, None]


def test_only_a_refusal_for_an_unusable_ledger_may_come_without_a_head() -> None:
    book = HeadBook()
    assert book.objection(a_refusal(reason=LEDGER_UNUSABLE)) is None
    assert book.objection(a_refusal(reason="budget-exhausted")) == "it has no signed head"
    assert list(book) == []


def changed_sentence(answer: Refusal) -> Refusal:
    return replace(answer, sentence="Gladly.")


def another_regions_head(answer: Refusal) -> Refusal:
    return replace(answer, head=a_head("south"))


def later_head(answer: Refusal) -> Refusal:
    return replace(answer, head=a_head("north", 5))


def unsigned(answer: Refusal) -> Refusal:
    return replace(answer, signature="")


@pytest.mark.parametrize(
    "change",
    [changed_sentence, another_regions_head, later_head, unsigned],
    ids=lambda f: f.__name__,
)
def test_a_wrong_signature_is_an_objection_and_leaves_the_book_as_it_was(change: Any) -> None:
    book = HeadBook()
    assert book.objection(change(signed(a_refusal()))) == "its signature is wrong"
    assert list(book) == []


def test_an_unusable_ledger_with_a_wrong_signature_is_an_objection_too() -> None:
    forged = replace(signed(a_refusal(reason=LEDGER_UNUSABLE)), sentence="Trust me.")
    assert HeadBook().objection(forged) == "its signature is wrong"


def test_the_first_key_of_a_region_stays() -> None:
    book = HeadBook()
    book.objection(signed(a_refusal(), 4))
    impostor = signed(a_refusal(), 5, key=a_key("impostor"))
    assert impostor.is_genuine
    assert book.objection(impostor) == "it is signed with another key than the answers before"
    assert list(book) == [a_head("north", 4)]


def test_a_ledger_that_went_back_is_an_objection() -> None:
    book = HeadBook()
    book.objection(signed(a_refusal(), 9))
    earlier = signed(a_refusal(), 8)
    assert book.objection(earlier) == "its ledger has been rolled back since the answer before"
    assert list(book) == [a_head("north", 9)]


def test_heads_survive_the_way_through_a_file(tmp_path: Path) -> None:
    heads = [a_head("north", 4), a_head("Süd", 2**40)]
    write_heads(tmp_path / "heads.json", heads, run="run-1")
    assert read_heads(tmp_path / "heads.json") == heads
    content = json.loads((tmp_path / "heads.json").read_text(encoding="utf-8"))
    assert (content["schema_version"], content["run"]) == (1, "run-1")


def test_a_run_without_answers_has_a_file_without_heads(tmp_path: Path) -> None:
    write_heads(tmp_path / "heads.json", HeadBook(), run="run-1")
    assert read_heads(tmp_path / "heads.json") == []


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"heads\.json cannot be read \(No such file"):
        read_heads(tmp_path / "heads.json")


def with_head(**changes: Any) -> dict[str, Any]:
    return {"schema_version": 1, "run": "run-1", "heads": [fields(a_head()) | changes]}


def fields(head: SignedHead) -> dict[str, Any]:
    return {name: getattr(head, name) for name in SignedHead.__dataclass_fields__}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        {"schema_version": 2, "heads": []},
        {"schema_version": 1},
        {"schema_version": 1, "heads": 7},
        {"schema_version": 1, "heads": [7]},
        {"schema_version": 1, "heads": [{"region": "north"}]},
        with_head(sequence="4"),
        with_head(colour="red"),
    ],
    ids=str,
)
def test_what_are_no_heads_is_an_error_that_names_the_file(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "heads.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=r"heads\.json does not hold ledgers' heads"):
        read_heads(path)


def test_bytes_that_are_no_text_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "heads.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"heads\.json does not hold ledgers' heads"):
        read_heads(tmp_path / "heads.json")


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
        read_heads(tmp_path / "heads.json")


def test_a_ledger_that_went_on_from_a_copy_is_an_objection() -> None:
    book = HeadBook()
    book.objection(signed(a_refusal(), 4))
    branch = a_head("north", 4, state="branch")
    forked = signed_under(a_refusal(), branch)
    assert forked.is_genuine
    assert book.objection(forked) == "its ledger has been rolled back since the answer before"


def test_an_earlier_answer_that_comes_again_is_no_objection() -> None:
    book = HeadBook()
    for sequence in (4, 9, 4):
        assert book.objection(signed(a_refusal(), sequence)) is None
    assert list(book) == [a_head("north", 9)]
