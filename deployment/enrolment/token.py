"""One-time tokens: a secret that lets one region ask once to be enrolled.

256 random bits  ->  a line of text, shown once
                 ->  an Ed25519 key, made of them one way  ->  its public half, the verifier

The server keeps the verifier alone. Who asks signs with the token's key, so the token itself never
crosses the network. An observer of the request, or a reader of the server's records, can check
proofs and make none: that is what it has over a MAC, whose key the server would have to keep.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from deployment.enrolment.errors import TokenError

SECRET_BYTES = 32
_CHECK_BYTES = 4
_TEXT = re.compile(r"fedinterest-token-([0-9a-f]{64})-([0-9a-f]{8})")
_LONGEST_FILE = 4096
_PURPOSE = b"fedinterest enrolment token 1"


@dataclass(frozen=True)
class Token:
    """A token, as its holder knows it.

    Parameters
    ----------
    secret : bytes
        32 random bytes; not shown by ``repr``.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def create(cls) -> Token:
        """Make a token from the operating system's generator."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token's line of text.

        Raises
        ------
        TokenError
            If it is none, or some of it was lost or changed; it never repeats the text.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise TokenError(
                "This is no enrolment token (fedinterest-token-..., 91 characters). Nothing was "
                "sent. Copy the whole line that the server's operator was shown."
            )
        secret = bytes.fromhex(found[1])
        if _check(secret) != found[2]:
            raise TokenError(
                "The enrolment token has a mistake in it: its last characters do not fit the "
                "others. Nothing was sent. Copy it again from what the server's operator gave you."
            )
        return cls(secret)

    @property
    def text(self) -> str:
        """The line that is shown once; the last characters tell a mistake in copying."""
        return f"fedinterest-token-{self.secret.hex()}-{_check(self.secret)}"

    @property
    def verifier(self) -> str:
        """What the server keeps and who asks sends: a public key, 64 hexadecimal digits."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> str:
        """Prove that the signer holds the token; for this message alone, in hexadecimal."""
        return self._key.sign(message).hex()

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        seed = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(self.secret)
        return Ed25519PrivateKey.from_private_bytes(seed)


def read_token(path: Path) -> Token:
    """Read a token from a file that only its owner can read.

    Raises
    ------
    TokenError
        If it cannot be read, others can read it, or it holds no token.
    """
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise TokenError(
                f"Token file {path} can be read by others. Nothing was sent. Make it private "
                f"(chmod 600 {path}) if nobody has read it, or ask for another token."
            )
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE)
    except OSError as error:
        raise TokenError(
            f"Token file {path} cannot be read ({error.strerror}). Nothing was sent."
        ) from error
    try:
        return Token.parse(content.decode("utf-8", errors="replace"))
    except TokenError as error:
        raise TokenError(f"Token file {path}: {error}") from None


def _check(secret: bytes) -> str:
    """Return 32 bits that tell a mistake in copying; of no use for guessing the other 256."""
    return hashlib.sha256(_PURPOSE + secret).digest()[:_CHECK_BYTES].hex()
