"""A new agent's node key, with its public half beside it for the server's operator."""

from __future__ import annotations

from pathlib import Path

from deployment.hosting.node_key import NodeKey
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
    public = NodeKey.create(path).open_ssh
    write_once(public_path(path), f"{public}\n".encode())
    return public
