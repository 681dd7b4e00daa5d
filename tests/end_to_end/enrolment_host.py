"""A server with real processes: SuperLink, enrolment service, and nginx with TLS in front."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deployment.enrolment.errors import SuperlinkError
from deployment.enrolment.superlink import reach
from privacy.signing import SigningKey
from tests.deployment.enrolment.certificates import Authority

BIN = Path(sys.executable).parent
NGINX = "/usr/sbin/nginx"
_NGINX_CONF = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log info;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; listen 127.0.0.2:{port} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    location = /v1/enrol {{
      client_max_body_size 16k; client_body_buffer_size 16k;  # never on the disk
      proxy_pass http://127.0.0.1:{service};
    }}
    location / {{ return 403; }}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.2)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Host:
    """The processes and their files; all of them are gone after ``close``."""

    folder: Path
    superlink: int = field(default_factory=free_port)
    service: int = field(default_factory=free_port)
    nginx: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        self.authority = Authority(self.folder / "certificates")
        certificate = self.authority.issue()
        self.server = self.folder / "server"
        SigningKey.create(self.server / "server.key")
        (self.server / "server.toml").write_text(
            f'hosts = ["localhost"]\nsigning-key = "server.key"\n'
            f'certificates = "{self.folder / "certificates"}"\n'
            f"port = {self.nginx}\nsuperlink-port = {self.superlink}\n"
            f"enrolment-port = {self.service}\n",
            encoding="utf-8",
        )
        self.run("superlink", *self._superlink(certificate.certificate, certificate.key))
        self.start_service()
        conf = self.folder / "nginx.conf"
        conf.write_text(
            _NGINX_CONF.format(
                folder=self.folder,
                port=self.nginx,
                service=self.service,
                certificate=certificate.certificate,
                key=certificate.key,
            )
        )
        self.run("nginx", NGINX, "-p", str(self.folder), "-c", str(conf))
        wait_for(lambda: answers(self.service) and answers(self.nginx), 60)
        wait_for(self._superlink_answers, 120)

    def start_service(self) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-m", "deployment.enrolment.service", str(self.server))
        return self.run("service", *command, "--port", str(self.service))

    def run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a process whose output goes to a file; Flower's files are the test's own."""
        environment = {
            **os.environ,
            "FLWR_HOME": str(self.folder / f"flower-{name}"),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # Flower starts its own by name
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            # A group of its own: Flower and nginx have children, which end with it.
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self.processes.append(process)
        return process

    def supernode(self, name: str, key: Path) -> subprocess.Popen[bytes]:
        """Start a stock SuperNode with this private key."""
        return self.run(
            name,
            str(BIN / "flower-supernode"),
            *("--superlink", f"127.0.0.1:{self.superlink}"),
            *("--root-certificates", str(self.authority.file)),
            *("--auth-supernode-private-key", str(key)),
            *("--port", str(free_port())),
        )

    def status(self) -> list[str]:
        """How the SuperLink sees its nodes."""
        with reach(f"127.0.0.1:{self.superlink}", self.authority.file) as superlink:
            return sorted(node.status for node in superlink.nodes().values())

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def command_lines(self) -> str:
        """What `ps` shows of the processes, their environment too."""
        shown = [
            Path(f"/proc/{process.pid}/{file}").read_bytes()
            for process in self.processes
            if process.poll() is None
            for file in ("cmdline", "environ")
        ]
        return b"\n".join(shown).decode(errors="replace")

    def close(self) -> None:
        descendants = [
            one
            for process in self.processes
            if process.poll() is None
            for one in psutil.Process(process.pid).children(recursive=True)
        ]
        for process in reversed(self.processes):
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(15)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
            process.wait(15)
        _, left = psutil.wait_procs(descendants, timeout=10)
        for one in left:  # Flower takes its executors out of the group
            one.kill()

    def _superlink_answers(self) -> bool:
        try:
            return self.status() == []
        except SuperlinkError:
            return False

    def _superlink(self, certificate: Path, key: Path) -> list[str]:
        return [
            str(BIN / "flower-superlink"),
            *("--ssl-ca-certfile", str(self.authority.file)),
            *("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)),
            *("--enable-supernode-auth", "--database", str(self.folder / "superlink.sqlite")),
            *("--host", "127.0.0.1", "--port", str(self.superlink)),
            "--disable-runtime-dependency-installation",
        ]
