"""Names for clusters, from public items near their centroids.

centroids, item weights (released)  +  item vectors, texts, categories (public)
    ->  how far each item belongs to each cluster  ->  labels, terms, nearest items

Everything here is post-processing of releases and of public knowledge: it costs
no privacy. Without a catalogue, clusters are numbered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix, hstack

from strategies.public_catalogue import PublicCatalogue
from strategies.spelling import Spelling, capitalised, tidied
from strategies.terms import count_terms, overlap, phrases, telling, top_terms

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

TERMS = 8
ITEMS = 8
SOFTNESS = 0.5
"""How gradually items pass from one cluster to the next, in standard deviations of closeness."""
SHARPNESS = 3.0
"""The nearest items speak for a cluster: the power of their closeness."""
LIFT_POWER = 3.0
"""A released weight of twice everybody's counts eightfold: released lifts are shrunk, so modest."""
PARTS = 3
LONGEST = 42
"""Characters of a label of several parts."""
WORTH_SAYING = 0.33
"""A further part scores at least so much of the first one's score."""
MOST_OF = 0.5
"""A further part is no wider name for so much of the first one's items."""
TERM_CREDIT = 0.6
"""Categories are written to be read; a mere term has to be more telling by far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterWords:
    """A cluster in words, from public knowledge and releases only.

    Attributes
    ----------
    label : str
        One to three parts, such as ``"Baby foods, diapers"``.
    terms : list of str
        What sets the cluster's items apart in words, the most telling first.
    items : list of str
        Ids of the items that belong to it most, the nearest first.
    """

    label: str
    terms: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)


Described = list[list[ClusterWords]]


def directions(centroids: Array) -> Array:
    """Return how each centroid differs from the average one: shape (k, d), unit norm.

    A single centroid differs from the origin, the catalogue's mean.
    """
    average = centroids.mean(axis=0) if len(centroids) > 1 else 0.0
    differences = centroids - average
    norms = np.maximum(np.linalg.norm(differences, axis=1, keepdims=True), 1e-12)
    return np.asarray(differences / norms)


def describe_levels(
    centroids: Array,
    catalogue: PublicCatalogue | None,
    levels: Sequence[IntArray],
    *,
    item_weights: ArrayLike | None = None,
    popularity: ArrayLike | None = None,
) -> Described:
    """Put the clusters of each level of a hierarchy into words.

    Parameters
    ----------
    centroids : shape (k, d)
        Of the leaf clusters.
    catalogue : PublicCatalogue or None
    levels : sequence of int arrays, each of shape (k,)
        Coarse to fine: to which of the level's clusters, counted from 0, each
        leaf belongs. ``[np.arange(k)]`` is the leaves alone.
    item_weights : shape (k, n_items), optional
        How strongly each cluster takes up each item, where a run released it.
    popularity : shape (n_items,), optional
        The same for everybody.

    Returns
    -------
    list of lists of ClusterWords
        One list per level. Labels differ within a level, and from the label of
        the cluster of the level above.

    Raises
    ------
    ValueError
        If shapes do not match, a number is not finite, or levels do not nest.
    """
    parents = _nesting(levels, len(centroids))
    if catalogue is None or not catalogue.item_ids:
        return _numbered(levels, parents)
    leaves = belonging(centroids, catalogue, item_weights=item_weights, popularity=popularity)
    wording = _Wording(catalogue)
    described: Described = []
    for level, parent in zip(levels, parents, strict=True):
        groups = _summed(leaves, level)
        above = [described[-1][index].label for index in parent] or [""] * len(groups)
        described.append(wording.describe(groups, above))
    return described


def belonging(
    centroids: Array,
    catalogue: PublicCatalogue,
    *,
    item_weights: ArrayLike | None = None,
    popularity: ArrayLike | None = None,
) -> Array:
    """Return how far each item belongs to each cluster: shape (k, n_items), not negative.

    An item counts by a power of its closeness to the cluster's own
    direction, shared softly among the clusters that it is close to; where they
    were released, by the root of its popularity and by the cluster's lift too.

    Raises
    ------
    ValueError
        If shapes do not match, or a number is not finite.
    """
    k, n_items = len(centroids), len(catalogue.item_ids)
    _check("centroids", centroids, (k, catalogue.vectors.shape[1]))
    closeness = directions(centroids) @ catalogue.vectors.T.astype(np.float64)
    scale = SOFTNESS * max(float(closeness.std()), 1e-12)
    shares = np.exp((closeness - closeness.max(axis=0)) / scale)
    belongs = np.maximum(closeness, 0.0) ** SHARPNESS * shares / shares.sum(axis=0)
    known = None if popularity is None else _check("popularity", popularity, (n_items,))
    if item_weights is not None:
        weights = _check("item_weights", item_weights, (k, n_items))
        everybody = weights.mean(axis=0) if known is None else known
        lift = np.maximum(weights, 0.0) / np.maximum(everybody, 1e-12)
        belongs *= (lift / np.maximum(lift.max(), 1e-12)) ** LIFT_POWER
    if known is not None:
        belongs *= np.sqrt(np.maximum(known, 0.0))
    return np.asarray(belongs)


class _Wording:
    """The catalogue's categories and terms, ready to name any grouping of its items."""

    def __init__(self, catalogue: PublicCatalogue) -> None:
        self.catalogue = catalogue
        pairs = zip(catalogue.texts, catalogue.categories, strict=True)
        documents = [phrases(text, category) for text, category in pairs]
        spelling = Spelling.of([phrase for document in documents for phrase in document])
        terms, self.term_counts = count_terms(documents, spelling)
        self.terms = [spelling.cased(term) for term in terms]
        categories, counts = _categories(catalogue.categories, spelling)
        self.names = [*categories, *self.terms]
        self.found = csr_matrix(hstack([counts, self.term_counts]))
        self.credit = np.repeat([1.0, TERM_CREDIT], [len(categories), len(terms)])

    def describe(self, belongs: Array, above: Sequence[str]) -> list[ClusterWords]:
        """Put groups of items into words.

        Parameters
        ----------
        belongs : shape (groups, n_items)
        above : sequence of str
            The label of each group's parent; empty where there is none.
        """
        # A single group is told from the rest of the catalogue.
        rest = belongs.max() - belongs if len(belongs) == 1 else belongs[:0]
        groups = np.vstack([belongs, rest])
        terms = top_terms(telling(groups, self.term_counts), self.terms, TERMS)
        labels = self._labels(groups, [*above, *[""] * len(rest)])
        return [
            ClusterWords(label=label, terms=words, items=_items(row, self.catalogue, ITEMS))
            for label, words, row in zip(labels, terms, belongs, strict=False)
        ]

    def _labels(self, belongs: Array, above: Sequence[str]) -> list[str]:
        scores = telling(belongs, self.found) * self.credit
        for row, parent in enumerate(above):
            scores[row, [capitalised(name) == parent for name in self.names]] = 0.0
        # Each name comes first in one label only, where it tells most.
        rows, columns = linear_sum_assignment(scores, maximize=True)
        heads = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        labels: list[str] = []
        for row, parent in enumerate(above):
            parts = self._parts(belongs[row], scores[row], heads[row]) if row in heads else []
            labels.append(_first_free(parts, row, {*labels, parent}))
        return labels

    def _parts(self, belongs: Array, scores: Array, head: int) -> list[str]:
        """Return the label's parts: each next one names items that those before leave out."""
        if scores[head] <= 0:
            return []
        chosen, open_items = [head], belongs.copy()
        mass = np.maximum(self.found.T @ belongs, 1e-12)
        inside = self.found.T @ (belongs * self.found[:, [head]].toarray().ravel())
        # Categories go with categories, terms with terms; no part is the first one, only wider.
        fitting = (self.credit == self.credit[head]) & (inside <= MOST_OF * mass[head])
        first, scores = scores[head], np.where(fitting, scores, 0.0)
        while len(chosen) < PARTS:
            open_items[self.found[:, [chosen[-1]]].nonzero()[0]] = 0.0
            further = scores * (self.found.T @ open_items) / mass
            best = int(np.argmax(further))
            if further[best] < WORTH_SAYING * first:
                break
            names = [self.names[index] for index in chosen]
            scores[best] = 0.0
            if any(overlap(self.names[best], name) for name in names):
                continue
            if len(", ".join([*names, self.names[best]])) > LONGEST:
                break
            chosen.append(best)
        return [self.names[index] for index in chosen]


