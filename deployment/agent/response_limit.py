"""What a server may send in one response: bounded before it is in memory.

response's head  ->  size, encoding, no redirect  ->  body, counted while it comes

Flower reads a whole body first and looks at it then, follows redirects to anywhere, and unpacks
what is compressed. Here a server is not believed: its bundle and its messages have the sizes that
honest ones can have, or they are not taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import httpx
from flwr.supernode.fleet_http_client import FleetHttpClient

from deployment.agent.broken_connections import broken_not_wrong
from deployment.agent.bundle import LARGEST_BUNDLE
from deployment.agent.errors import ResponseTooLargeError

BUNDLE_ROUTE = "/v1/fleet/get-fab"
ENVELOPE = 65_536
"""Bytes around a bundle, at most: its hash and verifications."""
LARGEST_RESPONSE = 64_000_000
"""Bytes of any other response; Flower sends arrays in pieces of 5 MB."""


class BoundedFleetClient(FleetHttpClient):
    """Flower's connection of a node with its server, with bounds on what comes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._client.follow_redirects = False
        self._client.headers["accept-encoding"] = "identity"
        # Called when a response's head has come and nothing of its body was read.
        self._client.event_hooks = {"response": [bound]}

    def _send(self, *arguments: Any, **named: Any) -> httpx.Response:
        with broken_not_wrong():
            return super()._send(*arguments, **named)


def bound(response: httpx.Response) -> None:
    """Let a response's body be no larger than it can honestly be.

    Raises
    ------
    ResponseTooLargeError
        If its head says that it is, or that it is compressed: what it unpacks to nobody knows.
        While the body is read, as soon as it is.
    """
    is_bundle = response.request.url.path == BUNDLE_ROUTE
    limit = LARGEST_BUNDLE + ENVELOPE if is_bundle else LARGEST_RESPONSE
    if response.headers.get("content-encoding", "identity") != "identity":
        response.close()
        raise ResponseTooLargeError("The server sent a compressed response. It was not read.")
    declared = response.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limit:
        response.close()
        raise _too_large(limit)
    response.stream = _Counted(cast(httpx.SyncByteStream, response.stream), limit)


class _Counted(httpx.SyncByteStream):
    """A body that ends with an error where it grows too large."""

    def __init__(self, stream: httpx.SyncByteStream, limit: int) -> None:
        self._stream, self._limit = stream, limit

    def __iter__(self) -> Iterator[bytes]:
        left = self._limit
        for piece in self._stream:
            left -= len(piece)
            if left < 0:
                raise _too_large(self._limit)
            yield piece

    def close(self) -> None:
        self._stream.close()


def _too_large(limit: int) -> ResponseTooLargeError:
    return ResponseTooLargeError(
        f"The server sent a response of more than {limit} bytes. It was not kept. Ask the "
        "server's operator what it was."
    )
