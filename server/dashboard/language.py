"""English and Chinese: texts, and how numbers and days are written.

``texts/en.toml`` and ``texts/zh.toml``, and for a page ``texts/en.PAGE.toml`` and
``texts/zh.PAGE.toml``, have the same keys and placeholders (a test says so).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from server.dashboard.known_sentences import KnownSentences, Sentence

LANGUAGES = {"en": "English", "zh": "中文"}
"""Each by its own name."""
_FOLDER = Path(__file__).with_name("texts")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_UNKNOWN, _MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


@cache
def texts(language: str) -> Mapping[str, str]:
    """Return all texts of a language, by key, such as ``login.title``."""
    found: dict[str, str] = {}
    for path in sorted(_FOLDER.glob(f"{language}*.toml")):
        found.update(_flat(tomllib.loads(path.read_text(encoding="utf-8")), ""))
    return found


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in table.items():
        key = f"{prefix}{name}"
        found += _flat(value, f"{key}.") if isinstance(value, dict) else [(key, str(value))]
    return found


@cache
def _cautions(language: str) -> KnownSentences:
    """Return what reports warn of, in English, as it is told in a language."""
    written, told = (
        {key: text for key, text in texts(one).items() if key.startswith("caution.")}
        for one in ("en", language)
    )
    return KnownSentences(written, told)


def preferred(cookie: str, accept_language: str, otherwise: str) -> str:
    """Return the language to speak: what was chosen, what the browser likes best, or the default.

    Parameters
    ----------
    cookie : str
        What the visitor chose; anything else is ignored.
    accept_language : str
        The header, such as ``zh-CN,zh;q=0.9,en;q=0.8``.
    otherwise : str
    """
    if cookie in LANGUAGES:
        return cookie
    best, language = 0.0, otherwise
    for part in accept_language[:500].split(","):
        name, _, weight = part.partition(";")
        code = name.strip().lower().partition("-")[0]
        liking = _weight(weight)
        if code in LANGUAGES and liking > best:
            best, language = liking, code
    return language


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


class Speech:
    """How a page speaks, in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.tag = {"en": "en", "zh": "zh-Hans"}[language]
        self._texts = texts(language)

    def text(self, key: str, **values: object) -> str:
        """Return a text with its placeholders filled in."""
        return self._texts[key].format(**values)

    def has(self, key: str) -> bool:
        """Tell whether there is such a text."""
        return key in self._texts

    def cautions(self, text: str) -> list[Sentence]:
        """Return what a report warns of, as far as it is known, in this language."""
        if self.language == "en":  # reports are
            return [Sentence(text, True)]
        return _cautions(self.language).sentences(text)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number with thousands apart; a dash where nothing is known."""
        if value is None or math.isnan(value):
            return _UNKNOWN
        if math.isinf(value):
            return "∞" if value > 0 else f"{_MINUS}∞"
        # What rounds to zero has no sign.
        return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", _MINUS)

    def noisy(self, value: float | None, noise: float | None, digits: int = 0) -> str:
        """Return a number with the standard deviation of its noise."""
        if noise is None or value is None:
            return self.number(value, digits)
        return f"{self.number(value, digits)} ± {self.number(noise, digits)}"

    def percent(self, share: float | None, digits: int = 1) -> str:
        """Return a share as percentage."""
        return _UNKNOWN if share is None else f"{self.number(100 * share, digits)}%"

    def day(self, moment: datetime | None) -> str:
        """Return the day of a moment, in UTC."""
        if moment is None:
            return _UNKNOWN
        moment = moment.astimezone(UTC)
        if self.language == "zh":
            return f"{moment.year}年{moment.month}月{moment.day}日"
        return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"

    def moment(self, moment: datetime | None) -> str:
        """Return day and time of a moment, in UTC."""
        if moment is None:
            return _UNKNOWN
        return f"{self.day(moment)} {moment.astimezone(UTC):%H:%M} UTC"

    def duration(self, seconds: float | None) -> str:
        """Return a duration in its two largest units."""
        if seconds is None:
            return _UNKNOWN
        if seconds < 60:
            return self.text("duration.seconds", n=self.number(seconds, 1))
        minutes = round(seconds / 60)
        if minutes < 60:
            return self.text("duration.minutes", n=minutes)
        hours, minutes = divmod(minutes, 60)
        if hours < 24:
            return self.text("duration.hours", n=hours, m=minutes)
        return self.text("duration.days", n=hours // 24, h=hours % 24)
