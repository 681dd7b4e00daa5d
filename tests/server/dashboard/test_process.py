"""The dashboard as its operator starts it: a process, by the command."""

from __future__ import annotations

import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.dashboard.application import create_app
from server.dashboard.errors import DashboardError
from server.dashboard.roles import Role
from server.dashboard.serving import serve
from server.dashboard.settings import Settings
from server.dashboard.tokens import Tokens
from server.run_store.opening import open_store
from tests.server.dashboard.site import PASSWORD

COMMAND = [sys.executable, "-m", "fedinterest", "dashboard"]
PROJECT = Path(__file__).parents[3]


def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], input=given, capture_output=True, text=True, timeout=60, cwd=PROJECT
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    log = (folder / "log").open("w+")
    process = subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=log, text=True, cwd=PROJECT
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("Dashboard: http"), line
    return line.split()[1]


def make_certificate(folder: Path) -> None:
    """Write a certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "server.key"
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with settings and a certificate, without users."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    open_store(str(folder / "store.sqlite")).close()
    (folder / "dashboard.toml").write_text(
        f'port = {free_port()}\nlogin = "always"\ndata = "people"\nstore = "store.sqlite"\n'
        'certificate = "server.crt"\nkey = "server.key"\nidle-minutes = 5.0\n'
    )
    return folder


def test_over_tls_from_user_to_end(tls: Path) -> None:
    settings = ["--settings", str(tls / "dashboard.toml")]
    refused = run(*settings)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "dashboard user add NAME" in refused.stderr
    added = run("user", "add", "maria", "--role", "auditor", *settings, given=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    assert PASSWORD not in added.stdout + added.stderr

    with started(tls, *settings) as process:
        base = address(process).replace("127.0.0.1", "localhost")
        trusted = ssl.create_default_context(cafile=tls / "server.crt")
        with httpx.Client(base_url=base, verify=trusted, trust_env=False) as client:
            answer = client.get("/metrics")
            assert answer.status_code == 401
            assert "max-age" in answer.headers["strict-transport-security"]
            assert "server" not in answer.headers
            assert client.get("/healthz").json() == {"status": "ok"}
            made = Tokens(tls / "people").make("prometheus", Role.VIEWER, 1)
            given = {"authorization": f"Bearer {made}"}
            assert "fedinterest_dashboard" in client.get("/metrics?x=hidden", headers=given).text
            # A page that is open does not keep the process from ending.
            with client.stream("GET", "/live", headers=given) as stream:
                assert stream.status_code == 200
                asked = time.monotonic()
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=5)
                assert time.monotonic() - asked < 5
        assert process.returncode in {0, -signal.SIGTERM}
        assert not psutil.pid_exists(process.pid)
    log = (tls / "log").read_text()
    assert "GET /metrics 200" in log
    assert "hidden" not in log
    assert made not in log
    assert "Traceback" not in log


def test_taken_port_is_told_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refused = run("--port", port)
    assert refused.returncode == 2
    assert f"Port {port} of 127.0.0.1 cannot be used" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_certificate_and_key_of_others_are_told_in_words(tls: Path, tmp_path: Path) -> None:
    key = tmp_path / "other.key"
    key.touch(mode=0o600)
    key.write_text("no key")
    settings = Settings(certificate=tls / "server.crt", key=key)
    with pytest.raises(DashboardError, match=r"cannot be used .* Nothing was started"):
        serve(create_app(settings), settings)
