"""Requests as bytes over TLS: clients would put paths and headers in order before they send."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

SECONDS = 15.0


@dataclass(frozen=True)
class Door:
    """A TLS port, and what is expected of it."""

    port: int
    ca: Path
    name: str = "localhost"

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.ca))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        try:
            return context.wrap_socket(plain, server_hostname=self.name)
        except BaseException:
            plain.close()
            raise

    def statuses(self, sent: bytes) -> list[int]:
        """The statuses of all answers until the other side closes, or says nothing more."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):  # refused before everything was sent
                connection.sendall(sent)
            return statuses(received(connection))


def received(connection: socket.socket) -> bytes:
    parts = bytearray()
    while True:
        try:
            part = connection.recv(65536)
        except OSError:
            break
        if not part:
            break
        parts += part
    return bytes(parts)


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


def request(line: str, *headers: str, body: bytes = b"", host: str = "localhost") -> bytes:
    """A request with this very first line; the connection ends with the answer."""
    head = [line, f"Host: {host}", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body
