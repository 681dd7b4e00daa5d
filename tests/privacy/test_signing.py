"""Keys stay with their owner, and signatures vouch for what they were made for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import KeyFileError
from privacy.signing import SigningKey, is_signed


def test_key_that_was_made_is_read_back(tmp_path: Path) -> None:
    made = SigningKey.create(tmp_path / "keys" / "own.key")
    assert SigningKey.load(tmp_path / "keys" / "own.key").public == made.public


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_key_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "own.key"
    SigningKey.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="read by others"):
        SigningKey.load(path)


def test_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "own.key"
    public = SigningKey.create(path).public
    with pytest.raises(KeyFileError, match="exists already"):
        SigningKey.create(path)
    assert SigningKey.load(path).public == public


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_file_without_a_key_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"own\.key"):
        SigningKey.load(path)


def test_missing_key_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"absent\.key"):
        SigningKey.load(tmp_path / "absent.key")


def test_key_of_another_kind_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "own.key"
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="another kind"):
        SigningKey.load(path)


def test_same_message_has_the_same_signature(tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path / "own.key")
    assert key.sign(b"a release") == key.sign(b"a release")


@given(message=st.binary(max_size=40), other=st.binary(max_size=40), flipped=st.integers(0, 511))
@settings(max_examples=50, deadline=None)
def test_signature_is_for_one_message_and_one_key(
    tmp_path_factory: pytest.TempPathFactory, message: bytes, other: bytes, flipped: int
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    key, stranger = (SigningKey.create(folder / name) for name in ("own", "other"))
    signature = key.sign(message)
    assert is_signed(message, signature, key.public)
    assert not is_signed(message, signature, stranger.public)
    assert is_signed(other, signature, key.public) is (other == message)
    damaged = bytearray(bytes.fromhex(signature))
    damaged[flipped // 8] ^= 1 << flipped % 8
    assert not is_signed(message, damaged.hex(), key.public)


@pytest.mark.parametrize("public", ["", "00", "z" * 64, "00" * 32])
def test_what_is_no_key_has_signed_nothing(tmp_path: Path, public: str) -> None:
    signature = SigningKey.create(tmp_path / "own.key").sign(b"message")
    assert not is_signed(b"message", signature, public)
