from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployment.enrolment.errors import UnreachableError
from deployment.enrolment.transport import post
from tests.deployment.enrolment.certificates import Authority, Certificate

ANSWER = (
    b"HTTP/1.1 202 Accepted\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\n"
    b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
)
BODY = b"what only the server may see"


class Listener:
    """Takes one connection and keeps what it was sent in the clear."""

    def __init__(self, certificate: Certificate | None, answer: bytes) -> None:
        self.received = b""
        self._answer = answer
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(20)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(20)
                if self._context is not None:
                    with self._context.wrap_socket(connection, server_side=True) as secured:
                        self._talk(secured)
                else:
                    self._talk(connection)
        except OSError:  # the other side did not like the certificate
            pass

    def _talk(self, connection: socket.socket) -> None:
        while BODY not in self.received:
            piece = connection.recv(4096)
            if not piece:
                return
            self.received += piece
            if self._context is None:
                break
        connection.sendall(self._answer)

    def close(self) -> None:
        self._thread.join(30)
        self._socket.close()


@contextmanager
def listening(certificate: Certificate | None, answer: bytes = ANSWER) -> Iterator[Listener]:
    listener = Listener(certificate, answer)
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_right_server_gets_the_request(authority: Authority, host: str) -> None:
    with listening(authority.issue()) as server:
        answer = post(f"{host}:{server.port}", authority.file, BODY)
    assert (answer.status, answer.body) == (202, b"{}")
    assert answer.server_time is not None
    assert answer.server_time.isoformat() == "2026-11-26T12:00:00+00:00"
    assert server.received.startswith(b"POST /v1/enrol HTTP/1.1\r\n")
    assert server.received.endswith(BODY)


def test_another_authority_of_the_same_name_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    with (
        listening(other.issue()) as server,
        pytest.raises(UnreachableError, match=r"not one of the authority .*Nothing was sent"),
    ):
        post(f"localhost:{server.port}", authority.file, BODY)
    assert server.received == b""


@pytest.mark.parametrize(
    ("name", "begins", "ends", "host", "sentence"),
    [
        ("elsewhere.example", -2, 2, "localhost", "is for another name than 'localhost'"),
        ("elsewhere.example", -2, 2, "127.0.0.1", "is for another name than '127.0.0.1'"),
        ("localhost", -3, -1, "localhost", "has expired"),
        ("localhost", 1, 2, "localhost", "is not valid yet"),
    ],
)
def test_a_wrong_certificate_is_refused_before_anything_is_sent(
    authority: Authority, name: str, begins: float, ends: float, host: str, sentence: str
) -> None:
    with (
        listening(authority.issue(name, begins=begins, ends=ends)) as server,
        pytest.raises(UnreachableError, match=rf"{re.escape(sentence)}.*Nothing was sent"),
    ):
        post(f"{host}:{server.port}", authority.file, BODY)
    assert server.received == b""


def test_plaintext_is_refused_before_anything_is_sent(authority: Authority) -> None:
    with (
        listening(None) as server,
        pytest.raises(UnreachableError, match=r"does not speak TLS.*Nothing was sent"),
    ):
        post(f"localhost:{server.port}", authority.file, BODY)
    assert BODY not in server.received


def test_nobody_there_is_told(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UnreachableError, match=r"cannot be reached \(Connection refused\)"):
        post(f"localhost:{port}", authority.file, BODY)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-nonsense\r\n\r\n"])
def test_an_answer_that_does_not_come_is_told_as_it_is(authority: Authority, answer: bytes) -> None:
    with (
        listening(authority.issue(), answer) as server,
        pytest.raises(UnreachableError, match="It may have arrived"),
    ):
        post(f"localhost:{server.port}", authority.file, BODY)


@pytest.mark.parametrize(
    "server", ["", "localhost", "localhost:", "a b:1", "https://a:1", "a:0", "a:65536", "a:1\r\n"]
)
def test_what_is_no_address_is_told(authority: Authority, server: str) -> None:
    with pytest.raises(UnreachableError, match="is no address"):
        post(server, authority.file, BODY)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_an_unusable_authority_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnreachableError, match=r"authority .* cannot be read.*Nothing was sent"):
        post("localhost:1", file, BODY)
