"""The result that everybody may see: the global clusters of interests.

Made by the server from releases and public knowledge only; pushed back to the
clients, which recommend from it: what each cluster goes for, what is popular ever and lately,
and what goes with what.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import csr_matrix

from privacy.query import FloatArray, IntArray
from strategies.exact_geometry import nearest_centre
from strategies.fusion import Fusion, are_fusions
from strategies.item_space import ItemSpace, located
from strategies.question_kinds.items import MOST_TASTE_ITEMS
from strategies.taste import Taste
from strategies.taste_spectrum import MOST_TASTES

VERSION = 4
MOST_BYTES = 2**28
"""Of all arrays together: what a client is ready to keep of one push-back."""
LONGEST_LABEL = 200
"""Characters."""


def shown(label: str) -> str:
    """Return a label as it can be shown to people: short, and without what moves a cursor."""
    return "".join(one if one.isprintable() else " " for one in label)[:LONGEST_LABEL]


def _nothing() -> FloatArray:
    return np.zeros(0, np.float32)


def _no_directions() -> FloatArray:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterMap:
    """K interest clusters.

    Attributes
    ----------
    run : str
        The run that made it.
    catalogue : str
        Fingerprint of the catalogue whose items the weights are about.
    encoder : str
        Fingerprint of the encoder that made the texts' vectors.
    centroids : float32, shape (k, d)
    noisy_sizes : float32, shape (k,)
        Users per cluster; noisy, so possibly negative or fractional.
    labels : list of str, length k
        From the public catalogue and released weights.
    item_weights : float32, shape (k, n_items)
        How strongly each cluster's users take up each item, over the whole
        population's; shrunk, not negative.
    popularity : float32, shape (n_items,)
        The same for everybody.
    recent_popularity : float32, shape (n_items,) or (0,)
        The same of everybody's latest items, on the scale of ``popularity``; empty where
        nobody was asked.
    taste_weights : float32, shape (n_items,) or (0,)
    taste_directions : float32, shape (m, r) or (0, 0)
    taste_strengths : float32, shape (r,)
        What goes with what, as of :class:`~strategies.taste.Taste`; empty where nobody was
        asked.
    fusion : float32, shape (5,) or (0,)
        How much each view counts, as of :class:`~strategies.fusion.Fusion`; empty where
        nobody was asked.
    taste_share : float
        Of taste in the space in which the centroids lie, as of
        :class:`~strategies.item_space.ItemSpace`; 0 in that of texts.
    """

    run: str
    catalogue: str
    encoder: str
    centroids: FloatArray
    noisy_sizes: FloatArray
    labels: list[str]
    item_weights: FloatArray
    popularity: FloatArray
    recent_popularity: FloatArray = field(default_factory=_nothing)
    taste_weights: FloatArray = field(default_factory=_nothing)
    taste_directions: FloatArray = field(default_factory=_no_directions)
    taste_strengths: FloatArray = field(default_factory=_nothing)
    fusion: FloatArray = field(default_factory=_nothing)
    taste_share: float = 0.0

    def __post_init__(self) -> None:
        k, n_items = len(self.centroids), len(self.popularity)
        shapes = (self.noisy_sizes.shape, self.item_weights.shape, len(self.labels))
        if (self.centroids.ndim, self.popularity.ndim) != (2, 1) or shapes != (
            (k,),
            (k, n_items),
            k,
        ):
            raise ValueError(
                f"A cluster map of {k} clusters and {n_items} items has sizes, item weights and "
                f"labels of shapes {shapes}; they do not fit together."
            )
        if not all(isinstance(one, str) and one == shown(one) for one in self.labels):
            raise ValueError("A cluster map has labels that cannot be shown to people.")
        self._check_taste()
        if self.fusion.shape != (0,) and not are_fusions(self.fusion[None]):
            raise ValueError(
                f"A cluster map has weights {self.fusion.tolist()} of views; they are none."
            )
        values = [getattr(self, one.name) for one in fields(self)]
        arrays = [value for value in values if isinstance(value, np.ndarray)]
        if sum(array.nbytes for array in arrays) > MOST_BYTES:
            raise ValueError(f"A cluster map is larger than {MOST_BYTES >> 20} MB.")
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError("A cluster map has values that are not finite.")
        counts = (self.item_weights, self.popularity, self.recent_popularity, self.taste_weights)
        if any((array < 0).any() for array in counts):
            raise ValueError("A cluster map has negative item weights.")

    def _check_taste(self) -> None:
        """Raise ValueError unless what tells of taste and recency fits the items."""
        n_items = self.popularity.shape
        if type(self.taste_share) not in (int, float):
            raise ValueError("A cluster map has a share of taste that is no number.")
        m, r = np.count_nonzero(self.taste_weights), len(self.taste_strengths)
        if r > MOST_TASTES or m > MOST_TASTE_ITEMS:
            raise ValueError(
                f"A cluster map has {r} directions of taste over {m} items; at most {MOST_TASTES} "
                f"over {MOST_TASTE_ITEMS} are looked at."
            )
        fits = (
            self.recent_popularity.shape in (n_items, (0,))
            and self.taste_weights.shape in (n_items, (0,))
            and self.taste_directions.shape == (m, r)
            and self.taste_strengths.ndim == 1
        )
        if not fits:
            raise ValueError(
                f"A cluster map of {n_items[0]} items has recent popularity and taste of shapes "
                f"{self.recent_popularity.shape}, {self.taste_weights.shape}, "
                f"{self.taste_directions.shape} and {self.taste_strengths.shape}; they do not fit "
                "together."
            )
        space = self.space  # its own checks are the map's
        fits = self.taste_share == 0 if space is None else space.can_hold(self.centroids.shape[1])
        if not fits:
            raise ValueError(
                f"A cluster map has centroids of {self.centroids.shape[1]} dimensions and a share "
                f"of taste of {self.taste_share}; they do not fit together."
            )

    @property
    def taste(self) -> Taste | None:
        """What goes with what; None where nothing of it is known."""
        if not len(self.taste_strengths):
            return None
        return Taste(
            weights=self.taste_weights,
            directions=self.taste_directions,
            strengths=self.taste_strengths,
        )

    @property
    def voted(self) -> Fusion | None:
        """How much each view counts; None where nobody was asked."""
        return Fusion.of(self.fusion) if self.fusion.size else None

    @property
    def space(self) -> ItemSpace | None:
        """The space in which the centroids lie; None for that of texts."""
        if not self.taste_share or self.taste is None:
            return None
        return ItemSpace(share=self.taste_share, taste=self.taste)

    def nearest(self, vectors: FloatArray) -> IntArray:
        """Return the cluster of each vector of its space: int64, shape (n,)."""
        return nearest_centre(vectors, self.centroids)

    def clusters_of(self, text: FloatArray, met: csr_matrix) -> IntArray:
        """Return users' clusters, of their text vectors and the items that they met: (n,)."""
        return self.nearest(located(self.space, text, met))

    def save(self, path: Path) -> None:
        """Write to ``path``, all or nothing."""
        content = {name: value for name, value in asdict(self).items() if name != "labels"}
        header = json.dumps({"version": VERSION, "labels": self.labels})
        unfinished = path.with_suffix(".unfinished.npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(unfinished, allow_pickle=False, header=np.array(header), **content)
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> ClusterMap:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, of another version, or no cluster map.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                version = header["version"]
                content = {name: archive[name] for name in archive.files if name != "header"}
        except (KeyError, TypeError, ValueError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(
                f"{path} is not a cluster map ({error}). Nothing was read. "
                "Ask the server for the map again."
            ) from error
        if version != VERSION:
            raise ValueError(
                f"Cluster map {path} is of version {version}, this program reads version "
                f"{VERSION}. Nothing was read. Ask the server for the map again."
            )
        try:
            return cls(
                run=str(content.pop("run")),
                catalogue=str(content.pop("catalogue")),
                encoder=str(content.pop("encoder")),
                labels=list(header["labels"]),
                taste_share=float(content.pop("taste_share")),
                **content,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is not a cluster map ({error}). Nothing was read. "
                "Ask the server for the map again."
            ) from error
