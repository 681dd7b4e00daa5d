"""Text of unknown origin, made safe to show on a terminal: what does not show is spelt out."""

from __future__ import annotations

import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Kinds of characters that steer terminals, turn the direction of text, or cannot be seen."""


def shown(text: str, keep: str = "") -> str:
    """Return ``text`` with hidden characters as escapes; those in ``keep`` stay."""
    return "".join(
        letter if letter in keep or unicodedata.category(letter) not in HIDDEN else _escape(letter)
        for letter in text
    )


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
