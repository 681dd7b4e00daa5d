"""What the server can ask, as plain values: public arrays and numbers.

question (public)  ->  blocks (shapes and clipping norms)  ->  SumQuery

Each class here is one kind of question. It fixes, from public values alone,
what a user contributes and how long that contribution can be; the client
computes the contributions, the door bounds them. Nothing of Flower here.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from privacy.query import Block, FloatArray, IntArray, SumQuery, TrustModel
from privacy.signing import SigningKey
from strategies.cluster_map import ClusterMap
from strategies.exact_geometry import Doubles

MOST_BINS = 1024
MOST_CENTRES = 2**14
"""More centres are not looked at: a question must not exhaust a client's memory."""
MOST_TASTE_ITEMS = 2**11
"""Their products are two million numbers, 8 MB."""
BINS_PER_OCTAVE = 8
"""Of a histogram of distances: neighbouring bins end 9 percent apart, at whatever scale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellSums:
    """Per cell, the sum of residuals and the number of users nearest to its centre.

    A user's vector x becomes ``y = (x - origin) @ basis``; with ``a`` the
    nearest centre, the user adds ``y - centres[a]``, clipped to ``radius``, and
    a count, to row ``a``. One centre at the origin asks for the mean.

    Parameters
    ----------
    origin : float32, shape (d,)
    basis : float32, shape (d, m)
        Orthonormal columns; shape (d, 0) leaves all d dimensions as they are.
    centres : float32, shape (cells, m) or (cells, d)
    radius : float
        Clipping norm of a user's residual, in the unit of the vectors.
    count_weight : float
        A user counts ``count_weight * radius``, so that one sigma suits both
        blocks; smaller values leave more of the budget to the sums.
    """

    kind: ClassVar[str] = "cell-sums"

    origin: FloatArray
    basis: FloatArray
    centres: FloatArray
    radius: float
    count_weight: float

    def __post_init__(self) -> None:
        _require_space(self.kind, self.origin, self.basis, self.centres)
        _require(self.kind, _is_number(self.radius), "a number for a radius")
        _require(
            self.kind,
            _is_number(self.count_weight) and 0 < self.count_weight <= 1,
            "a count weight in (0, 1]",
        )

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return len(self.origin)

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``sums`` and ``counts``."""
        cells, width = self.centres.shape
        count = self.count_weight * self.radius
        return (
            Block(name="sums", cells=cells, width=width, clipping_norm=self.radius),
            Block(name="counts", cells=cells, width=1, clipping_norm=count),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DistanceHistogram:
    """How far users are from their nearest centre: a histogram with bins in proportion.

    The last bin ends at ``largest``, each one before it ends at 2^(-1/8) of the
    next one's end; what is further counts in the last bin.

    Parameters
    ----------
    origin, basis, centres
        The space and the centres in it, as in :class:`CellSums`.
    largest : float
        Upper end of the last bin.
    bins : int
    """

    kind: ClassVar[str] = "distance-histogram"

    origin: FloatArray
    basis: FloatArray
    centres: FloatArray
    largest: float
    bins: int

    def __post_init__(self) -> None:
        _require_space(self.kind, self.origin, self.basis, self.centres)
        _require_positive(self.kind, self.largest, "largest distance")
        _require(self.kind, type(self.bins) is int, "a whole number of bins")
        _require(self.kind, 1 <= self.bins <= MOST_BINS, f"1 to {MOST_BINS} bins")

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return len(self.origin)

    @property
    def ends(self) -> Doubles:
        """Upper ends of the bins: float64, shape (bins,)."""
        return bin_ends(self.largest, self.bins)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``histogram``: a user adds 1 to one bin."""
        return (Block(name="histogram", cells=self.bins, width=1, clipping_norm=1.0),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SecondMoments:
    """In which directions people differ: products of their coordinates, summed.

    A user's vector x becomes ``y = (x - origin) @ basis``, clipped to ``radius``;
    the user adds all products ``y_i y_j``, once each.

    Parameters
    ----------
    origin : float32, shape (d,)
    basis : float32, shape (d, m)
        Orthonormal columns; shape (d, 0) leaves all d dimensions as they are.
    radius : float
        Clipping norm of y, in the unit of the vectors.
    """

    kind: ClassVar[str] = "second-moments"

    origin: FloatArray
    basis: FloatArray
    radius: float

    def __post_init__(self) -> None:
        _require_space(self.kind, self.origin, self.basis, None)
        _require(self.kind, _is_number(self.radius), "a number for a radius")

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return len(self.origin)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``moments``: a user's row is y, its products are summed."""
        width = self.basis.shape[1] or len(self.origin)
        return (
            Block(name="moments", cells=1, width=width, clipping_norm=self.radius, moments=True),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemWeights:
    """Which items each cluster's users go for.

    A user's vector over the catalogue has a 1 for each item ever met and
    another 1 if it was met recently, divided by its length or ``saturation``,
    whichever is larger. Part of it goes to the row of the own cluster, part to
    a row for everybody; both together have at most unit length.

    Parameters
    ----------
    centroids : float32, shape (k, d)
    n_items : int
        Length of the catalogue.
    recent_days : float
        An item met within so many days counts twice.
    saturation : float
        Vectors shorter than this are not stretched to full length: who did
        little says little.
    cluster_weight : float
        Length of a full vector in the cluster's row, between 0 and 1; the
        row for everybody gets the rest of the unit length.
    """

    kind: ClassVar[str] = "item-weights"

    centroids: FloatArray
    n_items: int
    recent_days: float
    saturation: float
    cluster_weight: float

    def __post_init__(self) -> None:
        _require_centres(self.kind, self.centroids)
        _require(
            self.kind,
            _is_number(self.recent_days) and 0 <= self.recent_days < math.inf,
            "recent days of at least 0",
        )
        _require_positive(self.kind, self.saturation, "saturation")
        _require(
            self.kind,
            _is_number(self.cluster_weight) and 0 < self.cluster_weight < 1,
            "a cluster weight in (0, 1)",
        )

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return int(self.centroids.shape[1])

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``by_cluster`` (k, n_items) and ``overall`` (1, n_items)."""
        return (
            Block(
                name="by_cluster",
                cells=len(self.centroids),
                width=self.n_items,
                clipping_norm=self.cluster_weight,
            ),
            Block(name="overall", cells=1, width=self.n_items, clipping_norm=self.overall_weight),
        )

    @property
    def overall_weight(self) -> float:
        """Length of a user's vector in the row for everybody."""
        return float(np.sqrt(1 - self.cluster_weight**2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemPopularity:
    """Which items people take up, ever and lately.

    A user adds a row with a 1 for each item ever met, and another for the
    latest ones, each scaled to the length sqrt(1/2): both have unit length.

    Parameters
    ----------
    n_items : int
        Length of the catalogue.
    latest : int
        How many of a user's latest items the second row is about; 0: there is no second
        row, and the first one has unit length.
    """

    kind: ClassVar[str] = "item-popularity"

    n_items: int
    latest: int

    def __post_init__(self) -> None:
        _require(self.kind, type(self.n_items) is int and self.n_items > 0, "some items")
        _require(self.kind, type(self.latest) is int and self.latest >= 0, "latest items")

    @property
    def length(self) -> float:
        """Of each of a user's rows."""
        return math.sqrt(0.5) if self.latest else 1.0

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``ever`` and, where it is asked for, ``latest`` (1, n_items)."""
        names = ("ever", "latest") if self.latest else ("ever",)
        return tuple(
            Block(name=name, cells=1, width=self.n_items, clipping_norm=self.length)
            for name in names
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TasteMoments:
    """What goes with what: products of which items people met, summed.

    A user's row has the weight of each item that the user met, is scaled to
    unit length, and adds all its products, once each.

    Parameters
    ----------
    weights : float32, shape (n_items,)
        Not negative; items of weight zero are not asked about.
    """

    kind: ClassVar[str] = "taste-moments"

    weights: FloatArray

    def __post_init__(self) -> None:
        _require(self.kind, self.weights.ndim == 1 and _finite(self.weights), "weights of items")
        _require(self.kind, bool((self.weights >= 0).all()), "weights of at least 0")
        some = f"1 to {MOST_TASTE_ITEMS} items"
        _require(self.kind, 1 <= len(self.items) <= MOST_TASTE_ITEMS, some)

    @property
    def items(self) -> IntArray:
        """Which items it is about: int64, shape (m,), ascending."""
        return np.flatnonzero(self.weights)

    @property
    def n_items(self) -> int:
        """Length of the catalogue."""
        return len(self.weights)

    def blocks(self) -> tuple[Block, ...]:
        """Return the block ``moments``: a user's row over the items, its products are summed."""
        width = len(self.items)
        return (Block(name="moments", cells=1, width=width, clipping_norm=1.0, moments=True),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapQuality:
    """The push-back: the map comes along, and the question is how well it fits.

    A user adds 1, the simplified silhouette (own centroid against the next one,
    between -1 and 1) and the squared distance to the own centroid over that of
    ``largest_distance``.

    Parameters
    ----------
    cluster_map : ClusterMap
        To be kept by the client, which recommends from it.
    largest_distance : float
        Distances beyond it count as it.
    """

    kind: ClassVar[str] = "map-quality"

    cluster_map: ClusterMap
    largest_distance: float

    def __post_init__(self) -> None:
        _require_centres(self.kind, self.cluster_map.centroids)
        _require_positive(self.kind, self.largest_distance, "largest distance")

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return int(self.cluster_map.centroids.shape[1])

    @property
    def n_items(self) -> int:
        """Length of the catalogue that the map is about."""
        return len(self.cluster_map.popularity)

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``users``, ``silhouette`` and ``squared_distance``, one number each."""
        return (
            Block(name="users", cells=1, width=1, clipping_norm=1.0),
            Block(name="silhouette", cells=1, width=1, clipping_norm=1.0),
            Block(name="squared_distance", cells=1, width=1, clipping_norm=1.0),
        )


def _require(kind: str, holds: bool, what: str) -> None:
    """Raise ValueError unless a question has ``what`` it must have, whoever's users they are."""
    if not holds:
        raise ValueError(f"A question of kind {kind!r} needs {what} that it does not have.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require_positive(kind: str, value: float, name: str) -> None:
    _require(kind, _is_number(value) and 0 < value < math.inf, f"a positive {name}")


def _require_space(
    kind: str, origin: FloatArray, basis: FloatArray, centres: FloatArray | None
) -> None:
    """Raise ValueError unless basis and centres are of the space that the origin lies in."""
    _require(kind, origin.ndim == 1 and basis.ndim == 2, "shapes")
    _require(kind, basis.shape[0] == len(origin), "shapes")
    _require(kind, basis.shape[1] <= len(origin), "a basis of its space")
    _require(kind, _finite(origin, basis), "finite arrays")
    if centres is not None:
        _require_centres(kind, centres)
        _require(kind, centres.shape[1] == (basis.shape[1] or len(origin)), "shapes")


def _require_centres(kind: str, centres: FloatArray) -> None:
    """Raise ValueError unless the centres are some, not too many, and finite."""
    _require(kind, centres.ndim == 2 and 0 < len(centres) <= MOST_CENTRES, "centres")
    _require(kind, _finite(centres), "finite arrays")


def _finite(*arrays: FloatArray) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays)


def bin_ends(largest: float, bins: int) -> Doubles:
    """Return the upper ends of a distance histogram's bins: float64, shape (bins,)."""
    octaves = [(bins - 1 - number) / BINS_PER_OCTAVE for number in range(bins)]
    return np.array([largest * 2.0**-octave for octave in octaves])


Question = (
    CellSums
    | DistanceHistogram
    | SecondMoments
    | ItemPopularity
    | TasteMoments
    | ItemWeights
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
        ItemWeights,
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
        )

    def signed(self, key: SigningKey) -> Request:
        """Return the same request with its server's signature."""
        named = replace(self, server_key=key.public)
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
    """Return a question's fields by name; those of a map carry the prefix ``map.``."""
    flat: dict[str, FloatArray | float | int | str | list[str]] = {}
    for field in fields(question):
        value = getattr(question, field.name)
        if isinstance(value, ClusterMap):
            flat |= {f"map.{inner.name}": getattr(value, inner.name) for inner in fields(value)}
        else:
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
    inner = {name[4:]: value for name, value in flat.items() if name.startswith("map.")}
    outer = {name: value for name, value in flat.items() if not name.startswith("map.")}
    try:
        if inner:
            return QUESTION_TYPES[kind](cluster_map=ClusterMap(**inner), **outer)  # type: ignore
        return QUESTION_TYPES[kind](**outer)  # type: ignore[arg-type]
    except TypeError as error:
        raise ValueError(f"A question of kind {kind!r} has other fields: {error}.") from error
