"""A node says nothing to a server that cannot prove who it is, and speaks with one that can."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from flwr.proto.fleet_pb2 import ActivateNodeRequest
from flwr.supercore.primitives.asymmetric import generate_key_pairs
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from deployment.agent.response_limit import BoundedFleetClient
from tests.deployment.enrolment.certificates import Authority, Certificate


@contextmanager
def server(certificate: Certificate | None) -> Iterator[tuple[int, list[bytes]]]:
    """Listen once, with TLS if there is a certificate; yields the port and what was heard."""
    heard: list[bytes] = []

    def listen() -> None:
        connection, _ = listener.accept()
        connection.settimeout(15)
        try:
            if certificate is None:
                heard.append(connection.recv(65536))
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            with context.wrap_socket(connection, server_side=True) as secure:
                heard.append(whole_request(secure))
                secure.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                secure.recv(1)  # until the other side has read it, and goes
        except OSError:
            heard.append(b"")
        finally:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(20)
        assert not thread.is_alive()


def whole_request(connection: ssl.SSLSocket) -> bytes:
    """Return one request: with a body unread, the other side could lose the answer."""
    received, length = b"", -1
    while length < 0 or len(received) < length:
        part = connection.recv(65536)
        if not part:
            break
        received += part
        head, ended, _ = received.partition(b"\r\n\r\n")
        if ended and length < 0:
            told = re.search(rb"(?i)content-length: (\d+)", head)
            length = len(head) + 4 + (int(told[1]) if told else 0)
    return received


def activate(address: str, ca: Path) -> None:
    """Ask a server in, by the very client that the node uses."""
    private, public = generate_key_pairs()
    with BoundedFleetClient.from_server_address(
        address,
        insecure=False,
        root_certificates=ca.read_bytes(),
        interceptors=[NodeAuthHttpInterceptor(private, public)],
    ) as client:
        client.ActivateNode(ActivateNodeRequest(public_key=b"key", heartbeat_interval=30))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_the_server_of_the_pinned_authority_is_spoken_to(authority: Authority) -> None:
    with (
        server(authority.issue()) as (port, heard),
        pytest.raises(httpx.HTTPStatusError, match="503"),
    ):
        activate(f"localhost:{port}", authority.file)
    assert heard[0].startswith(b"POST /v1/fleet/activate-node HTTP/1.1\r\n")


@pytest.mark.parametrize("wrong", ["authority", "name", "expired", "not yet valid"])
def test_a_server_with_a_wrong_certificate_hears_nothing(
    authority: Authority, tmp_path: Path, wrong: str
) -> None:
    issuer = Authority(tmp_path) if wrong == "authority" else authority
    certificate = {
        "authority": lambda: issuer.issue(),
        "name": lambda: issuer.issue("elsewhere.example.org"),
        "expired": lambda: issuer.issue(begins=-5, ends=-1),
        "not yet valid": lambda: issuer.issue(begins=1, ends=5),
    }[wrong]()
    with (
        server(certificate) as (port, heard),
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        activate(f"localhost:{port}", authority.file)
    assert heard == [b""]


def test_a_server_without_tls_gets_a_handshake_and_no_request(authority: Authority) -> None:
    with server(None) as (port, heard), pytest.raises(httpx.TransportError):
        activate(f"localhost:{port}", authority.file)
    assert heard[0][:1] == b"\x16"  # TLS' own first byte
    assert b"fleet" not in heard[0]
