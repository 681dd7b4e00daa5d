"""The public catalogue, encoded: item ids, texts, categories and vectors in one file.

Whatever is computed from it costs no privacy. It is never derived from events.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from privacy.query import FloatArray

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PublicCatalogue:
    """Everything that the server knows about items.

    Attributes
    ----------
    fingerprint : str
        SHA-256 over ids, texts and categories.
    encoder : str
        Fingerprint of the encoder that made the vectors.
    encoder_name : str
    device : str
        Where they were encoded: ``cuda`` or ``cpu``.
    item_ids, texts, categories : list of str, length n_items
    vectors : float32, shape (n_items, d)
        Centred on the catalogue's mean, then of unit norm.
    """

    fingerprint: str
    encoder: str
    encoder_name: str
    device: str
    item_ids: list[str]
    texts: list[str]
    categories: list[str]
    vectors: FloatArray

    def save(self, path: Path) -> None:
        """Write to ``path`` (``.npz``), all or nothing."""
        header = {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "encoder": self.encoder,
            "encoder_name": self.encoder_name,
            "device": self.device,
            "item_ids": self.item_ids,
            "texts": self.texts,
            "categories": self.categories,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished.npz")
        np.savez(
            unfinished,
            allow_pickle=False,
            header=np.array(json.dumps(header)),
            vectors=self.vectors,
        )
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> PublicCatalogue:
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is not an encoded catalogue of this version.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                version = header.pop("version")
                vectors = archive["vectors"]
        except (KeyError, TypeError, ValueError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(
                f"{path} is not an encoded catalogue ({error}). Nothing was read. "
                "Make one with `fedinterest encode CATALOGUE --out FILE.npz`."
            ) from error
        if version != VERSION:
            raise ValueError(
                f"{path} is an encoded catalogue of another version. Nothing was read. "
                "Make it anew with `fedinterest encode CATALOGUE --out FILE.npz`."
            )
        return cls(vectors=vectors, **header)


def nameless(vectors: FloatArray, encoder: str) -> PublicCatalogue:
    """Return public vectors as a catalogue without items: they are known, and not recommended.

    Parameters
    ----------
    vectors : float32, shape (n, d)
        n may be 0.
    encoder : str
        Fingerprint of what made them.
    """
    digest = hashlib.sha256(f"{vectors.shape}".encode() + vectors.tobytes()).hexdigest()
    return PublicCatalogue(
        fingerprint=digest,
        encoder=encoder,
        encoder_name=encoder.replace("-", " "),
        device="none",
        item_ids=[],
        texts=[],
        categories=[],
        vectors=vectors,
    )
