"""Questions that bring the finished map along: how well it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from privacy.query import Block
from strategies.cluster_map import ClusterMap
from strategies.item_space import ItemSpace
from strategies.question_kinds.checks import require_centres, require_positive


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
        require_centres(self.kind, self.cluster_map.centroids)
        require_positive(self.kind, self.largest_distance, "largest distance")

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
        """Return the blocks ``users``, ``silhouette`` and ``squared_distance``, one number each."""
        return (
            Block(name="users", cells=1, width=1, clipping_norm=1.0),
            Block(name="silhouette", cells=1, width=1, clipping_norm=1.0),
            Block(name="squared_distance", cells=1, width=1, clipping_norm=1.0),
        )
