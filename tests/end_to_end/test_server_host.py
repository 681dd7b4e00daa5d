"""A server's host with real nginx and SuperLink: what passes, what does not, what comes back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.control_pb2 import RegisterNodeRequest
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from typer.testing import CliRunner

from commands.server import app
from deployment.errors import HostError
from deployment.hosting.flower_environment import flower_command, flower_environment
from deployment.hosting.leftovers import FOLDER_MARK, end, is_alive, processes_of
from deployment.hosting.ports import free_port, free_ports, is_listening, wait_until_listening
from deployment.server.certificates import make_certificates, renew_certificate
from deployment.server.host import down, reload_certificate, status, up
from deployment.server.init import make_server, renew
from deployment.server.nginx import FLEET_ROUTES, nginx_command, write_nginx_configuration
from deployment.server.settings import ServerSettings, read_server_settings
from tests.end_to_end.raw_requests import Door, received, request, statuses

pytestmark = pytest.mark.skipif(
    shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None,
    reason="nginx is not installed",
)

ALLOWED = "POST /v1/fleet/get-run HTTP/1.1"
REACHED = 415
"""What Flower answers there to a body that is no protobuf message; nginx never says it."""


@dataclass(frozen=True)
class Running:
    settings: ServerSettings

    @property
    def door(self) -> Door:
        return Door(self.settings.port, self.settings.ca_certificate)

    def log(self, name: str) -> str:
        return (self.settings.supervision / "logs" / f"{name}.log").read_text()

    def reached(self) -> int:
        """Return how many requests SuperLink has noted: it answers first, and notes that then."""
        count, before = self.log("superlink").count("uvicorn.access"), -1
        while count != before:
            time.sleep(0.5)
            count, before = self.log("superlink").count("uvicorn.access"), count
        return count

    def pid(self, name: str) -> int:
        pid = {state.name: state.pid for state in status(self.settings.folder).programs}[name]
        assert pid is not None
        return pid


def new_server(folder: Path) -> ServerSettings:
    port, superlink_port, enrolment_port = free_ports(3)
    return make_server(
        folder,
        ["localhost", "127.0.0.1", "fed.example.org"],
        listen="127.0.0.1",
        port=port,
        superlink_port=superlink_port,
        enrolment_port=enrolment_port,
    ).settings


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("host") / "a server; #1"
    settings = new_server(folder)
    with (folder / "server.toml").open("a") as file:
        file.write("largest-body-mb = 1\n")
    try:
        up(folder)
        yield Running(read_server_settings(folder))
    finally:
        try:
            down(folder)
        finally:
            assert end(processes_of(settings.supervision)) == []


def wait_for(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.2)


ELSEWHERE = [
    "POST /v1/fleet/register-node HTTP/1.1",
    "POST /v1/fleet/unregister-node HTTP/1.1",
    "POST /v1/fleet/ HTTP/1.1",
    "POST /v1/control/start-run HTTP/1.1",
    "POST /v1/control/register-node HTTP/1.1",
    "POST /v1/control/list-nodes HTTP/1.1",
    "POST /v1/runtime/acquire-task HTTP/1.1",
    "POST /v1/runtime/pull-task-input HTTP/1.1",
    "GET /docs HTTP/1.1",
    "GET /openapi.json HTTP/1.1",
    "GET /health HTTP/1.1",
    "GET / HTTP/1.1",
    "POST /v1/enrol/ HTTP/1.1",
    "POST /v1/enrol?x HTTP/1.1",
    "POST //v1/enrol HTTP/1.1",
    "GET /v1/enrol HTTP/1.1",
]
OTHERWISE_SPELT = [
    "POST //v1/fleet/get-run HTTP/1.1",
    "POST /v1//fleet/get-run HTTP/1.1",
    "POST /v1/./fleet/get-run HTTP/1.1",
    "POST /v1/fleet/../fleet/get-run HTTP/1.1",
    "POST /v1/fleet/get-run/../../control/start-run HTTP/1.1",
    "POST /v1/fleet/%2e%2e/control/start-run HTTP/1.1",
    "POST /v1/fleet/..%2fcontrol/start-run HTTP/1.1",
    "POST /v1/fleet/get%2Drun HTTP/1.1",
    "POST /v1/fleet/get-run%00 HTTP/1.1",
    "POST /v1/fleet/get-run\\ HTTP/1.1",
    "POST /v1/fleet/get-run/ HTTP/1.1",
    "POST /v1/fleet/get-run? HTTP/1.1",
    "POST /v1/fleet/get-run?x=1 HTTP/1.1",
    "POST /v1/fleet/get-run#x HTTP/1.1",
    "POST /v1/fleet/get-run;x HTTP/1.1",
    "POST /V1/FLEET/GET-RUN HTTP/1.1",
    "POST /v1/fleet/Get-Run HTTP/1.1",
    "POST https://localhost/v1/fleet/get-run HTTP/1.1",
    "POST http://localhost/v1/fleet/get-run HTTP/1.1",
    "POST /v1/fleet/get-run HTTP/1.0",
    "POST  /v1/fleet/get-run HTTP/1.1",
    "POST /v1/fleet/get-run  HTTP/1.1",
    "POST /v1/fleet/get-run",
    "GET /v1/fleet/get-run HTTP/1.1",
    "PUT /v1/fleet/get-run HTTP/1.1",
    "OPTIONS /v1/fleet/get-run HTTP/1.1",
    "post /v1/fleet/get-run HTTP/1.1",
    "CONNECT 127.0.0.1:443 HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "PRI * HTTP/2.0",
]


def test_only_the_fleet_requests_of_a_node_reach_the_superlink(running: Running) -> None:
    for route in FLEET_ROUTES:
        assert running.door.statuses(request(f"POST /v1/fleet/{route} HTTP/1.1")) == [REACHED]
    before = running.reached()
    answers = {
        line: running.door.statuses(request(line)) for line in (*ELSEWHERE, *OTHERWISE_SPELT)
    }
    passed = {
        line: found
        for line, found in answers.items()
        if not found or not set(found) <= {400, 403, 405, 505}
    }
    # HTTP/0.9 has no status line: nginx sends its page, or nothing.
    assert list(passed) in ([], ["POST /v1/fleet/get-run"])
    assert running.reached() == before


def test_another_host_more_hosts_or_none_are_refused(running: Running) -> None:
    before = running.reached()
    door = running.door
    assert door.statuses(request(ALLOWED, host="evil.example.org")) == [403]
    assert door.statuses(request(ALLOWED, host="localhost.evil.example.org")) == [403]
    assert door.statuses(request(ALLOWED, "Host: evil.example.org")) == [400]
    assert door.statuses(f"{ALLOWED}\r\nContent-Length: 0\r\n\r\n".encode()) == [400]
    assert running.reached() == before
    assert door.statuses(request(ALLOWED, host=f"fed.example.org:{door.port}")) == [REACHED]


def test_a_second_request_hides_behind_none(running: Running) -> None:
    hidden = request("POST /v1/control/list-nodes HTTP/1.1")
    before = running.reached()
    first = f"{ALLOWED}\r\nHost: localhost\r\n".encode()
    door = running.door
    assert door.statuses(first + b"Content-Length: 0\r\n\r\n" + hidden) == [REACHED, 403]
    both = b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    assert door.statuses(first + both + hidden) == [400]
    twice = b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n"
    assert door.statuses(first + twice + hidden) == [400]
    assert running.reached() == before + 1


def test_a_body_that_is_too_large_is_refused_however_it_comes(running: Running) -> None:
    assert running.door.statuses(request(ALLOWED, body=b"x" * 1048577)) == [413]
    declared = f"{ALLOWED}\r\nHost: localhost\r\nConnection: close\r\n".encode()
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    chunked = declared + b"Transfer-Encoding: chunked\r\n\r\n" + piece * 17 + b"0\r\n\r\n"
    assert running.door.statuses(chunked) == [413]
    assert running.door.statuses(request(ALLOWED, body=b"x" * 1048576)) == [REACHED]


def test_without_tls_with_an_old_one_or_another_authority_nothing_is_said(
    running: Running, tmp_path: Path
) -> None:
    port = running.settings.port
    with socket.create_connection(("127.0.0.1", port), timeout=15) as plain:
        plain.sendall(request(ALLOWED))
        assert statuses(received(plain)) == [400]
    old = ssl.create_default_context(cafile=str(running.settings.ca_certificate))
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", port), timeout=15) as plain,
        pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
    ):
        old.wrap_socket(plain, server_hostname="localhost")
    make_certificates(tmp_path, ["localhost"], datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        Door(port, tmp_path / "ca.crt").connect()
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        Door(port, running.settings.ca_certificate, name="other.example.org").connect()


def test_enrolment_passes_in_small_pieces_and_not_often(running: Running) -> None:
    line = "POST /v1/enrol HTTP/1.1"
    door = running.door
    assert door.statuses(request(line, body=b"x" * 16385)) == [413]
    assert door.statuses(request(line, body=b"canary-request")) == [403]
    found = [door.statuses(request(line, body=b"x" * 16384))[0] for _ in range(8)]
    assert set(found) == {403, 429}
    # These 403 are the service's own: each has reached it.
    assert running.log("enrolment").count(" refused") == 1 + found.count(403)
    for log in (running.settings.supervision / "logs").iterdir():
        assert "canary" not in log.read_text()


def test_nothing_listens_but_the_public_port_and_flower_on_loopback(running: Running) -> None:
    settings = running.settings
    listening = {
        tuple(connection.laddr)
        for process in processes_of(settings.supervision)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    ports = (settings.port, settings.superlink_port, settings.enrolment_port)
    assert listening == {("127.0.0.1", port) for port in ports}
    assert not is_listening(settings.superlink_port, "127.0.0.2")
    commands = [" ".join(process.cmdline()) for process in processes_of(settings.supervision)]
    secret = (settings.certificates / "superlink.key").read_text().splitlines()[1]
    assert not [command for command in commands if secret in command]


def test_a_second_up_is_refused_and_disturbs_nothing(running: Running) -> None:
    shown = CliRunner().invoke(app, ["status", str(running.settings.folder)])
    assert shown.exit_code == 0, shown.output
    pid = running.pid("superlink")
    for told in (f"process {pid}, up ", "nginx       answers", "connected of", "lasts 90.0 days"):
        assert told in shown.output
    with pytest.raises(HostError, match="runs already"):
        up(running.settings.folder)
    assert running.pid("superlink") == pid


def test_a_certificate_that_ends_is_refused_and_its_renewal_interrupts_nothing(
    running: Running,
) -> None:
    settings = running.settings
    superlink = running.pid("superlink")
    past = datetime.now(UTC) - timedelta(days=100)
    renew_certificate(settings.certificates, settings.hosts, past)
    assert reload_certificate(settings.folder)

    def is_over() -> bool:
        try:
            running.door.connect().close()
        except ssl.SSLCertVerificationError as error:
            return "expired" in str(error)
        return False

    wait_for(is_over)
    found = status(settings.folder)
    assert found.superlink_answers
    assert not found.is_well
    renew(settings.folder)
    assert reload_certificate(settings.folder)
    wait_for(lambda: status(settings.folder).is_well)
    assert running.pid("superlink") == superlink


@pytest.fixture
def node_key(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP384R1())
    path = tmp_path / "node"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    return path


def register(running: Running, node_key: Path) -> None:
    """Register a node as operators do: at Control, on loopback."""
    key = serialization.load_ssh_private_key(node_key.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    client = ControlHttpClient.from_server_address(
        running.settings.control,
        insecure=False,
        root_certificates=running.settings.ca_certificate.read_bytes(),
        interceptors=[],
    )
    public = public_key_to_bytes(key.public_key())
    assert client.RegisterNode(RegisterNodeRequest(public_key=public)).node_id
    client.close()


def flwr(home: Path, *arguments: str) -> str:
    """Flower's own command; what it says, and nothing is raised."""
    done = subprocess.run(
        [flower_command("flwr"), *arguments],
        env={**os.environ, **flower_environment(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


APP = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "evil"
version = "1.0.0"
dependencies = []
[tool.flwr.app]
publisher = "nobody"
[tool.flwr.app.components]
serverapp = "evil:app"
clientapp = "evil:app"
"""


def test_operators_work_on_loopback_only_and_registered_nodes_from_outside(
    running: Running, node_key: Path, tmp_path: Path
) -> None:
    settings = running.settings
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(
        f'[superlink.outside]\naddress = "127.0.0.1:{settings.port}"\n'
        f'root-certificates = "{settings.ca_certificate}"\n'
    )
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "pyproject.toml").write_text(APP)
    (evil / "evil.py").write_text("app = None\n")
    assert "403" in flwr(home, "run", str(evil), "outside")
    assert count(running) == (0, 0)
    register(running, node_key)
    node = subprocess.Popen(
        [
            flower_command("flower-supernode"),
            "--superlink",
            f"localhost:{settings.port}",
            "--root-certificates",
            str(settings.ca_certificate),
            "--auth-supernode-private-key",
            str(node_key),
            "--port",
            str(free_port()),
        ],
        env={**os.environ, **flower_environment(tmp_path / "n"), FOLDER_MARK: str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: count(running) == (1, 1))
    finally:
        assert end(processes_of(tmp_path)) == []
        node.wait()


def count(running: Running) -> tuple[int, int] | None:
    nodes = status(running.settings.folder).nodes
    return (nodes.online, nodes.registered) if nodes else None


@pytest.mark.parametrize("name", ["superlink", "enrolment", "nginx"])
def test_a_killed_process_comes_back_and_leaves_no_orphan(running: Running, name: str) -> None:
    before = running.pid(name)
    orphans = psutil.Process(before).children(recursive=True)
    assert orphans or name == "enrolment"  # which has no children
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, orphans)))
    wait_for(lambda: status(running.settings.folder).is_well)
    assert running.pid(name) != before
    found = {state.name: state for state in status(running.settings.folder).programs}[name]
    assert found.state in ("STARTING", "RUNNING")


def test_a_killed_supervisor_is_seen_and_up_takes_its_processes_over(running: Running) -> None:
    family = processes_of_all(running)
    supervisor = psutil.Process(running.pid("superlink")).ppid()
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(supervisor))
    found = status(running.settings.folder)
    assert (found.superlink_answers, found.programs, found.is_well) == (True, (), False)
    up(running.settings.folder)
    assert not any(map(is_alive, family))
    assert status(running.settings.folder).is_well


def test_nginx_speaks_to_no_other_superlink(tmp_path: Path) -> None:
    settings = new_server(tmp_path / "server")
    other = new_server(tmp_path / "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        other.certificates / "superlink.crt", other.certificates / "superlink.key"
    )
    heard: list[bytes] = []

    def impersonate(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(15)
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                heard.append(secure.recv(100))
        except OSError:
            heard.append(b"")

    with socket.create_server(("127.0.0.1", settings.superlink_port)) as listener:
        thread = threading.Thread(target=impersonate, args=(listener,), daemon=True)
        thread.start()
        with only_nginx(settings) as door:
            assert door.statuses(request(ALLOWED)) == [502]
        thread.join(20)
    assert heard == [b""]


def test_who_asks_too_often_is_held_back(tmp_path: Path) -> None:
    settings = new_server(tmp_path / "server").model_copy(update={"requests_per_second": 1})
    with only_nginx(settings) as door:
        found = [door.statuses(request(ALLOWED))[0] for _ in range(12)]
    assert found[:5] == [502] * 5  # one, and a burst of four; no SuperLink is there
    assert set(found) == {502, 429}


@contextmanager
def only_nginx(settings: ServerSettings) -> Iterator[Door]:
    write_nginx_configuration(settings)
    nginx = subprocess.Popen(
        nginx_command(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_listening(settings.port, "nginx", 20.0, lambda: None)
        yield Door(settings.port, settings.ca_certificate)
    finally:
        nginx.terminate()
        nginx.wait()


def test_down_leaves_nothing(running: Running) -> None:
    """Comes last: the server that all others share has ended then."""
    settings = running.settings
    wait_for(lambda: status(settings.folder).is_well)
    # Flower's executor leaves the SuperLink's process group.
    wait_for(lambda: any("superexec" in str(one.cmdline()) for one in processes_of_all(running)))
    family = processes_of_all(running)
    assert len(family) >= 5  # supervisord, SuperLink, its executor, nginx and its worker
    assert down(settings.folder)
    assert not any(map(is_alive, family))
    assert processes_of_all(running) == []
    assert not is_listening(settings.port)
    assert not is_listening(settings.superlink_port)
    assert status(settings.folder).programs == ()


def processes_of_all(running: Running) -> list[psutil.Process]:
    return processes_of(running.settings.supervision)
