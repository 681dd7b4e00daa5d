"""The node's key: proves to the server which node speaks (EC P-384, what Flower registers).

Public node keys are written as the uncompressed point in hexadecimal, so that one key has one
spelling: Flower compares the bytes of keys, and two spellings would be two nodes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from deployment.errors import NodeKeyError
from deployment.hosting.secret_files import write_once

NODE_KEY = r"^04[0-9a-f]{192}$"
"""An uncompressed point of P-384."""


class NodeKey:
    """The private key by which a SuperNode proves who it is.

    Parameters
    ----------
    private : EllipticCurvePrivateKey
        On P-384.
    """

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public = spell_point(private.public_key())

    def sign(self, message: bytes) -> str:
        """Return an ECDSA signature (SHA-256, DER) in hexadecimal; another one each time."""
        return self._private.sign(message, ec.ECDSA(SHA256())).hex()

    @property
    def open_ssh(self) -> str:
        """The public half as a line of OpenSSH, which Flower's own commands take."""
        line = self._private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        return line.decode("ascii")

    @classmethod
    def create(cls, path: Path) -> NodeKey:
        """Make a key and keep it in ``path``, in the format that ``flower-supernode`` reads.

        Raises
        ------
        SecretFileError
            If there is something already, or it cannot be written.
        """
        private = ec.generate_private_key(ec.SECP384R1())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_once(
            path,
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            ),
        )
        return cls(private)

    @classmethod
    def load(cls, path: Path) -> NodeKey:
        """Read the key in ``path``.

        Raises
        ------
        NodeKeyError
            If it is missing, no P-384 key in OpenSSH's format, or others can read it.
        """
        try:
            if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise NodeKeyError(
                    f"Node key {path} can be read by others. It was not used. "
                    f"Make it private (chmod 600 {path}) if nobody has read it, or replace it."
                )
            private = serialization.load_ssh_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise NodeKeyError(f"Node key {path} cannot be read ({error.strerror}).") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise NodeKeyError(
                f"{path} holds no private key in OpenSSH's format without a passphrase."
            ) from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.key_size != 384:
            raise NodeKeyError(f"{path} holds another kind of key than EC P-384.")
        return cls(private)


def spell_point(public: ec.EllipticCurvePublicKey) -> str:
    """Write a public key as its uncompressed point in hexadecimal."""
    return public.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    ).hex()


def read_point(point: str) -> ec.EllipticCurvePublicKey:
    """Return the P-384 key at ``point``.

    Raises
    ------
    ValueError
        If there is no such point on the curve.
    """
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), bytes.fromhex(point))


def is_signed_by_node(message: bytes, signature: str, point: str) -> bool:
    """Tell whether ``signature`` (DER, hexadecimal) is that of ``message`` by the key ``point``."""
    try:
        read_point(point).verify(bytes.fromhex(signature), message, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
