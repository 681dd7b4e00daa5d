"""What the server knows in the course of a run: public values, and released ones.

Nothing in here is exact about anybody, so nothing in here needs protection.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from privacy.query import FloatArray
from strategies.arm_comparison import Experiment
from strategies.cluster_map import ClusterMap, shown
from strategies.directions import Directions
from strategies.fusion import Fusion
from strategies.interest_tree import InterestTree, interest_tree
from strategies.item_space import ItemSpace, Space, space_of
from strategies.k_curve import KCurve
from strategies.private_evaluation import PrivateEvaluation
from strategies.private_summary import PrivateSummary
from strategies.public_catalogue import PublicCatalogue
from strategies.taste import Taste

Array = NDArray[np.float64]
Floats = NDArray[np.floating]


NORM_BOUND = 1.0
"""Interest vectors have a norm of at most 1: public, by construction."""
PUBLIC_PER_CLUSTER = 5
"""With fewer public vectors for each cluster asked for, the clusters fit worse than with none:
measured on 20,000 users in 20 clusters, epsilon 1, with public vectors of the same kind. The mean
squared distance is .396 without any, .398 with 3 for each cluster, .396 with 5, .395 with 8."""


def nowhere() -> Directions:
    """Return no directions: nothing is known yet."""
    return Directions(columns=np.zeros((0, 0)), variances=np.zeros(0))


@dataclass(slots=True, kw_only=True, eq=False)
class Clustering:
    """What the server knows so far: public values, and released ones.

    Attributes
    ----------
    run, k, seed : str, int, int
    effective_mu : float
        The run's Gaussian-DP parameter over the noise that all releases of one
        phase add up to; tells how many cells the budget can carry.
    catalogue : PublicCatalogue
        Without items where there is no public knowledge.
    is_private : bool
        Whether there is any noise to speak of; false for an infinite epsilon.
    users, users_noise : float
        Noisy number of users that take part, and the standard deviation of its noise.
    silo_sizes : mapping of str to float
        Each region's number of users, declared or released.
    starts_from_public : bool
        Whether the centroids start as the catalogue's: people are too few for their own.
    fallback : str, optional
        What is done instead of what was asked for, in a sentence; k may be smaller.
    least_size : float
        Clusters of fewer users are merged into their neighbours in the end; 0 merges none.
    merged : str, optional
        What was merged, in a sentence.
    mean : shape (d,)
    radius : float
        Typical distance of users from the mean.
    directions : Directions
        Where people differ, most important first.
    basis : shape (d, m)
        The first directions, in which the summary's cells lie.
    reach : float
        Typical distance of users from their cell, in the basis.
    cells, cell_weights : shapes (cells, m), (cells,)
        The private weighted summary.
    cell_noise : float
        Standard deviation of the noise on each weight.
    centroids : shape (k, d)
    sizes : shape (k,)
        Noisy numbers of users per cluster.
    size_noise : float
        Standard deviation of the noise on each.
    spread : float
        Typical distance of users from their centroid.
    item_weights, popularity : shapes (k, n_items), (n_items,)
    recent_popularity : shape (n_items,)
    taste : Taste, optional
        What goes with what, where it was asked.
    experiment : Experiment, optional
        What came of the lists that were shown, where it was asked.
    fusion : Fusion, optional
        How much each view counts, where users have voted.
    evaluation : PrivateEvaluation, optional
        How well lists rank, where users were asked.
    space_name : Space
        In which clusters are looked for.
    space : ItemSpace, optional
        The same; None for that of texts.
    space_gains : mapping of Space to float
        By how much better than texts each space told people's latest items, where it was asked.
    space_gains_noise : float
        Standard deviation of the noise on each.
    without_taste : str, optional
        That clusters are of texts although taste was asked for, in a sentence.
    placed : PublicCatalogue
        The catalogue with its vectors in that space.
    choosing_k : bool
        Whether the summary chooses the number of clusters; k is then the most.
    k_curve : KCurve, optional
        How well each number of clusters suits the summary.
    tree : InterestTree, optional
        The clusters in words, grouped.
    silhouette, squared_distance : float
        Released quality, means over the users.
    silhouette_noise, squared_distance_noise : float
        Standard deviations of the noise on them.
    """

    run: str
    k: int
    asked_k: int = field(init=False)
    seed: int
    effective_mu: float
    catalogue: PublicCatalogue
    is_private: bool = True
    users: float = 1.0
    users_noise: float = float("nan")
    silo_sizes: dict[str, float] = field(default_factory=dict)
    starts_from_public: bool = False
    fallback: str | None = None
    least_size: float = 0.0
    merged: str | None = None
    mean: Array = field(default_factory=lambda: np.zeros(0))
    radius: float = NORM_BOUND
    directions: Directions = field(default_factory=nowhere)
    basis: Array = field(default_factory=lambda: np.zeros((0, 0)))
    reach: float = NORM_BOUND
    cells: Array = field(default_factory=lambda: np.zeros((0, 0)))
    cell_weights: Array = field(default_factory=lambda: np.zeros(0))
    cell_noise: float = float("nan")
    centroids: Array = field(default_factory=lambda: np.zeros((0, 0)))
    sizes: Array = field(default_factory=lambda: np.zeros(0))
    size_noise: float = float("nan")
    spread: float = NORM_BOUND
    item_weights: Array = field(default_factory=lambda: np.zeros((0, 0)))
    popularity: Array = field(default_factory=lambda: np.zeros(0))
    recent_popularity: Array = field(default_factory=lambda: np.zeros(0))
    taste: Taste | None = None
    experiment: Experiment | None = None
    fusion: Fusion | None = None
    evaluation: PrivateEvaluation | None = None
    space_name: Space = Space.TEXT
    space: ItemSpace | None = None
    space_gains: dict[Space, float] = field(default_factory=dict)
    space_gains_noise: float = float("nan")
    without_taste: str | None = None
    placed: PublicCatalogue = field(init=False)
    choosing_k: bool = False
    k_curve: KCurve | None = None
    tree: InterestTree | None = None
    silhouette: float = float("nan")
    squared_distance: float = float("nan")
    silhouette_noise: float = float("nan")
    squared_distance_noise: float = float("nan")

    def __post_init__(self) -> None:
        self.asked_k = self.k
        self.placed = self.catalogue

    def enter(self, space: Space) -> None:
        """Look for clusters in a space from now on; in that of texts where taste knows nothing."""
        self.space = space_of(space, self.taste)
        self.space_name = Space.TEXT if self.space is None else space
        self.place()
        if self.space is None and space is not Space.TEXT:
            self.without_taste = (
                "Nothing of what goes with what rose above the noise: the clusters are of texts."
            )

    def place(self) -> None:
        """Let the catalogue's vectors be those of the space of the clusters."""
        self.placed = self.catalogue
        if self.space is not None:
            vectors = self.space.of_items(self.catalogue.vectors)
            self.placed = replace(self.catalogue, vectors=vectors)

    @property
    def dim(self) -> int:
        """Dimension of the vectors in the space of the clusters."""
        return int(self.placed.vectors.shape[1])

    @property
    def has_catalogue(self) -> bool:
        """Whether there are public vectors enough to say in which directions things differ.

        By the number of clusters that was asked for: the plan rests on it, whatever comes.
        """
        return len(self.catalogue.vectors) >= PUBLIC_PER_CLUSTER * self.asked_k

    @property
    def k_was_chosen(self) -> bool:
        """Whether the summary chose the number of clusters."""
        return self.choosing_k and self.k_curve is not None and not self.k_curve.is_open

    @property
    def warning(self) -> str | None:
        """What was done otherwise than asked, and why."""
        return " ".join(filter(None, [self.without_taste, self.fallback, self.merged])) or None

    def described(self) -> InterestTree:
        """Return the clusters in words, found when first wanted: after them nothing moves."""
        if self.tree is None:
            known = bool(self.item_weights.size)
            self.tree = interest_tree(
                self.centroids,
                self.sizes,
                self.placed,
                item_weights=self.item_weights if known else None,
                popularity=self.popularity if known else None,
            )
        return self.tree

    def summary(self) -> PrivateSummary:
        """Return the private weighted summary, to explore after the run."""
        return PrivateSummary(
            cells=self.cells,
            weights=self.cell_weights,
            weight_noise=self.cell_noise,
            origin=self.mean,
            basis=self.basis,
            norm_bound=NORM_BOUND,
        )

    def cluster_map(self) -> ClusterMap:
        """Return what may be pushed back; what no phase has found out is zero."""
        n_items = len(self.catalogue.item_ids)
        weights = self.item_weights if self.item_weights.size else np.zeros((self.k, n_items))
        popularity = self.popularity if self.popularity.size else np.zeros(n_items)
        if not weights.any() and popularity.any():
            weights = np.tile(popularity, (self.k, 1))
        taste = {} if self.taste is None else self.taste.parts()
        voted = {} if self.fusion is None else {"fusion": self.fusion.row()}
        return ClusterMap(
            run=self.run,
            catalogue=self.catalogue.fingerprint,
            encoder=self.catalogue.encoder,
            centroids=single_precision(self.centroids),
            noisy_sizes=single_precision(self.sizes),
            labels=[shown(cluster.label) for cluster in self.described().clusters],
            item_weights=single_precision(weights),
            popularity=single_precision(popularity),
            recent_popularity=single_precision(self.recent_popularity),
            **{f"taste_{name}": array for name, array in taste.items()},
            **voted,
            taste_share=0.0 if self.space is None else self.space.share,
        )


def single_precision(array: Floats) -> FloatArray:
    """Return the array as messages carry it: float32, contiguous."""
    return np.ascontiguousarray(array, dtype=np.float32)