def _categories(paths: Sequence[str], spelling: Spelling) -> tuple[list[str], csr_matrix]:
    """Return the names on category paths, tidied, and which items bear them."""
    position: dict[str, int] = {}
    rows, columns = [], []
    for item, path in enumerate(paths):
        names = dict.fromkeys(tidied(part, spelling) for part in path.split(">"))
        for name in filter(None, names):
            rows.append(item)
            columns.append(position.setdefault(name, len(position)))
    shape = (len(paths), len(position))
    return list(position), csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def _first_free(parts: Sequence[str], row: int, taken: Collection[str]) -> str:
    """Return the longest label of these parts that is not taken, else a number."""
    for width in range(len(parts), 0, -1):
        label = capitalised(", ".join(parts[:width]))
        if label not in taken:
            return label
    start = capitalised(parts[0]) if parts else "Cluster"
    return next(f"{start} {n}" for n in count(row + 1) if f"{start} {n}" not in taken)


def _items(belongs: Array, catalogue: PublicCatalogue, most: int) -> list[str]:
    nearest = np.argsort(-belongs, kind="stable")[:most]
    return [catalogue.item_ids[item] for item in nearest if belongs[item] > 0]


def _summed(leaves: Array, level: IntArray) -> Array:
    groups = np.zeros((int(level.max()) + 1, leaves.shape[1]))
    np.add.at(groups, level, leaves)
    return groups


