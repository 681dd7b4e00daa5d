"""How words are written out and cased, as public texts themselves show.

texts (public)  ->  what is short for what, what is usually capitalised  ->  readable names
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Han and kana are written without spaces: their words are sought among runs of characters.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
TOKEN = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+(?:['\u2019][^\W_{UNSPACED}]+)*")
CATCH_ALL = frozenset(
    re.findall(
        r"\w+",
        "a all an and any are as assorted at by each etc every for from general in into is it item "
        "items its misc miscellaneous more no not of off on or other others our over product "
        "products such than the their this to under various with without you your",
    )
)
"""Words that say nothing about what an item is. General lists of stop words hold too much:
"top" and "fire" are on them."""
_CATCH_ALL = "|".join(sorted(CATCH_ALL))
LEADING = re.compile(rf"^(?:(?:{_CATCH_ALL})\b(?!')[\s.,&/+-]*)+", re.IGNORECASE)
TRAILING = re.compile(rf"(?:[\s.,&/+(-]+(?:{_CATCH_ALL})\b[\s.)]*)+$", re.IGNORECASE)
VOWELS = frozenset("aeiou")
LEAST_LETTERS = 4
MOST_VOWELS = 0.25
"""Of an abbreviation's letters."""


def words_of(phrase: str) -> list[str]:
    """Return a phrase's words in lower case; a run of Han or kana is one."""
    return [word.lower() for word in TOKEN.findall(phrase)]


@dataclass(frozen=True, slots=True)
class Spelling:
    """How words are written out, as the texts themselves show.

    Attributes
    ----------
    full : mapping of str to str
        Words that are others without their vowels: ``frzn`` to ``frozen``.
    forms : mapping of str to str
        Words in lower case to their usual form inside texts of mixed case:
        ``dvd`` to ``DVD``, ``obst`` to ``Obst``.
    """

    full: Mapping[str, str]
    forms: Mapping[str, str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Spelling:
        """Learn from texts, each a phrase of its own."""
        return cls(_abbreviations(texts), _usual_forms(texts))

    def written_out(self, text: str) -> str:
        """Return ``text`` with abbreviated words in full; a full word is in lower case."""
        return TOKEN.sub(lambda found: self.full.get(found[0].lower(), found[0]), text)

    def cased(self, text: str) -> str:
        """Return ``text`` as it is written inside a sentence.

        A text of mixed case stays as it is, but for a first word that is
        usually written small. All others say nothing about case.
        """
        if _is_mixed(text):
            return TOKEN.sub(lambda found: self._small(found[0]), text, count=1)
        return TOKEN.sub(lambda found: self.forms.get(found[0].lower(), _lowered(found[0])), text)

    def _small(self, word: str) -> str:
        usual = self.forms.get(word.lower())
        return usual if usual is not None and word.istitle() else word


def tidied(name: str, spelling: Spelling) -> str:
    """Return a category's name as it is written inside a sentence, without catch-all words.

    ``"VEGETABLES - ALL OTHERS"`` becomes ``"vegetables"``, ``"MISC"`` nothing.
    """
    text = spelling.cased(name)
    text = re.sub(r"\s*-\s+|\s+-\s*", " - ", " ".join(text.split()))
    text = LEADING.sub("", TRAILING.sub("", spelling.written_out(text))).strip()
    words = words_of(text)
    return text if any(word.strip("0123456789") for word in words) else ""


def capitalised(label: str) -> str:
    """Return a label with its first letter in upper case, all others as they are."""
    return label[:1].upper() + label[1:]


def _abbreviations(texts: Sequence[str]) -> dict[str, str]:
    """Return the words that are others without their vowels; the commonest other wins."""
    counts = Counter(word for text in texts for word in words_of(text))
    by_skeleton: dict[str, list[str]] = {}
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        by_skeleton.setdefault(_skeleton(word), []).append(word)
    full: dict[str, str] = {}
    for word in filter(_looks_abbreviated, counts):
        longer = (other for other in by_skeleton[_skeleton(word)] if _shortens(word, other))
        found = next(longer, word)
        if found != word and (counts[found] >= counts[word] or not VOWELS & set(word)):
            full[word] = found
    return full


def _usual_forms(texts: Sequence[str]) -> dict[str, str]:
    """Return each word's commonest form in texts of mixed case, first words left out."""
    forms: dict[str, Counter[str]] = {}
    for text in filter(_is_mixed, texts):
        first, *others = TOKEN.findall(text)
        # A first word's capital says nothing, but several capitals do.
        for word in [*others, *([first] if first[1:] != first[1:].lower() else [])]:
            forms.setdefault(word.lower(), Counter())[word] += 1
    return {word: counter.most_common(1)[0][0] for word, counter in forms.items()}


def _lowered(word: str) -> str:
    """Return a word of a text without mixed case in lower case, unless it must be an acronym."""
    acronym = word.isupper() and len(word) < LEAST_LETTERS and not VOWELS & set(word.lower())
    return word if acronym and len(word) > 1 and "Y" not in word else word.lower()


def _is_mixed(text: str) -> bool:
    return text != text.lower() and text != text.upper()


def _skeleton(word: str) -> str:
    """Return a word without its vowels, but for the first letter."""
    return word[:1] + "".join(letter for letter in word[1:] if letter not in VOWELS)


def _looks_abbreviated(word: str) -> bool:
    vowels = sum(letter in VOWELS or letter == "y" for letter in word)
    return len(word) >= LEAST_LETTERS and word.isascii() and vowels < MOST_VOWELS * len(word)


def _shortens(short: str, long: str) -> bool:
    """Return whether ``short`` comes about by leaving inner letters of ``long`` out."""
    letters = iter(long)
    return (
        len(short) < len(long)
        and short[-1] == long[-1]
        and all(letter in letters for letter in short)
    )
