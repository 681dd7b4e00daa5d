"""Questions about which ranking suits people: judged by what each of them took up last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from privacy.query import Block, FloatArray
from strategies.cluster_map import ClusterMap
from strategies.fusion import are_fusions
from strategies.item_space import ItemSpace
from strategies.question_kinds.checks import require, require_centres

MOST_OPTIONS = 16
K = 10
"""Length of the lists that are judged."""
USERS_WEIGHT = 0.25
"""What a user adds to the number of users: a rate hardly depends on how well that is known."""
MOST_CHANGE = 0.05
"""Length from which on a user's vote is shortened. On MovieLens' second-last items one vote in
five is longer; the usual option's lead over the worst then is 2.2 times as many noise standard
deviations as with 0.2, and 2 times as many as with hits at their best bound."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListVotes:
    """How well lists rank what a user took up last, and which weights rank it best.

    A user takes the latest tenth of the own items out of the history, ranks all items that are
    left by popularity and by each option, and adds: ``USERS_WEIGHT``; for popularity and for the
    first option, the part of what was taken out that is among the ten best; for each other
    option, by how much its mean discounted gain 1 / log2(1 + rank) is above the first one's,
    over ``MOST_CHANGE``. Who has met fewer than two items adds zeros.

    Parameters
    ----------
    cluster_map : ClusterMap
        A draft, not to be kept. Where it knows no taste, popularity stands for all options.
    options : float32, shape (o, 5)
        Each a row of :class:`~strategies.fusion.Fusion`; the first is the usual one.
    """

    kind: ClassVar[str] = "list-votes"

    cluster_map: ClusterMap
    options: FloatArray

    def __post_init__(self) -> None:
        require_centres(self.kind, self.cluster_map.centroids)
        require(self.kind, are_fusions(self.options), "options of five weights")
        some = f"2 to {MOST_OPTIONS} options"
        require(self.kind, 2 <= len(self.options) <= MOST_OPTIONS, some)

    @property
    def dim(self) -> int:
        """Dimensions of the vectors that it is about."""
        return int(self.cluster_map.centroids.shape[1])

    @property
    def space(self) -> ItemSpace | None:
        """In which users' vectors are taken: the map's."""
        return self.cluster_map.space

    @property
    def n_items(self) -> int:
        """Length of the catalogue that the map is about."""
        return len(self.cluster_map.popularity)

    def blocks(self) -> tuple[Block, ...]:
        """Return the blocks ``users``, ``hits`` (popularity's, the usual's) and ``votes``."""
        others = len(self.options) - 1
        return (
            Block(name="users", cells=1, width=1, clipping_norm=USERS_WEIGHT),
            Block(name="hits", cells=1, width=2, clipping_norm=math.sqrt(2)),
            Block(name="votes", cells=1, width=others, clipping_norm=1.0),
        )
