from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deployment.enrolment.keys import NodeKey, fingerprint, is_signed_by_node
from deployment.errors import NodeKeyError, SecretFileError


def test_a_node_key_is_private_and_read_back_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "node.key"
    made = NodeKey.create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert NodeKey.load(path).public == made.public
    with pytest.raises(SecretFileError, match="exists already"):
        NodeKey.create(path)
    assert NodeKey.load(path).public == made.public


def test_a_node_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    NodeKey.create(path)
    path.chmod(0o644)
    with pytest.raises(NodeKeyError, match="can be read by others"):
        NodeKey.load(path)


@pytest.mark.parametrize("private", [ec.generate_private_key(ec.SECP256R1()), None])
def test_other_kinds_of_keys_are_refused(
    tmp_path: Path, private: ec.EllipticCurvePrivateKey | None
) -> None:
    path = tmp_path / "node.key"
    path.touch(0o600)
    path.write_bytes(
        (private or Ed25519PrivateKey.generate()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(NodeKeyError, match="another kind of key"):
        NodeKey.load(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"\x00" * 100])
def test_what_is_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(NodeKeyError, match="holds no private key"):
        NodeKey.load(path)


def test_signatures_hold_for_one_message_and_one_key(tmp_path: Path) -> None:
    key, other = NodeKey.create(tmp_path / "a"), NodeKey.create(tmp_path / "b")
    signature = key.sign(b"m")
    assert is_signed_by_node(b"m", signature, key.public)
    assert not is_signed_by_node(b"n", signature, key.public)
    assert not is_signed_by_node(b"m", signature, other.public)
    assert not is_signed_by_node(b"m", signature[:-2], key.public)
    assert not is_signed_by_node(b"m", "", key.public)
    off_the_curve = key.public[:-2] + ("00" if key.public[-2:] != "00" else "01")
    assert not is_signed_by_node(b"m", signature, off_the_curve)


def test_fingerprints_are_short_groups_that_differ_with_the_key() -> None:
    one, other = fingerprint("00" * 32), fingerprint("00" * 31 + "01")
    assert one == "6668 7aad f862 bd77 6c8f c18b 8e9f 8e20"  # sha256sum of 32 zero bytes
    assert not set(one.split()) & set(other.split())