def _nesting(levels: Sequence[IntArray], k: int) -> list[list[int]]:
    """Return the parent of each cluster of each level; the first level's have none."""
    parents: list[list[int]] = []
    above = None
    for number, level in enumerate(levels):
        groups = np.unique(level)
        if level.shape != (k,) or not np.array_equal(groups, np.arange(len(groups))):
            raise ValueError(
                f"Level {number} has shape {level.shape} and groups {groups[:5].tolist()}...; "
                f"needed is one group, counted from 0, for each of {k} clusters. "
                "No cluster was labelled."
            )
        pairs = np.unique(np.stack([level, level if above is None else above]), axis=1)
        if pairs.shape[1] > len(groups):
            raise ValueError(
                f"Level {number} has {len(groups)} clusters, some with parts in several clusters "
                "of the level above. No cluster was labelled. Give levels that nest, coarse first."
            )
        parents.append([] if above is None else pairs[1].tolist())
        above = level
    return parents


def _numbered(levels: Sequence[IntArray], parents: Sequence[Sequence[int]]) -> Described:
    """Return labels such as ``Cluster 2``, and ``Cluster 2.1`` for its first child."""
    described: Described = []
    for level, above in zip(levels, parents, strict=True):
        children: Counter[str] = Counter()
        labels = []
        for row in range(int(level.max()) + 1):
            stem = f"{described[-1][above[row]].label}." if above else "Cluster "
            children[stem] += 1
            labels.append(ClusterWords(label=f"{stem}{children[stem]}"))
        described.append(labels)
    return described


def _check(name: str, given: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = np.asarray(given, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        unusable = int((~np.isfinite(array)).sum())
        raise ValueError(
            f"{name} has shape {array.shape} with {unusable} numbers that are not finite; needed "
            f"is {shape}, all finite. No cluster was labelled. Give centroids and weights of one "
            "run, and the catalogue that they are about."
        )
    return array
