"""A region from its token to its revocation, against real processes over TLS."""

from __future__ import annotations

import base64
import http.client
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import ActivateNodeRequest, PullMessagesRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from deployment.enrolment.errors import EnrolmentError, UnreachableError
from deployment.enrolment.service import REFUSAL
from deployment.enrolment.token import Token
from privacy.signing import SigningKey
from server.known_regions import read_known_regions
from tests.deployment.enrolment.certificates import Authority
from tests.deployment.enrolment.command_line import point_at, run, write_agent, write_token
from tests.end_to_end.enrolment_host import Host, answers, wait_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    made = Host(tmp_path_factory.mktemp("host"))
    try:
        made.start()
        yield made
    finally:
        made.close()


def on_server(host: Host, verb: str, *arguments: str) -> str:
    result = run("server", verb, *arguments, "--folder", host.server)
    assert result.exit_code == 0, result.exception or result.output
    return str(result.stdout)


def enroll(
    host: Host, folder: Path, token: str, *, ca: Path | None = None, server: str = ""
) -> str:
    settings = folder / "agent.toml"
    if not settings.exists():
        write_agent(folder, folder.name)
    point_at(settings, server or f"localhost:{host.nginx}", ca or host.authority.file)
    token_file = write_token(folder, token)
    result = run("agent", "enroll", "--settings", settings, "--token-file", token_file)
    if result.exception:
        raise result.exception
    return str(result.output)


@contextmanager
def fleet(host: Host, key: Path) -> Iterator[tuple[FleetHttpClient, bytes]]:
    """Speak as the SuperNode with this private key; yields its public key, too."""
    private = serialization.load_ssh_private_key(key.read_bytes(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    with FleetHttpClient.from_server_address(
        f"127.0.0.1:{host.superlink}",
        insecure=False,
        root_certificates=host.authority.file.read_bytes(),
        interceptors=[NodeAuthHttpInterceptor(private, private.public_key())],
    ) as client:
        yield client, public_key_to_bytes(private.public_key())


def activate(host: Host, key: Path) -> int:
    """Ask the SuperLink in as a SuperNode does, by Flower's own client; return the node's id."""
    with fleet(host, key) as (client, public):
        return client.ActivateNode(
            ActivateNodeRequest(public_key=public, heartbeat_interval=30)
        ).node_id


def pull(host: Host, key: Path, node_id: int) -> None:
    """Ask for messages as a node that was let in before."""
    with fleet(host, key) as (client, _):
        client.PullMessages(PullMessagesRequest(node=Node(node_id=node_id)))


def test_a_region_is_let_in_by_a_person_and_kept_out_by_one(host: Host, tmp_path: Path) -> None:
    token = on_server(host, "token", "north").strip()
    asked = enroll(host, tmp_path / "north", token)
    assert "waits for the server's operator" in asked
    key = tmp_path / "north" / "node.key"

    early = host.supernode("early", key)
    with pytest.raises(httpx.HTTPStatusError, match="412"):
        activate(host, key)
    assert "Region north" in on_server(host, "requests")
    assert early.wait(45) == 1
    assert "Failed to activate SuperNode" in host.log("early")
    assert host.status() == []

    on_server(host, "approve", "north", "--yes")
    public = SigningKey.load(host.server / "server.key").public
    known = read_known_regions(host.server / "known-regions.json", public)
    assert known.regions["north"].ledger_key == SigningKey.load(key.with_name("ledger.key")).public
    assert "has approved" in enroll(host, tmp_path / "north", token)
    node = host.supernode("north", key)
    wait_for(lambda: host.status() == ["online"], 60)
    assert "online at the SuperLink" in on_server(host, "nodes")
    assert token not in host.command_lines()

    on_server(host, "revoke", "north", "--yes")
    node.wait(45)  # Flower's node ends itself once it is no longer known
    copied = tmp_path / "copied.key"
    copied.write_bytes(key.read_bytes())
    with pytest.raises(httpx.HTTPStatusError, match="412"):
        activate(host, copied)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        pull(host, copied, int(known.regions["north"].node_id))
    assert host.status() == ["unregistered"]
    assert not read_known_regions(host.server / "known-regions.json", public).regions

    secret = Token.parse(token).secret
    (tmp_path / "north" / "token.txt").unlink()
    forms = (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"="))
    files = [path for folder in (host.folder, tmp_path) for path in folder.rglob("*")]
    contents = [path.read_bytes() for path in files if path.is_file()]
    assert len(contents) > 10
    assert not any(form in content for form in forms for content in contents)


def test_a_token_works_once_over_the_real_service(host: Host, tmp_path: Path) -> None:
    token = on_server(host, "token", "west").strip()
    assert "waits" in enroll(host, tmp_path / "west", token)
    (tmp_path / "west").rename(tmp_path / "thief")
    with pytest.raises(EnrolmentError, match="It tells nobody why"):
        enroll(host, tmp_path / "west", token)
    assert "token-used-twice  region west" in on_server(host, "requests")
    on_server(host, "revoke", "west", "--yes")


def test_a_service_that_is_killed_goes_on_where_it_was(host: Host, tmp_path: Path) -> None:
    asked, later = (on_server(host, "token", region).strip() for region in ("up", "down"))
    assert "waits" in enroll(host, tmp_path / "up", asked)
    (running,) = [one for one in host.processes if one.poll() is None and is_service(one)]
    running.kill()
    running.wait(15)
    with pytest.raises(EnrolmentError, match="HTTP status 502"):
        enroll(host, tmp_path / "down", later)
    host.start_service()
    wait_for(lambda: answers(host.service), 60)
    assert "waits" in enroll(host, tmp_path / "up", asked)
    assert "waits" in enroll(host, tmp_path / "down", later)


def is_service(process: subprocess.Popen[bytes]) -> bool:
    return "deployment.enrolment.service" in str(process.args)


@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("POST", "/v1/enrol", 16_000, 403),
        ("POST", "/v1/enrol", 20_000, 413),
        ("GET", "/v1/enrol", 0, 403),
        ("POST", "/v1/control/list-nodes", 0, 403),
    ],
)
def test_strangers_get_nothing(host: Host, method: str, path: str, size: int, status: int) -> None:
    context = ssl.create_default_context(cafile=str(host.authority.file))
    connection = http.client.HTTPSConnection("localhost", host.nginx, timeout=20, context=context)
    connection.request(method, path, b"x" * size)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    assert answer.status == status
    assert path != "/v1/enrol" or status == 413 or REFUSAL in body


def test_servers_that_prove_nothing_are_refused(host: Host, tmp_path: Path) -> None:
    token = on_server(host, "token", "east").strip()
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(UnreachableError, match="is not one of the authority in"):
        enroll(host, tmp_path / "east", token, ca=stranger.file)
    with pytest.raises(UnreachableError, match=r"is for another name than '127\.0\.0\.2'"):
        enroll(host, tmp_path / "east", token, server=f"127.0.0.2:{host.nginx}")
    with pytest.raises(UnreachableError, match="does not speak TLS"):
        enroll(host, tmp_path / "east", token, server=f"localhost:{host.service}")
    assert "Region east" not in on_server(host, "requests")
    assert "waits" in enroll(host, tmp_path / "east", token)  # the token is as good as before
