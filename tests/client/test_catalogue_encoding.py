"""Public items as vectors: centred, of unit norm, and the same again from a file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from client.catalogue_encoding import encode_catalogue, encode_public
from client.embedding_cache import EmbeddingCache
from strategies.public_catalogue import PublicCatalogue
from tests.client.examples import SHOP, FakeEncoder, a_catalogue


@pytest.fixture
def public(tmp_path: Path) -> PublicCatalogue:
    path = tmp_path / "catalogue.csv"
    table = {"item_id": list(SHOP), "text": list(SHOP.values()), "category": "SHOP"}
    pd.DataFrame(table).to_csv(path, index=False)
    return encode_public(path, FakeEncoder().as_encoder(), tmp_path / "cache")


def test_vectors_are_centred_on_the_catalogues_mean_and_of_unit_norm(tmp_path: Path) -> None:
    encoder = FakeEncoder().as_encoder()
    vectors = encode_catalogue(a_catalogue(), encoder, EmbeddingCache(tmp_path))
    raw = FakeEncoder().encode(list(SHOP.values())).astype(np.float64)
    mean = [sum(column) / len(SHOP) for column in raw.T]
    for vector, before in zip(vectors, raw, strict=True):
        moved = before - mean
        np.testing.assert_allclose(vector, moved / np.sqrt(sum(moved**2)), atol=1e-6)
    assert vectors.dtype == np.float32


def test_items_at_the_mean_become_zero_rather_than_nonsense(tmp_path: Path) -> None:
    twins = a_catalogue({"milk": "milk", "more milk": "milk"})
    vectors = encode_catalogue(twins, FakeEncoder().as_encoder(), EmbeddingCache(tmp_path))
    np.testing.assert_array_equal(vectors, np.zeros((2, 4)))


def test_public_catalogue_says_what_it_was_made_of(public: PublicCatalogue) -> None:
    assert public.item_ids == list(SHOP)
    assert public.texts == list(SHOP.values())
    assert (public.encoder, public.encoder_name, public.device) == ("fake/mean", "fake", "cpu")


def test_public_file_gives_back_what_was_saved(public: PublicCatalogue, tmp_path: Path) -> None:
    path = tmp_path / "new" / "catalogue.npz"
    public.save(path)
    loaded = PublicCatalogue.load(path)
    for field in fields(public):
        if field.name != "vectors":
            assert getattr(loaded, field.name) == getattr(public, field.name)
    np.testing.assert_array_equal(loaded.vectors, public.vectors)
    assert loaded.vectors.dtype == np.float32
    assert [file.name for file in path.parent.iterdir()] == ["catalogue.npz"]


def _missing(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("item_id,text,category\n")


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(bytes(content))


def _one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def _other_arrays(path: Path) -> None:
    np.savez(path, centroids=np.ones(3))


def _other_header(path: Path) -> None:
    np.savez(path, header=np.array("{}"), vectors=np.ones((1, 2)))


def _other_version(path: Path) -> None:
    np.savez(path, header=np.array('{"version": 99}'), vectors=np.ones((1, 2)))


@pytest.mark.parametrize(
    "break_it",
    [
        _missing,
        _empty,
        _text,
        _cut_off,
        _flipped,
        _one_array,
        _other_arrays,
        _other_header,
        _other_version,
    ],
)
def test_broken_file_is_an_error_that_names_it_and_the_remedy(
    public: PublicCatalogue, tmp_path: Path, break_it: object
) -> None:
    path = tmp_path / "catalogue.npz"
    public.save(path)
    assert callable(break_it)
    break_it(path)
    with pytest.raises(ValueError, match="an encoded catalogue") as caught:
        PublicCatalogue.load(path)
    assert str(path) in str(caught.value)
    assert "Nothing was read. Make" in str(caught.value)
    assert "fedinterest encode CATALOGUE --out FILE.npz" in str(caught.value)
