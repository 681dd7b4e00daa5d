"""Ed25519 keys and signatures: who said this, and that nobody has changed it.

A key is a file that only its owner can read (PKCS #8, PEM). Public keys and
signatures are written in hexadecimal.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from privacy.errors import KeyFileError

PUBLIC_KEY = r"^[0-9a-f]{64}$"
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


class SigningKey:
    """A private key; read from a file, or made there.

    Parameters
    ----------
    private : Ed25519PrivateKey
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> str:
        """Return the signature of ``message``; the same message gives the same one."""
        return self._private.sign(message).hex()

    @classmethod
    def create(cls, path: Path) -> SigningKey:
        """Make a new key and keep it in ``path``, which must not exist yet.

        Raises
        ------
        KeyFileError
            If there is something already, or it cannot be written.
        """
        private = Ed25519PrivateKey.generate()
        content = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError as error:
            raise KeyFileError(f"{path} exists already. No key was made.") from error
        except OSError as error:
            raise KeyFileError(f"Key {path} cannot be written ({error.strerror}).") from error
        return cls(private)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read the key in ``path``.

        Raises
        ------
        KeyFileError
            If it is missing, no Ed25519 key, or others than its owner can read it.
        """
        try:
            if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise KeyFileError(
                    f"Key {path} can be read by others. It was not used. "
                    f"Make it private (chmod 600 {path}) if nobody has read it, or replace it."
                )
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise KeyFileError(f"Key {path} cannot be read ({error.strerror}).") from error
        except (ValueError, TypeError, UnsupportedAlgorithm, InternalError) as error:
            raise KeyFileError(f"{path} does not hold a private key in PEM.") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"{path} holds another kind of key than Ed25519.")
        return cls(private)


def is_signed(message: bytes, signature: str, public: str) -> bool:
    """Tell whether ``signature`` is that of ``message`` by the owner of ``public``.

    Both in small hexadecimal letters: another spelling of the same bytes is none.
    """
    if not (_SIGNATURE.fullmatch(signature) and re.fullmatch(PUBLIC_KEY, public)):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
