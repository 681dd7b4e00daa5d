"""The only things that a client sends about its users.

``Release``: noised, hence safe; whatever is computed from it is free.
``ClippedSum``: exact sums of clipped rows, under trust model ``central`` only.
``Refusal``: no, and why.

Each carries the signed head of the region's ledger, and a signature over
itself and that head: nobody on the way can change an answer or exchange two.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from privacy.query import FloatArray, IntArray, NoiseKind
from privacy.signed_head import SignedHead
from privacy.signing import is_signed

_ARRAYS = "sums/"
LEDGER_UNUSABLE = "ledger-unusable"
"""Reason of a refusal that no ledger could record."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answer:
    """What every answer says.

    Attributes
    ----------
    region : str
        Who answers.
    run, round_number, purpose : str, int, str
        What was asked.
    code : str
        SHA-256 of the program that answers, by its own word (``privacy.code_identity``); empty in
        what a ledger kept before answers had it.
    head : SignedHead, optional
        Of the region's ledger, with this answer in it. Missing only from a
        refusal whose reason is that the ledger cannot be used.
    signature : str
        The region's, over the answer and the head; empty without a head.
    """

    region: str
    run: str
    round_number: int
    purpose: str
    code: str = ""
    head: SignedHead | None = None
    signature: str = ""

    def digest(self) -> str:
        """Return the SHA-256 of everything but head and signature, in hexadecimal.

        Over values, not over a file format: the same on every machine.
        """
        header, arrays = self._parts()
        digest = hashlib.sha256(header.encode())
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            little = array.astype(array.dtype.newbyteorder("<"), copy=False)
            digest.update(f"\0{name}\0{little.dtype.str}{array.shape}\0".encode())
            digest.update(little.tobytes())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """Serialise all but head and signature; the same answer always gives the same bytes."""
        header, arrays = self._parts()
        buffer = io.BytesIO()
        named = {f"{_ARRAYS}{name}": array for name, array in arrays.items()}
        np.savez(buffer, allow_pickle=False, header=np.array(header), **named)
        return buffer.getvalue()

    def _parts(self) -> tuple[str, dict[str, FloatArray | IntArray]]:
        """Return everything but head and signature: in JSON, but for the arrays."""
        header: dict[str, Any] = {"type": type(self).__name__}
        arrays: dict[str, FloatArray | IntArray] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if part.name == "sums":
                arrays = dict(value)
            elif part.name not in ("head", "signature"):
                header[part.name] = value
        return json.dumps(header, sort_keys=True), arrays

    def signed_message(self, head: SignedHead) -> bytes:
        """Return what the region signs: this answer together with ``head``."""
        return json.dumps(["fedinterest answer", self.digest(), asdict(head)]).encode()

    def with_head(self, head: SignedHead, signature: str) -> Self:
        """Return the same answer with the ledger's head and the region's signature."""
        return replace(self, head=head, signature=signature)

    @property
    def is_genuine(self) -> bool:
        """Whether head and signature are those of the region's key, and fit together."""
        if self.head is None or self.head.region != self.region or not self.head.is_genuine:
            return False
        return is_signed(self.signed_message(self.head), self.signature, self.head.public_key)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Release(_Answer):
    """A noisy sum over a client's users, safe to leave the client.

    Attributes
    ----------
    window : str
        The region's time window that it is charged to.
    sums : mapping of str to float32 array, shape (cells, width)
        One array for each block of the query; the noise is inside.
    sensitivity, sigma : float
        L2 sensitivity under add-or-remove of one user, and the noise standard
        deviation of every entry, in the unit of the sums.
    noise : NoiseKind
        Where the noise came from.
    entry : int
        The number of this release in the region's ledger.
    """

    window: str
    sums: Mapping[str, FloatArray]
    sensitivity: float
    sigma: float
    noise: NoiseKind
    entry: int

    @classmethod
    def from_bytes(cls, content: bytes) -> Release:
        """Read what :meth:`to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            sums = {
                name.removeprefix(_ARRAYS): archive[name]
                for name in archive.files
                if name.startswith(_ARRAYS)
            }
        del header["type"]
        header["noise"] = NoiseKind(header["noise"])
        return cls(sums=sums, **header)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClippedSum(_Answer):
    """An exact sum of clipped rows, for a trusted server to add the noise to.

    Not a release: its privacy rests on the server. Attributes as in
    :class:`Release`, but for ``sums``: int64, in steps of the query's lattice;
    ``sigma`` is the noise that the server has promised.
    """

    window: str
    sums: Mapping[str, IntArray]
    sensitivity: float
    sigma: float
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refusal(_Answer):
    """A request that was not answered, and cost nothing.

    Attributes
    ----------
    reason : str
        Machine-readable, kebab-case.
    sentence : str
        The same for people; says nothing about the data.
    """

    reason: str
    sentence: str


Answer = Release | ClippedSum | Refusal
