"""Terms of public texts: which words tell classes apart, and how they are written."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from strategies.spelling import Spelling, capitalised, tidied
from strategies.terms import class_tfidf, count_terms, overlap, phrases, telling, top_terms

PLAIN = Spelling({}, {})


def terms_of(*documents: list[str]) -> list[str]:
    return count_terms(documents, Spelling.of([text for texts in documents for text in texts]))[0]


def test_importance_is_that_of_the_published_formula() -> None:
    counts = csr_matrix(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]]))
    classes = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    # First class: bread twice, soap once; second: once each; 5 words, 2.5 per class.
    bread, soap = np.log(1 + 2.5 / 3), np.log(1 + 2.5 / 2)
    expected = [[2 / 3 * bread, 1 / 3 * soap], [1 / 2 * bread, 1 / 2 * soap]]
    np.testing.assert_allclose(class_tfidf(classes, counts), expected)


def test_a_class_without_items_has_no_important_terms() -> None:
    counts = csr_matrix(np.eye(2))
    classes = np.array([[1.0, 1.0], [0.0, 0.0]])
    assert top_terms(telling(classes, counts), ["bread", "soap"], 3)[1] == []


def test_a_term_that_is_everywhere_tells_nothing_apart() -> None:
    counts = csr_matrix(np.array([[1.0, 1.0, 0.0]] * 3 + [[1.0, 0.0, 1.0]] * 3 + [[1.0, 0, 0]] * 6))
    classes = np.repeat(np.eye(4), 3, axis=1)
    found = top_terms(telling(classes, counts), ["shop", "bread", "soap"], 3)
    assert found == [["bread"], ["soap"], [], []]


def test_no_term_repeats_the_words_of_another() -> None:
    names = ["apples", "apple juice", "juice", "tea"]
    assert top_terms(np.array([[4.0, 3.0, 2.0, 1.0]]), names, 4) == [["apples", "juice", "tea"]]


def test_no_term_reaches_from_the_category_into_the_text() -> None:
    text, category = "drug gm paper goods kitchen towels", "DRUG GM > PAPER GOODS"
    found = terms_of(phrases(text, category), phrases(text, category))
    assert {"drug gm", "paper goods", "kitchen towels"} == set(found)


def test_catch_all_words_and_numbers_are_no_terms() -> None:
    assert terms_of(["misc other 100 and soap"], ["all 42 soap"]) == ["soap"]


def test_words_that_occur_only_in_a_phrase_give_way_to_it() -> None:
    found = terms_of(["baking soda"], ["baking soda"], ["soda bread"], ["soda bread"])
    assert set(found) == {"baking soda", "soda bread", "soda"}


def test_terms_of_one_item_stay_where_there_are_no_others() -> None:
    assert set(terms_of(["rye"], ["soap"])) == {"rye", "soap"}


@pytest.mark.parametrize("texts", [[], ["", "..."], ["12 34"]])
def test_texts_without_words_have_no_terms(texts: list[str]) -> None:
    names, counts = count_terms([[text] for text in texts], PLAIN)
    assert names == []
    assert counts.shape == (len(texts), 0)
    assert top_terms(telling(np.ones((2, len(texts))), counts), names, 3) == [[], []]


def test_chinese_words_are_found_without_spaces() -> None:
    found = terms_of(["电子产品充电器"], ["新款电子产品"], ["咖啡豆"], ["速溶咖啡"], ["茶"])
    assert set(found) == {"电子产品", "咖啡"}


def test_japanese_and_latin_words_live_in_one_text() -> None:
    assert set(terms_of(["USB ケーブル"], ["ケーブル USB"])) == {"usb", "ケーブル"}


def test_words_without_vowels_are_counted_as_the_words_they_stand_for() -> None:
    spelling = Spelling.of(["FRZN PIZZA", "frozen peas", "frozen fish", "stars", "strs"])
    assert spelling.full == {"frzn": "frozen", "strs": "stars"}
    names, counts = count_terms([["frzn pizza"], ["frozen peas"]], spelling)
    assert dict(zip(names, counts.sum(axis=0).A1, strict=True)) == {"frozen": 2.0}


def test_ordinary_words_are_not_taken_for_abbreviations() -> None:
    assert Spelling.of(["stars", "steers", "bred", "bread", "bread", "frisk friskie"]).full == {}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("VEGETABLES - ALL OTHERS", "vegetables"),
        ("MISC. DAIRY", "dairy"),
        ("PEPPERS-ALL", "peppers"),
        ("HAIR CARE PRODUCTS", "hair care"),
        ("FLORAL- HARD  GOODS", "floral - hard goods"),
        ("All-purpose cleaners", "purpose cleaners"),
        ("ALLSPICE", "allspice"),
        ("TOYS AND GAMES", "toys and games"),
        ("MISC", ""),
        (" 12 ", ""),
    ],
)
def test_category_names_lose_their_catch_all_words(name: str, written: str) -> None:
    assert tidied(name, PLAIN) == written


def test_acronyms_keep_their_case() -> None:
    spelling = Spelling.of(["Player for DVD discs", "Obst & Gemüse", "Frisches Gemüse", "an LED"])
    assert spelling.cased("dvd player") == "DVD player"
    assert spelling.cased("DVD PLAYER") == "DVD player"
    assert spelling.cased("USB cables") == "USB cables"
    assert spelling.cased("gemüse") == "Gemüse"
    assert spelling.cased("BABY HBC") == "baby HBC"
    assert spelling.cased("DRY TEA") == "dry tea"
    assert capitalised("iron, LED lamps") == "Iron, LED lamps"


def test_a_first_word_is_small_if_it_usually_is() -> None:
    spelling = Spelling.of(["Fresh bread", "Rye bread"])
    assert spelling.cased("Bread and rolls") == "bread and rolls"
    assert spelling.cased("Rolls") == "Rolls"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("dried berries", "berry", True),
        ("soft drinks", "drink", True),
        ("toys and games", "bits and bobs", False),
        ("ham", "hamburger", False),
        ("电子产品", "电子", True),
        ("咖啡", "电子", False),
    ],
)
def test_terms_overlap_where_they_share_a_word(one: str, other: str, same: bool) -> None:
    assert overlap(one, other) is same
    assert overlap(other, one) is same
