"""What may be asked of a client: a sum over its users of bounded vectors.

Every statistic of the system has this one form. A query consists of blocks;
in each block a user adds one bounded row to one row of an array:

    cell of each user (n,), row of each user (n, w)  ->  block of shape (cells, w)

A centroid update has a block of sums and a block of counts; a histogram is a
block of width 1. A block of *moments* sums the products of each user's row with
itself instead of the row. Under add-or-remove of one user the whole query changes by at
most ``sensitivity`` in L2, whatever the data are.

Sums are taken on a lattice: each clipped row is cut down to integer multiples
of the query's ``step``, so that the bound holds exactly and not but for rounding.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ContributionError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MOST_ENTRIES = 2**25
"""Largest block that is summed; nobody can ask a client out of its memory."""
SMALLEST_NORM, LARGEST_NORM = 1e-6, 1e6
"""Clipping norms that squares of doubles can take. Opacus adds 1e-6 to a row's norm before it
divides, so that rows within a norm as small as that are shortened, too."""
STEPS_BITS = 24
"""A sensitivity is 2^24 to 2^25 steps of the lattice: squares of norms fit into a double."""
MOMENTS_BITS = 30
"""Of moments, 2^30 to 2^32: their rows stand on a lattice of the square root of the step, and
2^30 users' products fit into 64 bits."""
DIAGONAL, OFF_DIAGONAL = 29, 41
"""What products count: 41 is just below 29 times the root of 2, so that a matrix whose entries
off the diagonal stand once has the length that the whole matrix has, in integers."""
LEAST_NOISE, MOST_NOISE = 2.0**-16, 2.0**20
"""Noise multipliers of which the noise is many steps wide and still fits into integers."""
LARGEST_NUMBER = 2**31 - 1
"""Of a round, or of participants."""
LATEST = 253402300799
"""The end of the year 9999, in seconds since 1970."""
LONGEST_NAME = 128
"""Characters of a run's or purpose's name; ledgers keep them."""


class TrustModel(StrEnum):
    """Who has to be trusted with what."""

    LOCAL = "local"
    """Nobody: each client's release is private by itself."""
    CENTRAL = "central"
    """The server: it receives clipped sums and adds the noise."""


