"""A server's responses are bounded before they are in memory; honest ones pass."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from flwr.proto.fab_pb2 import Fab, GetFabRequest, GetFabResponse
from flwr.proto.run_pb2 import GetRunRequest

from deployment.agent import response_limit
from deployment.agent.errors import ResponseTooLargeError
from deployment.agent.response_limit import BoundedFleetClient

LIMIT = 100_000


@dataclass
class Server:
    """An HTTP server that sends what a test wants, and counts what was taken."""

    head: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    status: int = 200
    sent: int = 0
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def send(self, content: bytes, **head: str) -> None:
        """Send ``content`` with its length; ``head`` are further headers."""
        self.pieces, self.head = [content], {"Content-Length": str(len(content)), **head}

    def drip(self, size: int) -> None:
        """Send ``size`` bytes without having said how many come."""
        self.pieces, self.head = [b"x" * 10_000] * (size // 10_000), {"Connection": "close"}


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(told.status)
            for name, value in told.head.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for piece in told.pieces:
                    self.wfile.write(piece)
                    told.sent += len(piece)
            except OSError:  # who asked has gone
                self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    told.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join(10)


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[BoundedFleetClient]:
    monkeypatch.setattr(response_limit, "LARGEST_BUNDLE", LIMIT)
    monkeypatch.setattr(response_limit, "LARGEST_RESPONSE", LIMIT)
    monkeypatch.setattr(response_limit, "ENVELOPE", 100)
    with BoundedFleetClient.from_server_address(
        f"127.0.0.1:{server.port}", insecure=True, root_certificates=None, interceptors=[]
    ) as made:
        yield made


def a_response(size: int) -> bytes:
    return bytes(GetFabResponse(fab=Fab(hash_str="h", content=b"x" * size)).SerializeToString())


def test_a_bundle_of_an_honest_size_is_taken_however_it_comes(
    server: Server, client: BoundedFleetClient
) -> None:
    server.send(a_response(LIMIT))
    assert len(client.GetFab(GetFabRequest()).fab.content) == LIMIT
    server.head = {"Connection": "close"}
    assert len(client.GetFab(GetFabRequest()).fab.content) == LIMIT


def test_a_bundle_that_says_how_large_it_is_is_refused_by_its_head_alone(
    server: Server, client: BoundedFleetClient
) -> None:
    server.head = {"Content-Length": "20000000000"}  # and no body: who waited for it would hang
    with pytest.raises(ResponseTooLargeError, match=f"more than {LIMIT + 100} bytes"):
        client.GetFab(GetFabRequest())


def test_a_bundle_that_does_not_is_cut_off_where_it_grows_too_large(
    server: Server, client: BoundedFleetClient
) -> None:
    server.drip(2_000_000_000)
    with pytest.raises(ResponseTooLargeError, match="It was not kept"):
        client.GetFab(GetFabRequest())
    assert server.sent < 100_000_000  # what lay in buffers on the way


def test_other_responses_are_bounded_too(server: Server, client: BoundedFleetClient) -> None:
    server.drip(2 * LIMIT)
    with pytest.raises(ResponseTooLargeError):
        client.GetRun(GetRunRequest())


def test_what_is_compressed_is_refused(server: Server, client: BoundedFleetClient) -> None:
    server.send(gzip.compress(a_response(1000)), **{"Content-Encoding": "gzip"})
    with pytest.raises(ResponseTooLargeError, match="compressed"):
        client.GetFab(GetFabRequest())


@pytest.mark.parametrize("status", [301, 307])
def test_a_server_sends_a_node_nowhere_else(
    server: Server, client: BoundedFleetClient, status: int
) -> None:
    server.status = status
    server.head = {"Location": f"http://127.0.0.1:{server.port}/elsewhere", "Content-Length": "0"}
    with pytest.raises(httpx.HTTPStatusError):
        client.GetFab(GetFabRequest())
    assert server.asked == [response_limit.BUNDLE_ROUTE]
