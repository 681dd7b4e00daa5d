"""Connections that break while they are opened are broken connections, and no wrong certificates.

Flower gives a request up for good as soon as an error speaks of TLS: a node whose server's nginx
was started anew at that moment, or whose network was cut, would lose the answer that it was about
to send, with its charge. Told in other words, Flower tries again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

BROKEN = ("EOF occurred", "handshake operation timed out")
"""What OpenSSL says of a connection that was cut, or passed nothing on, while it was opened."""
IN_OTHER_WORDS = "The connection broke while it was opened."


@contextmanager
def broken_not_wrong() -> Iterator[None]:
    """Tell broken connections in words that Flower tries again at.

    Raises
    ------
    httpx.ConnectError
        In place of an error that a broken connection has caused. A certificate that is wrong stays
        the error that it is.
    """
    try:
        yield
    except httpx.TransportError as error:
        if any(words in str(error) for words in BROKEN):
            raise httpx.ConnectError(IN_OTHER_WORDS) from error
        raise
