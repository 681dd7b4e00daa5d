"""Regions' keys and signed answers, without a ledger behind them."""

from __future__ import annotations

import hashlib

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.door import AnswerT
from privacy.query import FloatArray
from privacy.release import Refusal
from privacy.signed_head import SignedHead, sign_head
from privacy.signing import SigningKey
from strategies.questions import DistanceHistogram


def a_key(owner: str = "north") -> SigningKey:
    """Return the key of ``owner``, always the same one."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(owner.encode()).digest()))


def a_head(
    region: str = "north", sequence: int = 4, *, key: SigningKey | None = None, state: str = ""
) -> SignedHead:
    """Return the head of a ledger of ``sequence`` records; ``state`` tells branches apart."""
    digest = hashlib.sha256(f"{region}/{sequence}/{state}".encode()).hexdigest()
    return sign_head(key or a_key(region), region, sequence, digest)


def signed(answer: AnswerT, sequence: int = 4, *, key: SigningKey | None = None) -> AnswerT:
    """Return ``answer`` as its region signs it, together with its ledger's head."""
    owner = key or a_key(answer.region)
    return signed_under(answer, a_head(answer.region, sequence, key=owner), key=owner)


def signed_under(answer: AnswerT, head: SignedHead, *, key: SigningKey | None = None) -> AnswerT:
    """Return ``answer`` as its region signs it together with a given head."""
    owner = key or a_key(answer.region)
    return answer.with_head(head, owner.sign(answer.signed_message(head)))


def a_refusal(region: str = "north", reason: str = "budget-exhausted") -> Refusal:
    return Refusal(
        region=region,
        run="run-1",
        round_number=2,
        purpose="mean",
        reason=reason,
        sentence="Enough.",
    )


def distance_histogram(
    centres: FloatArray, *, largest: float = 2.0, bins: int = 8
) -> DistanceHistogram:
    """Ask for distances in all dimensions, as they are."""
    d = centres.shape[1]
    return DistanceHistogram(
        origin=np.zeros(d, np.float32),
        basis=np.zeros((d, 0), np.float32),
        centres=centres,
        largest=largest,
        bins=bins,
    )
