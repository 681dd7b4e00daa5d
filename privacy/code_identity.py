"""Which code runs here: one hash over everything that touches users' data."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGES = ("client", "privacy", "strategies")
"""What a bundle carries for its clients: installed or unpacked, their hash is the same."""


@cache
def code_hash() -> str:
    """Return the SHA-256 of a client's own source files, in hexadecimal.

    Over names and contents of all modules of the packages ``client``,
    ``privacy`` and ``strategies`` as they lie on disk. It notices an update
    that nobody has approved; code that lies about itself, it cannot notice.
    """
    home = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((home / package).rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(home).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()
