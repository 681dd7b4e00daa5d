"""A server keeps the heads of the regions' ledgers, and objects to what does not fit them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from privacy.release import LEDGER_UNUSABLE, Refusal
from strategies.heads import HeadBook
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
