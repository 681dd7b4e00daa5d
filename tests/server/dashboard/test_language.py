"""English and Chinese say the same."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from server.dashboard.language import LANGUAGES, Speech, preferred, texts
from server.dashboard.settings import Settings
from tests.server.dashboard.site import browser, made


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_languages_have_the_same_texts_and_placeholders() -> None:
    english, chinese = texts("en"), texts("zh")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert placeholders(text) == placeholders(chinese[key]), key
        assert text.strip()
        assert chinese[key].strip()


def test_every_error_has_all_three_texts() -> None:
    reasons = {key.split(".")[1] for key in texts("en") if key.startswith("error.")} - {"back"}
    assert len(reasons) > 10
    for reason in reasons:
        for part in ("title", "text", "advice"):
            assert f"error.{reason}.{part}" in texts("en")


@pytest.mark.parametrize(
    ("cookie", "header", "expected"),
    [
        ("zh", "en", "zh"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "de,en;q=0.7,zh;q=0.3", "en"),
        ("", "de", "en"),
        ("de", "zh;q=0", "en"),
        ("", "zh;q=nonsense,en;q=0.1", "en"),
        ("", "zh;q=9,en;q=0.1", "en"),
        ("", "," * 10_000, "en"),
    ],
    ids=["cookie", "header", "weights", "neither", "refused", "nonsense", "beyond one", "commas"],
)
def test_language_is_what_was_chosen_else_liked_best(
    cookie: str, header: str, expected: str
) -> None:
    assert preferred(cookie, header, "en") == expected


def test_numbers_and_days_are_written_for_people() -> None:
    english, chinese = Speech("en"), Speech("zh")
    assert english.number(1234567.891, 1) == "1,234,567.9"
    assert english.number(-0.001, 1) == "0.0"
    assert english.number(-12) == "\N{MINUS SIGN}12"
    assert english.number(None) == english.number(float("nan")) == "\N{EN DASH}"
    assert english.number(float("inf")) == "∞"
    assert english.noisy(0.5, 0.012, 3) == "0.500 ± 0.012"
    assert english.percent(0.4851) == "48.5%"
    moment = datetime(2026, 11, 27, 1, 30, tzinfo=timezone(timedelta(hours=8)))
    assert english.moment(moment) == "26 Nov 2026 17:30 UTC"
    assert chinese.day(moment.astimezone(UTC)) == "2026年11月26日"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (4.26, "4.3 s"),
        (59.99, "60.0 s"),
        (3599.0, "1 h 0 min"),
        (90.0, "2 min"),
        (7260.0, "2 h 1 min"),
        (200_000.0, "2 d 7 h"),
    ],
)
def test_durations_have_two_units(seconds: float, expected: str) -> None:
    assert Speech("en").duration(seconds) == expected


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_page_speaks_the_language_and_says_so(tmp_path: Path, language: str) -> None:
    client = browser(made(Settings(data=tmp_path)), "http://127.0.0.1:8600")
    text = client.get("/no-such", headers={"accept-language": language}).text
    assert texts(language)["error.404.title"] in text
    assert f'<html lang="{Speech(language).tag}"' in text
