"""Public items, encoded: for this client's own use, or as a file for the server.

catalogue (public)  ->  encoder, cache  ->  centred unit vectors
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from client.catalogue import Catalogue, read_catalogue
from client.embedding_cache import EmbeddingCache
from client.encoder import Encoder
from privacy.query import FloatArray
from strategies.public_catalogue import PublicCatalogue


def encode_catalogue(catalogue: Catalogue, encoder: Encoder, cache: EmbeddingCache) -> FloatArray:
    """Return the items' vectors, centred on the catalogue's mean and of unit norm again.

    Raw sentence vectors all point one way; centring takes that out.

    Returns
    -------
    float32, shape (n_items, d)
    """
    raw = cache.encode(encoder.fingerprint, catalogue.texts, encoder.encode)
    return _centred(raw, raw.mean(axis=0))


def encode_interests(
    texts: Sequence[str], catalogue: Catalogue, encoder: Encoder, cache: EmbeddingCache
) -> FloatArray:
    """Return vectors of what somebody says, in the space of the items'; it is not kept on disk.

    Parameters
    ----------
    texts : sequence of str
        Such as ``"baking"``.
    catalogue : Catalogue
    encoder : Encoder
    cache : EmbeddingCache
        Of the catalogue's texts.

    Returns
    -------
    float32, shape (n_texts, d)
    """
    items = cache.encode(encoder.fingerprint, catalogue.texts, encoder.encode)
    return _centred(encoder.encode(texts), items.mean(axis=0))


def _centred(raw: FloatArray, mean: FloatArray) -> FloatArray:
    centred = raw - mean
    norms = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return np.asarray(centred / norms, dtype=np.float32)


def encode_public(path: Path, encoder: Encoder, cache: Path) -> PublicCatalogue:
    """Read and encode a catalogue file for the server.

    Raises
    ------
    CatalogueError
        If the file cannot be used.
    EncoderError
        If the language model cannot be loaded.
    """
    return as_public(read_catalogue(path), encoder, EmbeddingCache(cache))


def as_public(catalogue: Catalogue, encoder: Encoder, cache: EmbeddingCache) -> PublicCatalogue:
    """Encode a catalogue for the server.

    Raises
    ------
    EncoderError
        If the language model cannot be loaded.
    """
    return PublicCatalogue(
        fingerprint=catalogue.fingerprint(),
        encoder=encoder.fingerprint,
        encoder_name=encoder.name,
        device=encoder.device,
        item_ids=list(catalogue.item_ids),
        texts=list(catalogue.texts),
        categories=list(catalogue.categories),
        vectors=encode_catalogue(catalogue, encoder, cache),
    )
