"""The result that everybody may see: the global clusters of interests.

Made by the server from releases and public knowledge only; pushed back to the
clients, which recommend from it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from privacy.query import FloatArray, IntArray
from strategies.exact_geometry import nearest_centre

VERSION = 1


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
        Fingerprint of the encoder in whose space the centroids lie.
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
    """

    run: str
    catalogue: str
    encoder: str
    centroids: FloatArray
    noisy_sizes: FloatArray
    labels: list[str]
    item_weights: FloatArray
    popularity: FloatArray

    def __post_init__(self) -> None:
        k, n_items = len(self.centroids), len(self.popularity)
        shapes = (self.noisy_sizes.shape, self.item_weights.shape, len(self.labels))
        if self.centroids.ndim != 2 or shapes != ((k,), (k, n_items), k):
            raise ValueError(
                f"A cluster map of {k} clusters and {n_items} items has sizes, item weights and "
                f"labels of shapes {shapes}; they do not fit together."
            )
        arrays = (self.centroids, self.noisy_sizes, self.item_weights, self.popularity)
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError("A cluster map has values that are not finite.")
        if (self.item_weights < 0).any() or (self.popularity < 0).any():
            raise ValueError("A cluster map has negative item weights.")

    def nearest(self, vectors: FloatArray) -> IntArray:
        """Return the cluster of each vector: int64, shape (n,)."""
        return nearest_centre(vectors, self.centroids)

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
        return cls(
            run=str(content.pop("run")),
            catalogue=str(content.pop("catalogue")),
            encoder=str(content.pop("encoder")),
            labels=list(header["labels"]),
            **content,
        )