class NoiseKind(StrEnum):
    """Where the noise comes from."""

    DISCRETE = "discrete"
    """An exact discrete Gaussian on the lattice, from a cryptographic generator."""
    FLOAT = "float"
    """Opacus' Gaussian in floating point, seeded by the operating system."""
    SEEDED = "seeded"
    """Opacus' Gaussian from a known seed: repeatable, hence for simulations only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One array of a query's answer.

    Parameters
    ----------
    name : str
        Its name in the answer.
    cells, width : int
        Shape (cells, width) of the array; a user touches one of its rows.
    clipping_norm : float
        Largest L2 norm of the row that one user adds.
    moments : bool
        Whether the products of the row's entries are summed, not the row: of a
        row y of this ``width``, ``29 y_i^2`` and ``41 y_i y_j`` for i < j, in the
        order of the upper triangle. There is one cell then.
    """

    name: str
    cells: int
    width: int
    clipping_norm: float
    moments: bool = False

    def __post_init__(self) -> None:
        if type(self.cells) is not int or type(self.width) is not int:
            raise ValueError(
                f"Block {self.name!r} has shape ({self.cells!r}, {self.width!r}); "
                "both must be integers."
            )
        if self.cells < 1 or self.width < 1:
            raise ValueError(
                f"Block {self.name!r} has shape ({self.cells}, {self.width}); "
                "both must be at least 1."
            )
        if type(self.moments) is not bool or (self.moments and self.cells != 1):
            raise ValueError(f"Block {self.name!r} has moments of {self.cells} cells, not of one.")
        if math.prod(self.shape) > MOST_ENTRIES:
            raise ValueError(
                f"Block {self.name!r} has {self.shape[0]} x {self.shape[1]} entries; "
                f"at most {MOST_ENTRIES} fit into one answer."
            )
        if not SMALLEST_NORM <= self.clipping_norm <= LARGEST_NORM:
            raise ValueError(
                f"Block {self.name!r} has clipping norm {self.clipping_norm!r}; "
                f"it must lie between {SMALLEST_NORM:g} and {LARGEST_NORM:g}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of its array in the answer."""
        return (1, self.width * (self.width + 1) // 2) if self.moments else (self.cells, self.width)

    @property
    def exact_sensitivity(self) -> Fraction:
        """Largest L2 norm of what one user adds to the array.

        Of moments: ``29^2 sum_i y_i^4 + 41^2 sum_{i<j} y_i^2 y_j^2 <= (29 |y|^2)^2``,
        because ``41^2 < 2 * 29^2``.
        """
        norm = Fraction(self.clipping_norm)
        return DIAGONAL * norm**2 if self.moments else norm


@dataclass(frozen=True, slots=True, kw_only=True)
class SumQuery:
    """A sum over users, and how much noise hides each of them.

    Parameters
    ----------
    purpose : str
        What the answer is for, in the plan's words (``"lloyd-1"``).
    kind : str
        The kind of question that was asked (``"cell-sums"``); policies allow kinds.
    blocks : tuple of Block
        The arrays of the answer; each user is clipped in each of them.
    sigma : float
        Standard deviation of the Gaussian noise on every entry.
    trust_model : TrustModel
        Who adds that noise.
    run, round_number, nonce : str, int, str
        Which request this is; ``nonce`` is a digest of everything that the
        question contains beyond the fields here.
    participants : int
        How many clients the server says it asks.
    encoder : str
        Fingerprint of the model whose vectors the question is about.
    server_key, signature : str
        The server's Ed25519 key and its signature over :meth:`signed_message`, in
        hexadecimal; both empty where the server does not sign.
    expires : int
        Until when it may be answered, in seconds since 1970 (UTC); 0: for ever. Signed, but no
        part of what identifies the request: asked again later, it is the same one.
    """

    purpose: str
    kind: str
    blocks: tuple[Block, ...]
    sigma: float
    trust_model: TrustModel
    run: str
    round_number: int
    nonce: str
    participants: int = 1
    encoder: str = ""
    server_key: str = ""
    signature: str = ""
    expires: int = 0

    def __post_init__(self) -> None:
        if type(self.expires) is not int or not 0 <= self.expires <= LATEST:
            raise ValueError(f"Query {self.purpose!r} expires at {self.expires!r}.")
        for name in ("purpose", "kind", "run", "nonce", "encoder", "server_key", "signature"):
            _check_text(name, getattr(self, name))
        if not 1 <= self.participants <= LARGEST_NUMBER:
            raise ValueError(f"Query {self.purpose!r} is for {self.participants} participants.")
        if not 0 <= self.round_number <= LARGEST_NUMBER:
            raise ValueError(f"Query {self.purpose!r} is of round {self.round_number}.")
        if not self.blocks:
            raise ValueError(f"Query {self.purpose!r} has no blocks; it asks nothing.")
        if len(self.blocks) > 1 and any(block.moments for block in self.blocks):
            raise ValueError(f"Query {self.purpose!r} has moments beside another block.")
        if len({block.name for block in self.blocks}) < len(self.blocks):
            names = [block.name for block in self.blocks]
            raise ValueError(f"Query {self.purpose!r} has two blocks of one name: {names}.")
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise ValueError(
                f"Query {self.purpose!r} has sigma {self.sigma!r}; it must be positive and finite."
            )
        if not LEAST_NOISE <= self.noise_multiplier <= MOST_NOISE:
            raise ValueError(
                f"Query {self.purpose!r} has noise multiplier {self.noise_multiplier:g}; "
                f"it must lie between {LEAST_NOISE:g} and {MOST_NOISE:g}."
            )

    @property
    def sensitivity(self) -> float:
        """Largest L2 change of the answer when one user is added or removed."""
        return sensitivity_of(self.blocks)

    @property
    def step(self) -> float:
        """Distance of neighbouring points of the lattice, a power of two; of moments, of four."""
        exponent = math.frexp(self.sensitivity)[1] - 1
        if self._is_of_moments:
            return math.ldexp(1.0, (exponent - MOMENTS_BITS) // 2 * 2)
        return math.ldexp(1.0, exponent - STEPS_BITS)

    @property
    def row_step(self) -> float:
        """The same for users' rows before they are summed or multiplied, a power of two."""
        return math.sqrt(self.step) if self._is_of_moments else self.step

    @property
    def _is_of_moments(self) -> bool:
        return self.blocks[0].moments

    def longest_row(self, block: Block) -> int:
        """Return the largest squared norm of a user's row in ``block``, in squared row steps."""
        return math.floor((Fraction(block.clipping_norm) / Fraction(self.row_step)) ** 2)

    @property
    def noise_multiplier(self) -> float:
        """Noise standard deviation over sensitivity."""
        return self.sigma / self.sensitivity

    def signed_message(self) -> bytes:
        """Return what the server signs: everything but the signature itself."""
        until = f" until {self.expires}" if self.expires else ""
        return f"fedinterest request {self.fingerprint()}{until}".encode()

    def fingerprint(self) -> str:
        """SHA-256 over all that identifies the request, in hexadecimal."""
        told = asdict(self)
        del told["signature"], told["expires"]
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def sensitivity_of(blocks: Sequence[Block]) -> float:
    """Return the largest L2 change of all blocks together, for one user more or less.

    A user adds to each block, so the squares of the blocks' sensitivities add up.
    Rounded up where the root is no double.
    """
    exact = sum((block.exact_sensitivity**2 for block in blocks), Fraction())
    root = math.sqrt(exact)
    while Fraction(root) ** 2 < exact:
        root = math.nextafter(root, math.inf)
    return root


def _check_text(name: str, text: str) -> None:
    """Raise ValueError for a text that no ledger should have to keep."""
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise ValueError(
            f"A query's {name} begins with {text[:20]!r}; it must be printable and at most "
            f"{LONGEST_NAME} characters long."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """What each user adds to one block: ``rows[i]`` to row ``cells[i]``.

    Parameters
    ----------
    cells : int64, shape (n_users,)
        Row of the block that each user touches.
    rows : float32, shape (n_users, width)
        What the user adds there, before clipping.
    """

    cells: IntArray
    rows: FloatArray

    def __post_init__(self) -> None:
        # Whatever the number of users: another type must not fail for some data only.
        if self.rows.dtype not in (np.float32, np.float64) or self.cells.dtype != np.int64:
            raise ContributionError(
                f"Cells are {self.cells.dtype} and rows {self.rows.dtype}; expected int64 and "
                "float32. Nothing was summed."
            )
        if self.rows.ndim != 2 or self.cells.shape != self.rows.shape[:1]:
            raise ContributionError(
                f"Cells have shape {self.cells.shape} and rows {self.rows.shape}; "
                "expected (n_users,) and (n_users, width). Nothing was summed."
            )


def finite_users(contributions: Mapping[str, Contributions]) -> NDArray[np.bool_]:
    """Tell which users' rows are finite in every block: bool, shape (n_users,)."""
    finite = [np.isfinite(part.rows).all(axis=1) for part in contributions.values()]
    return np.asarray(np.logical_and.reduce(finite))


def check_contributions(query: SumQuery, contributions: Mapping[str, Contributions]) -> None:
    """Raise :class:`ContributionError` unless every block gets rows that fit it."""
    if set(contributions) != {block.name for block in query.blocks}:
        raise ContributionError(
            f"Query {query.purpose!r} has blocks {[block.name for block in query.blocks]}, "
            f"contributions came for {sorted(contributions)}. Nothing was summed."
        )
    if len({len(part.cells) for part in contributions.values()}) > 1:
        raise ContributionError("The blocks disagree on the number of users. Nothing was summed.")
    for block in query.blocks:
        part = contributions[block.name]
        if part.rows.shape[1] != block.width:
            raise ContributionError(
                f"Block {block.name!r} is {block.width} wide, its rows are "
                f"{part.rows.shape[1]}. Nothing was summed."
            )
        if part.cells.size and not (part.cells.min() >= 0 and part.cells.max() < block.cells):
            raise ContributionError(
                f"Block {block.name!r} has cells 0 to {block.cells - 1}; a user was put "
                "into another one. Nothing was summed."
            )
