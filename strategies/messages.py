"""The wire format: requests to clients, and the three things that come back.

Request          <->  RecordDict {"request", "arrays"}
Release          <->  RecordDict {"answer", "sums"}
ClippedSum       <->  RecordDict {"answer", "sums"}
Refusal          <->  RecordDict {"answer"}

There is no function here for anything else, so nothing else can be sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from itertools import accumulate
from typing import Any, cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from privacy.query import NoiseKind, TrustModel
from privacy.release import Answer, ClippedSum, Refusal, Release
from privacy.signed_head import SignedHead
from strategies.questions import Request, flatten, unflatten

FORMAT = 3
"""Of requests. To be raised with every change of what a request's fields, or those of a
``SumQuery``, mean: an older client then says so, and does not take a signature for wrong."""
_QUESTION = "question."
_HEAD = "head."
_HASH = re.compile(r"(?:[0-9a-f]{64})?")
LONGEST_SENTENCE = 500
"""Characters of what a region says to people."""


class MessageError(Exception):
    """A message that does not have the form it must have."""


def request_to_records(request: Request) -> RecordDict:
    """Pack a request for the wire."""
    flat = flatten(request.question)
    arrays = {name: value for name, value in flat.items() if isinstance(value, np.ndarray)}
    numbers = {_QUESTION + name: value for name, value in flat.items() if name not in arrays}
    envelope = {
        "format": FORMAT,
        "run": request.run,
        "round-number": request.round_number,
        "purpose": request.purpose,
        "trust-model": request.trust_model.value,
        "sigma": request.sigma,
        "encoder": request.encoder,
        "catalogue": request.catalogue,
        "kind": request.question.kind,
        "participants": request.participants,
        "server-key": request.server_key,
        "signature": request.signature,
        "expires": request.expires,
    }
    config = ConfigRecord(cast(Any, envelope | numbers))
    return RecordDict({"request": config, "arrays": pack_arrays(arrays)})


def records_to_request(records: RecordDict) -> Request:
    """Unpack a request.

    Raises
    ------
    MessageError
        If something is missing, unknown or impossible.
    """
    try:
        config = records.config_records["request"]
        if (found := _number(config, "format")) != FORMAT:
            raise ValueError(f"it is of format {found}, this program reads format {FORMAT}")
        flat: dict[str, Any] = dict(unpack_arrays(records.array_records["arrays"]))
        for key, value in config.items():
            if key.startswith(_QUESTION):
                flat[key.removeprefix(_QUESTION)] = value
        return Request(
            run=str(config["run"]),
            round_number=int(_number(config, "round-number")),
            purpose=str(config["purpose"]),
            trust_model=TrustModel(str(config["trust-model"])),
            sigma=float(_number(config, "sigma")),
            encoder=str(config["encoder"]),
            catalogue=str(config["catalogue"]),
            question=unflatten(str(config["kind"]), flat),
            participants=int(_number(config, "participants")),
            server_key=str(config["server-key"]),
            signature=str(config["signature"]),
            expires=int(_number(config, "expires")),
        )
    except (
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        OverflowError,
    ) as error:
        raise MessageError(f"The request cannot be read: {error}") from error


def answer_to_records(answer: Answer) -> RecordDict:
    """Pack what the door gave out; any other type is an error.

    Raises
    ------
    TypeError
        If ``answer`` did not come out of the door.
    """
    envelope: dict[str, Any] = {
        "type": type(answer).__name__,
        "region": answer.region,
        "run": answer.run,
        "round-number": answer.round_number,
        "purpose": answer.purpose,
        "code": answer.code,
        "signature": answer.signature,
    }
    if answer.head is not None:
        envelope |= {_HEAD + name: value for name, value in asdict(answer.head).items()}
    if type(answer) is Refusal:
        envelope |= {"reason": answer.reason, "sentence": answer.sentence}
        return RecordDict({"answer": ConfigRecord(envelope)})
    if type(answer) not in (Release, ClippedSum):
        raise TypeError(
            f"A client answers with Release, ClippedSum or Refusal, not {type(answer).__name__}. "
            "Nothing was sent."
        )
    summed = cast(Release | ClippedSum, answer)
    envelope |= {
        "window": summed.window,
        "sensitivity": summed.sensitivity,
        "sigma": summed.sigma,
        "entry": summed.entry,
    }
    if isinstance(summed, Release):
        envelope["noise"] = summed.noise.value
    return RecordDict({"answer": ConfigRecord(envelope), "sums": pack_arrays(summed.sums)})


def records_to_answer(records: RecordDict) -> Answer:
    """Unpack an answer.

    Raises
    ------
    MessageError
        If it is none of the three.
    """
    try:
        config = records.config_records["answer"]
        kind = _text(config, "type")
        common: dict[str, Any] = {
            "region": _word(config, "region"),
            "run": _text(config, "run"),
            "round_number": int(_number(config, "round-number")),
            "purpose": _text(config, "purpose"),
            "code": _hash(config, "code"),
            "signature": _text(config, "signature"),
            "head": _head(config),
        }
        if kind == "Refusal":
            reason, sentence = _word(config, "reason"), _word(config, "sentence")
            return Refusal(**common, reason=reason, sentence=sentence)
        number = np.int64 if kind == "ClippedSum" else np.float32
        common |= {
            "window": _text(config, "window"),
            "sums": unpack_arrays(records.array_records["sums"], number),
            "sensitivity": float(_number(config, "sensitivity")),
            "sigma": float(_number(config, "sigma")),
            "entry": int(_number(config, "entry")),
        }
        if kind == "Release":
            return Release(**common, noise=NoiseKind(_text(config, "noise")))
        if kind == "ClippedSum":
            return ClippedSum(**common)
    except (KeyError, ValueError, TypeError, EOFError, OverflowError) as error:
        raise MessageError(f"The answer cannot be read: {error}") from error
    raise MessageError(f"An answer cannot be of type {kind!r}.")


def _head(config: ConfigRecord) -> SignedHead | None:
    found = {
        key.removeprefix(_HEAD): value for key, value in config.items() if key.startswith(_HEAD)
    }
    return SignedHead.from_json(found) if found else None


def _text(config: ConfigRecord, key: str) -> str:
    value = config[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is {type(value).__name__}, not a text")
    return value


def _word(config: ConfigRecord, key: str) -> str:
    """Return a text that will be shown to people: nothing that moves a cursor, nothing long."""
    text = _text(config, key)
    if not text.isprintable() or len(text) > LONGEST_SENTENCE:
        raise ValueError(f"{key} is not printable, or longer than {LONGEST_SENTENCE} characters")
    return text


def _hash(config: ConfigRecord, key: str) -> str:
    """Return a SHA-256 in hexadecimal, or an empty text."""
    text = _text(config, key)
    if not _HASH.fullmatch(text):
        raise ValueError(f"{key} is no SHA-256")
    return text


def _number(config: ConfigRecord, key: str) -> float:
    value = config[key]
    if type(value) not in (int, float):
        raise TypeError(f"{key} is {type(value).__name__}, not a number")
    return cast(float, value)


def pack_arrays(arrays: Mapping[str, Any]) -> ArrayRecord:
    """Pack arrays of one number type as a single one, under a name that tells theirs and shapes.

    Each array more would be two parts more of a message, and each part is a request of its own
    to the SuperLink, from either side.

    Raises
    ------
    TypeError
        If they are not of one number type.
    """
    if not arrays:
        return ArrayRecord()
    kinds = {values.dtype for values in arrays.values()}
    if len(kinds) > 1:
        raise TypeError(f"Arrays of several number types: {sorted(map(str, kinds))}")
    layout = " ".join(
        f"{name}:{'x'.join(map(str, values.shape))}" for name, values in arrays.items()
    )
    return ArrayRecord({layout: Array(np.concatenate([one.ravel() for one in arrays.values()]))})


def unpack_arrays(record: ArrayRecord, number: type[np.generic] = np.float32) -> dict[str, Any]:
    """Unpack what :func:`pack_arrays` has made of arrays of ``number``.

    Raises
    ------
    ValueError
        If the record is none of these.
    """
    if not record:
        return {}
    ((layout, packed),) = record.items()
    values = packed.numpy()
    if values.dtype != number:
        raise ValueError(f"the arrays are {values.dtype}, not {number.__name__}")
    parts = [_shape(part) for part in layout.split(" ")]
    shapes = dict(parts)
    if len(shapes) < len(parts):
        raise ValueError("two arrays have one name")
    ends = list(accumulate(math.prod(shape) for shape in shapes.values()))
    if values.shape != (ends[-1],):
        raise ValueError(f"the arrays have {ends[-1]} values together, {values.shape} came")
    cut = np.split(values, ends[:-1])
    return {
        name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), cut, strict=True)
    }


def _shape(part: str) -> tuple[str, tuple[int, ...]]:
    """Return name and shape of ``sums:6x384``."""
    found = re.fullmatch(r"([\w.-]+):([0-9]+(?:x[0-9]+)*)?", part)
    if not found:
        raise ValueError(f"{part[:40]!r} names no array")
    name, shape = found.groups()
    return name, tuple(int(size) for size in (shape or "").split("x") if size)
