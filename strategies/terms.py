"""Words that set classes of public texts apart.

texts, category paths (public)        ->  terms, items x terms
items x terms, classes x items        ->  class-based TF-IDF, classes x terms

Formula: class-based TF-IDF (Grootendorst 2022, "BERTopic: Neural topic modeling
with a class-based TF-IDF procedure", section 3.3), here with shares of items
for counts. Nothing but the classes' weights can stem from a release; all of it
is post-processing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from strategies.spelling import CATCH_ALL, LEAST_LETTERS, UNSPACED, Spelling, words_of

Array = NDArray[np.float64]

BOUNDARY = re.compile(r"[^\w\s'\u2019-]+|\s-\s?|_")
LONGEST_RUN = 4
"""Characters; most Chinese words have two, most names of goods at most four."""
WIDEST = 2.0
"""A term on more items than so many average classes have sets none apart."""
SAME_PHRASE = 0.9
"""A term is a piece of a longer one if so much of its occurrences lie inside it."""

Analyzer = Callable[[Sequence[str]], list[str]]


def phrases(text: str, category: str) -> list[str]:
    """Return the parts of a category path, then what the text says beyond them.

    Texts often begin with their category; a term across that seam is no phrase.
    """
    path = [part.strip() for part in category.split(">") if part.strip()]
    rest = text
    for part in sorted(path, key=len, reverse=True):
        rest = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", " | ", rest, count=1, flags=re.IGNORECASE)
    return [*path, *(piece for piece in rest.split(" | ") if piece.strip())]


def count_terms(
    documents: Sequence[Sequence[str]], spelling: Spelling
) -> tuple[list[str], csr_matrix]:
    """Return all terms, and which documents have which of them.

    Parameters
    ----------
    documents : sequence of sequences of str
        The phrases of each item; terms do not reach across phrases.
    spelling : Spelling

    Returns
    -------
    list of str, csr_matrix of shape (n_items, n_terms)
        Words and pairs of neighbouring words in lower case; two to four
        neighbouring characters of Han and kana. Terms of a single document are
        left out if others remain, pieces of longer terms always.
    """
    vectorizer = CountVectorizer(analyzer=_analyzer(spelling.full), binary=True, dtype=np.float64)
    try:
        counts = vectorizer.fit_transform(documents)
    except ValueError:  # not a single word in any text
        return [], csr_matrix((len(documents), 0))
    names = [str(name) for name in vectorizer.get_feature_names_out()]
    frequency = np.asarray(counts.sum(axis=0)).ravel()
    kept = _whole(names, frequency)
    often = kept & (frequency > 1)
    chosen = np.flatnonzero(often if often.any() else kept)
    return [names[index] for index in chosen], csr_matrix(counts[:, chosen])


def class_tfidf(weights: Array, counts: csr_matrix) -> Array:
    """Return each term's importance for each class.

    ``W[c, t] = tf[c, t] log(1 + A / f[t])``, with tf the term's share of all
    terms in the class, f its weight over all classes, A the terms' average
    weight per class (Grootendorst 2022, section 3.3).

    Parameters
    ----------
    weights : shape (k, n_items)
        How far each item belongs to each class; not negative.
    counts : csr_matrix, shape (n_items, n_terms)

    Returns
    -------
    shape (k, n_terms)
    """
    found = _mass(weights, counts)
    if not found.size:
        return found
    lengths = np.maximum(found.sum(axis=1, keepdims=True), 1e-12)
    overall = np.maximum(found.sum(axis=0), 1e-12)
    return np.asarray(found / lengths * np.log1p(found.sum() / len(found) / overall))


def telling(weights: Array, counts: csr_matrix) -> Array:
    """Return how well each term tells each class from the others: shape (k, n_terms).

    Class-based TF-IDF times the squared part of the term's weight that lies in
    the class: frequent words say little if they are everywhere; frequency and
    exclusivity together name a class (Bischof and Airoldi 2012). Terms that
    spread over several classes' worth of items score nothing.
    """
    found = _mass(weights, counts)
    overall = np.maximum(found.sum(axis=0), 1e-12)
    narrow = overall <= WIDEST * float(weights.sum()) / len(weights)
    return np.asarray(class_tfidf(weights, counts) * (found / overall) ** 2 * narrow)


def top_terms(importance: Array, names: Sequence[str], count: int) -> list[list[str]]:
    """Return the ``count`` most important terms of each class, none inside another.

    Parameters
    ----------
    importance : shape (k, n_terms)
    names : sequence of str, length n_terms
    count : int

    Returns
    -------
    list of k lists of str
        Shorter where a class has fewer terms.
    """
    return [_distinct(row, names, count) for row in importance]


def overlap(one: str, other: str) -> bool:
    """Return whether two terms share a word, singular or plural, or one run holds the other."""
    mine, theirs = ({_stem(word) for word in words_of(term)} for term in (one, other))
    if mine & theirs - CATCH_ALL:
        return True
    return bool(re.match(f"[{UNSPACED}]", one)) and (one in other or other in one)


def _mass(weights: Array, counts: csr_matrix) -> Array:
    return np.asarray((counts.T @ weights.T).T, dtype=np.float64)


def _distinct(row: Array, names: Sequence[str], count: int) -> list[str]:
    chosen: list[str] = []
    for index in np.argsort(-row, kind="stable"):
        if len(chosen) == count or row[index] <= 0:
            break
        if not any(overlap(names[index], other) for other in chosen):
            chosen.append(names[index])
    return chosen


def _stem(word: str) -> str:
    """Return an English plural's singular, roughly: enough to see that two words are one."""
    if len(word) > LEAST_LETTERS and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) >= LEAST_LETTERS and word.endswith("s") else word


def _analyzer(full: Mapping[str, str]) -> Analyzer:
    def analyze(document: Sequence[str]) -> list[str]:
        pieces = (piece for phrase in document for piece in BOUNDARY.split(phrase))
        return [term for piece in pieces for term in _terms(piece, full)]

    return analyze


def _terms(piece: str, full: Mapping[str, str]) -> Iterator[str]:
    """Yield the words, pairs and runs of one piece without inner punctuation."""
    previous = ""
    for written in words_of(piece):
        word = full.get(written, written)
        if re.match(f"[{UNSPACED}]", word):
            for size in range(min(2, len(word)), LONGEST_RUN + 1):
                yield from (word[at : at + size] for at in range(len(word) - size + 1))
            previous = ""
        elif len(word) < 2 or word in CATCH_ALL or not word.strip("0123456789"):
            previous = ""
        else:
            yield word
            if previous and previous != word:
                yield f"{previous} {word}"
            previous = word


def _whole(names: Sequence[str], frequency: Array) -> NDArray[np.bool_]:
    """Return which terms occur on their own, not merely inside one longer term."""
    position = {name: index for index, name in enumerate(names)}
    whole = np.ones(len(names), dtype=np.bool_)
    for index, name in enumerate(names):
        pieces = name.split() if " " in name else [name[1:], name[:-1]]
        for piece in pieces:
            inner = position.get(piece)
            if inner is not None and frequency[index] >= SAME_PHRASE * frequency[inner]:
                whole[inner] = False
    return whole
