"""The only things that a client sends about its users.

``Release``: noised, hence safe; whatever is computed from it is free.
``ClippedSum``: exact sums of clipped rows, under trust model ``central`` only.
``Refusal``: no, and why.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from privacy.query import FloatArray, NoiseKind

_SUMS = "sums/"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Release:
    """A noisy sum over a client's users, safe to leave the client.

    Attributes
    ----------
    region : str
        Who releases it.
    run, round_number, purpose : str, int, str
        What it answers.
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

    region: str
    run: str
    round_number: int
    purpose: str
    sums: Mapping[str, FloatArray]
    sensitivity: float
    sigma: float
    noise: NoiseKind
    entry: int

    def to_bytes(self) -> bytes:
        """Serialise; the same release always gives the same bytes."""
        header = {
            "region": self.region,
            "run": self.run,
            "round_number": self.round_number,
            "purpose": self.purpose,
            "sensitivity": self.sensitivity,
            "sigma": self.sigma,
            "noise": self.noise,
            "entry": self.entry,
        }
        buffer = io.BytesIO()
        arrays = {f"{_SUMS}{name}": array for name, array in self.sums.items()}
        np.savez(buffer, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Release:
        """Read what :meth:`to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            sums = {
                name.removeprefix(_SUMS): archive[name]
                for name in archive.files
                if name.startswith(_SUMS)
            }
        header["noise"] = NoiseKind(header["noise"])
        return cls(sums=sums, **header)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClippedSum:
    """An exact sum of clipped rows, for a trusted server to add the noise to.

    Not a release: its privacy rests on the server. Attributes as in
    :class:`Release`; ``sigma`` is the noise that the server has promised.
    """

    region: str
    run: str
    round_number: int
    purpose: str
    sums: Mapping[str, FloatArray]
    sensitivity: float
    sigma: float
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request that was not answered, and cost nothing.

    Attributes
    ----------
    region : str
        Who refuses.
    run, round_number, purpose : str, int, str
        What was asked.
    reason : str
        Machine-readable, kebab-case.
    sentence : str
        The same for people; says nothing about the data.
    """

    region: str
    run: str
    round_number: int
    purpose: str
    reason: str
    sentence: str


Answer = Release | ClippedSum | Refusal
