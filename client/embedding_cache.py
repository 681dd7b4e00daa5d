"""Encoded texts on disk, found by content.

The key of a vector is SHA-256 over the encoder's fingerprint and the text, so a
changed text or model never meets an old vector, and a grown catalogue encodes
only what is new.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from client.errors import EncoderError
from privacy.query import FloatArray

BUSY_SECONDS = 60.0

Encode = Callable[[Sequence[str]], FloatArray]


class EmbeddingCache:
    """A folder of cached vectors, shared by all processes of one machine.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.

    Raises
    ------
    EncoderError
        If the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "embeddings.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS vectors "
                    "(key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
                )
        except (OSError, sqlite3.Error) as error:
            raise EncoderError(
                f"The cache of encoded texts {self.path} cannot be used ({error}). Nothing was "
                "encoded. Choose another folder, or remove the file: it can be made anew."
            ) from error

    def encode(self, fingerprint: str, texts: Sequence[str], encode: Encode) -> FloatArray:
        """Return the vectors of ``texts``, encoding only those that are not cached.

        Parameters
        ----------
        fingerprint : str
            Of the encoder.
        texts : sequence of str
        encode : callable
            Texts to float32 vectors, shape (n, d).

        Returns
        -------
        float32, shape (n_texts, d)
        """
        keys = [hashlib.sha256(f"{fingerprint}\0{text}".encode()).digest() for text in texts]
        found = self._load(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if new:
            vectors = encode(list(new.values()))
            fresh = dict(zip(new, vectors, strict=True))
            self._store(fresh)
            found |= fresh
        return np.stack([found[key] for key in keys])

    def _load(self, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        found = {}
        with closing(self._connect()) as database:
            for key in set(keys):
                row = database.execute("SELECT vector FROM vectors WHERE key = ?", (key,))
                if content := row.fetchone():
                    found[key] = np.frombuffer(content[0], dtype="<f4").astype(np.float32)
        return found

    def _store(self, vectors: dict[bytes, FloatArray]) -> None:
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()]
        with closing(self._connect()) as database, database:
            database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS)
