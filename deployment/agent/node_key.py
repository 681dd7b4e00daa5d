"""The node's key: proves to the server which node speaks (Flower: EC P-384, OpenSSH)."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deployment.hosting.secret_files import write_once


def public_path(path: Path) -> Path:
    """Return where the public half of the key in ``path`` lies."""
    return path.with_name(f"{path.name}.pub")


def create_node_key(path: Path) -> str:
    """Make a key and keep it in ``path``, its public half beside it.

    Returns
    -------
    str
        The public half, as a line of OpenSSH.

    Raises
    ------
    SecretFileError
        If there is something already, or it cannot be written.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    write_once(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        ),
    )
    write_once(public_path(path), public + b"\n")
    return public.decode()
