"""Why an item is on a list, in plain words, from what is known on this machine.

In English and Chinese; facts are found once, and spelt in either language.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Language(StrEnum):
    """In which reasons are told."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What speaks for an item.

    Attributes
    ----------
    because_of : tuple of str
        Names of at most two of the user's own items that it goes with.
    interests : tuple of str
        Stated ones that it suits, in the user's words.
    popular_in : str
        Label of the user's cluster, where that goes for it more than others do; else empty.
    """

    because_of: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    popular_in: str = ""

    @property
    def kind(self) -> str:
        """What kind of reason it is, in a word."""
        if self.because_of:
            return "own-items"
        if self.interests:
            return "interests"
        return "cluster" if self.popular_in else "everybody"

    def told(self, language: Language = Language.ENGLISH) -> str:
        """Spell it."""
        words = _WORDS[language]
        place = words["popular"].format(self.popular_in) if self.popular_in else words["everybody"]
        told = []
        if self.because_of:
            told.append(words["with"].format(words["and"].join(self.because_of)))
        if self.interests:
            told.append(words["suits"].format(words["and"].join(self.interests)))
        return words["pause"].join([*told, place])


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How often somebody comes back to an item.

    Attributes
    ----------
    days : int
        On which the user met it.
    gap : float
        Mean days between two of them; 0 where there is one.
    """

    days: int
    gap: float
    kind: ClassVar[str] = "habit"

    def told(self, language: Language = Language.ENGLISH) -> str:
        """Spell it."""
        words = _WORDS[language]
        if self.days < 2:
            return words["once"]
        daily = self.gap < 1.5
        often = words["daily"] if daily else words["gap"].format(f"{self.gap:.0f}")
        return words["days"].format(self.days, often)


_WORDS = {
    Language.ENGLISH: {
        "with": "goes with {}",
        "suits": "suits your interest in {}",
        "and": " and ",
        "pause": "; ",
        "popular": "popular in {}",
        "everybody": "popular with everybody",
        "once": "once before",
        "daily": "nearly every day",
        "gap": "about every {} days",
        "days": "on {} days, {}",
    },
    Language.CHINESE: {
        "with": "与{}相配",
        "suits": "符合您对{}的兴趣",
        "and": "和",
        "pause": "；",  # noqa: RUF001
        "popular": "在“{}”中受欢迎",
        "everybody": "大家都喜欢",
        "once": "以前有过一次",
        "daily": "几乎每天",
        "gap": "大约每{}天一次",
        "days": "共{}天，{}",  # noqa: RUF001
    },
}
EVERYBODY = Reason().told()
