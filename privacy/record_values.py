"""What may stand in a record: plain values only, whoever signed them.

JSON  ->  values that print on one line, and that can be reckoned with

Whoever owns a ledger's key can sign anything, so this is where nonsense ends:
nobody after this has to expect it.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import Field, fields
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import Any, ClassVar, Protocol, TypeVar

LARGEST_COUNT = 2**63 - 1
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
_STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's control and format characters, halves of pairs, and ends of lines."""
_KINDS = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float)}


def plain_values(text: str) -> Any:
    """Read JSON whose texts can all be printed, and whose numbers are finite and not too large.

    Raises
    ------
    ValueError
        If it is no JSON, or holds another value.
    """
    values = json.loads(text)
    # Where the whole of it can be printed, no text in it can be anything else.
    _check([values], texts="\\" in text or not text.isprintable())
    return values


def _check(values: Iterable[Any], *, texts: bool) -> None:
    """Raise unless all numbers in them are fit, and all texts if those are to be checked."""
    for value in values:
        kind = type(value)
        if kind is str:
            if texts and not is_printable(value):
                raise ValueError(f"{value!r} cannot be printed")
        elif kind is float:
            if not math.isfinite(value):
                raise ValueError("a number is not finite")
        elif kind is int:
            if abs(value) > LARGEST_COUNT:
                raise ValueError("a number is too large")
        elif kind is dict:
            _check(value, texts=texts)
            _check(value.values(), texts=texts)
        elif kind is list:
            _check(value, texts=texts)


def is_printable(text: str) -> bool:
    """Tell whether a text is one line without anything that steers a terminal."""
    return text.isprintable() or not any(map(_steers, text))


def printable(text: str) -> str:
    """Return a text with a sign in place of each letter that cannot be printed."""
    return "".join(UNPRINTABLE if _steers(one) else one for one in text)


def _steers(letter: str) -> bool:
    return unicodedata.category(letter) in _STEERING


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


LineT = TypeVar("LineT", bound=_Dataclass)


def read_line(line: type[LineT], content: dict[str, Any]) -> LineT:
    """Make a dataclass of texts and numbers from a record's content.

    Raises
    ------
    TypeError
        If a value is missing, has another type than declared, or is not declared.
    """
    values = dict(content)
    for name, kinds in _kinds_of(line):
        if name not in values:
            continue  # missing altogether, or as good as its default
        if type(values[name]) not in kinds:
            raise TypeError(f"{name} is {values[name]!r}")
        if kinds is _KINDS["float"]:
            values[name] = float(values[name])
    return line(**values)


@cache
def _kinds_of(line: type[_Dataclass]) -> tuple[tuple[str, tuple[type, ...]], ...]:
    return tuple((part.name, _KINDS[str(part.type)]) for part in fields(line))


def text_of(value: Any) -> str:
    """Return a value that is a text.

    Raises
    ------
    TypeError
        If it is none.
    """
    if type(value) is not str:
        raise TypeError(f"{value!r} is no text")
    return value


def list_of_texts(*texts: str) -> str:
    """Write texts as a JSON list, in one way only: ASCII, without spaces."""
    return f"[{','.join(map(encode_basestring_ascii, texts))}]"
