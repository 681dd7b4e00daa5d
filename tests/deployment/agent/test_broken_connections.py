"""A connection that breaks is tried again; a server that proves nothing is not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from flwr.proto.fleet_pb2 import PullMessagesRequest
from flwr.supercore.retry import make_simple_http_retry_invoker

from deployment.agent.broken_connections import IN_OTHER_WORDS, broken_not_wrong
from deployment.agent.response_limit import BoundedFleetClient
from tests.deployment.enrolment.certificates import Authority


@contextmanager
def listening(serve: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """Serve connections by their number, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                for number in range(100):
                    near, _ = listener.accept()
                    with near, suppress(OSError):
                        serve(near, number)

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])


def serving(authority: Authority) -> ssl.SSLContext:
    certificate = authority.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def pull(port: int, authority: Path) -> object:
    """Ask for messages as a node does, with Flower's own patience, but three times at most."""
    invoker = make_simple_http_retry_invoker()
    invoker.max_tries = 3
    with BoundedFleetClient.from_server_address(
        f"127.0.0.1:{port}",
        insecure=False,
        root_certificates=authority.read_bytes(),
        interceptors=[],
    ) as client:
        return invoker.invoke(client.PullMessages, PullMessagesRequest())


def test_a_proxy_that_is_started_anew_costs_no_answer(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = serving(authority)

    def serve(near: socket.socket, number: int) -> None:
        if number == 0:
            near.recv(65536)  # the node has begun to speak, and nobody answers any more
            return
        with context.wrap_socket(near, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with listening(serve) as port:
        assert pull(port, authority.file) is not None


def test_a_server_of_another_authority_is_not_tried_again(tmp_path: Path) -> None:
    context = serving(Authority(tmp_path / "theirs"))
    ours = Authority(tmp_path / "ours").file
    connections = []

    def serve(near: socket.socket, number: int) -> None:
        connections.append(number)
        context.wrap_socket(near, server_side=True).close()

    with listening(serve) as port, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"):
        pull(port, ours)
    assert connections == [0]


def test_a_handshake_that_gets_no_answer_is_a_broken_connection() -> None:
    with pytest.raises(httpx.ConnectError, match=IN_OTHER_WORDS), broken_not_wrong():
        raise httpx.ConnectTimeout("_ssl.c:989: The handshake operation timed out")
    assert not any(word in IN_OTHER_WORDS.lower() for word in ("certificate", "ssl", "tls"))
