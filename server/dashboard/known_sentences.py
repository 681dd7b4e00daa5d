"""Sentences of reports in another language: those that this program writes, with their numbers.

"3 of 6 clusters do not rise above the noise ... Somebody's own words."
    ->  ("6 个聚类中有 3 个未超出噪声 ...", known), ("Somebody's own words.", not known)

A store may hold what a later version wrote, or somebody else: that is shown as it is.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

# It begins at the first digit only, so that a long number is tried once and not at each digit.
_NUMBER = r"(?P<{name}>(?<![\w.,])-?(?:\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?|nan|inf))"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, or several that nobody knows.

    Attributes
    ----------
    words : str
    is_known : bool
        Whether it is in the language of the page.
    """

    words: str
    is_known: bool


class KnownSentences:
    """What is known in two languages.

    Parameters
    ----------
    written : mapping of str to str
        By key, as reports have them, with a placeholder for each number.
    told : mapping of str to str
        The same keys and placeholders, as pages tell them.
    """

    def __init__(self, written: Mapping[str, str], told: Mapping[str, str]) -> None:
        self._known = [(_pattern(text), told[key]) for key, text in written.items()]

    def sentences(self, text: str) -> list[Sentence]:
        """Return a text in parts, in its order."""
        found = [
            (match.start(), match.end(), told.format(**match.groupdict()))
            for pattern, told in self._known
            for match in pattern.finditer(text)
        ]
        parts, done = [], 0
        for start, end, words in sorted(found):
            parts += [Sentence(text[done:start].strip(), False), Sentence(words, True)]
            done = end
        parts.append(Sentence(text[done:].strip(), False))
        return [part for part in parts if part.words]


def _pattern(template: str) -> re.Pattern[str]:
    """Return what finds a sentence; each of its numbers stands for a placeholder."""
    parts = string.Formatter().parse(template)
    return re.compile(
        "".join(
            re.escape(words) + (_NUMBER.format(name=name) if name is not None else "")
            for words, name, _, _ in parts
        )
    )
