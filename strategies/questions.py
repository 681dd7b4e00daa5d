"""What the server can ask, as plain values: public arrays and numbers.

question (public)  ->  blocks (shapes and clipping norms)  ->  SumQuery

Each class in :mod:`strategies.question_kinds` is one kind of question. It fixes, from public
values alone, what a user contributes and how long that contribution can be; the client computes
the contributions, the door bounds them. Nothing of Flower here.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from privacy.query import FloatArray, SumQuery, TrustModel
from privacy.signing import SigningKey
from strategies.cluster_map import ClusterMap
from strategies.item_space import ItemSpace
from strategies.question_kinds.feedback import ListFeedback
from strategies.question_kinds.groupings import GroupingGains
from strategies.question_kinds.items import ItemPopularity, ItemWeights, TasteMoments
from strategies.question_kinds.projections import TasteProjection
from strategies.question_kinds.quality import MapQuality
from strategies.question_kinds.vectors import CellSums, DistanceHistogram, SecondMoments
from strategies.question_kinds.votes import ListVotes
from strategies.taste import Taste

__all__ = [
    "QUESTION_TYPES",
    "CellSums",
    "DistanceHistogram",
    "GroupingGains",
    "ItemPopularity",
    "ItemWeights",
    "ListFeedback",
    "ListVotes",
    "MapQuality",
    "Question",
    "Request",
    "SecondMoments",
    "TasteMoments",
    "TasteProjection",
    "flatten",
    "unflatten",
]

Question = (
    CellSums
    | DistanceHistogram
    | SecondMoments
    | ItemPopularity
    | TasteMoments
    | TasteProjection
    | GroupingGains
    | ItemWeights
    | ListFeedback
    | ListVotes
    | MapQuality
)
QUESTION_TYPES: dict[str, type[Question]] = {
    question.kind: question
    for question in (
        CellSums,
        DistanceHistogram,
        SecondMoments,
        ItemPopularity,
        TasteMoments,
        TasteProjection,
        GroupingGains,
        ItemWeights,
        ListFeedback,
        ListVotes,
        MapQuality,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """One question of one round, with what the answer must be hidden by.

    Parameters
    ----------
    run, round_number, purpose : str, int, str
        Which request this is.
    trust_model : TrustModel
        Who adds the noise.
    sigma : float
        Noise standard deviation on every entry of the answer.
    encoder, catalogue : str
        Fingerprints of what the vectors and item numbers in the question mean.
    question : Question
    participants : int
        How many clients are asked.
    server_key, signature : str
        The server's Ed25519 key and its signature, in hexadecimal; empty where
        it does not sign.
    expires : int
        Until when it may be answered, in seconds since 1970 (UTC); 0: for ever.
    """

    run: str
    round_number: int
    purpose: str
    trust_model: TrustModel
    sigma: float
    encoder: str
    catalogue: str
    question: Question
    participants: int = 1
    server_key: str = ""
    signature: str = ""
    expires: int = 0

    def __post_init__(self) -> None:
        self.query()  # an impossible request is an error here, not at the door

    def query(self) -> SumQuery:
        """Return what is asked in the door's terms."""
        return SumQuery(
            purpose=self.purpose,
            kind=self.question.kind,
            blocks=self.question.blocks(),
            sigma=self.sigma,
            trust_model=self.trust_model,
            run=self.run,
            round_number=self.round_number,
            nonce=self._digest(),
            participants=self.participants,
            encoder=self.encoder,
            server_key=self.server_key,
            signature=self.signature,
            expires=self.expires,
        )

    def signed(self, key: SigningKey, *, expires: int = 0) -> Request:
        """Return the same request with its server's signature, good until ``expires``."""
        named = replace(self, server_key=key.public, expires=expires)
        return replace(named, signature=key.sign(named.query().signed_message()))

    def _digest(self) -> str:
        digest = hashlib.sha256(f"{self.encoder}/{self.catalogue}".encode())
        for name, value in flatten(self.question).items():
            if isinstance(value, np.ndarray):
                digest.update(f"/{name}={value.dtype.str}{value.shape}:".encode())
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update(f"/{name}={value!r}".encode())
        return digest.hexdigest()


def flatten(question: Question) -> dict[str, FloatArray | float | int | str | list[str]]:
    """Return a question's fields by name; those of a map or space carry a prefix."""
    flat: dict[str, FloatArray | float | int | str | list[str]] = {}
    for field in fields(question):
        value = getattr(question, field.name)
        if isinstance(value, ClusterMap):
            flat |= {f"map.{inner.name}": getattr(value, inner.name) for inner in fields(value)}
        elif isinstance(value, ItemSpace):
            flat["space.share"] = value.share
            flat |= {f"space.{name}": array for name, array in value.taste.parts().items()}
        elif value is not None:
            flat[field.name] = value
    return flat


def unflatten(kind: str, flat: dict[str, FloatArray | float | int | str | list[str]]) -> Question:
    """Rebuild what :func:`flatten` took apart.

    Raises
    ------
    ValueError
        If the kind is unknown or the fields are not those of its class.
    """
    if kind not in QUESTION_TYPES:
        raise ValueError(f"There is no question of kind {kind!r}.")
    parts: dict[str, dict[str, Any]] = {"map": {}, "space": {}, "": {}}
    for name, value in flat.items():
        part, _, inner = name.rpartition(".")
        if part not in parts:
            raise ValueError(f"A question of kind {kind!r} has no field {name!r}.")
        parts[part][inner] = value
    outer = parts[""]
    try:
        if parts["map"]:
            outer["cluster_map"] = ClusterMap(**parts["map"])
        if parts["space"]:
            share = parts["space"].pop("share", math.nan)
            outer["space"] = ItemSpace(share=share, taste=Taste(**parts["space"]))
        return QUESTION_TYPES[kind](**outer)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"A question of kind {kind!r} has other fields: {error}.") from error
