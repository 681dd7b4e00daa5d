"""Reasons are plain sentences in either language."""

from __future__ import annotations

import pytest

from client.reasons import Habit, Language, Reason

ENGLISH, CHINESE = Language.ENGLISH, Language.CHINESE


@pytest.mark.parametrize(
    ("reason", "english", "chinese"),
    [
        (Reason(), "popular with everybody", "\u5927\u5bb6\u90fd\u559c\u6b22"),
        (
            Reason(because_of=("tea", "bread"), popular_in="Bakery"),
            "goes with tea and bread; popular in Bakery",
            "\u4e0etea\u548cbread\u76f8\u914d\uff1b\u5728\u201cBakery\u201d\u4e2d\u53d7\u6b22\u8fce",
        ),
        (
            Reason(because_of=("tea",)),
            "goes with tea; popular with everybody",
            "\u4e0etea\u76f8\u914d\uff1b\u5927\u5bb6\u90fd\u559c\u6b22",
        ),
        (
            Reason(because_of=("tea",), interests=("baking", "coffee"), popular_in="Bakery"),
            "goes with tea; suits your interest in baking and coffee; popular in Bakery",
            "\u4e0etea\u76f8\u914d\uff1b\u7b26\u5408\u60a8\u5bf9baking\u548ccoffee\u7684\u5174\u8da3\uff1b"
            "\u5728\u201cBakery\u201d\u4e2d\u53d7\u6b22\u8fce",
        ),
        (Habit(days=1, gap=0.0), "once before", "\u4ee5\u524d\u6709\u8fc7\u4e00\u6b21"),
        (
            Habit(days=3, gap=9.2),
            "on 3 days, about every 9 days",
            "\u51713\u5929\uff0c\u5927\u7ea6\u6bcf9\u5929\u4e00\u6b21",
        ),
        (
            Habit(days=3, gap=1.0),
            "on 3 days, nearly every day",
            "\u51713\u5929\uff0c\u51e0\u4e4e\u6bcf\u5929",
        ),
    ],
)
def test_a_reason_is_told_in_both_languages(
    reason: Reason | Habit, english: str, chinese: str
) -> None:
    assert reason.told() == reason.told(ENGLISH) == english
    assert reason.told(CHINESE) == chinese
