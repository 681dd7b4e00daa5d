"""A real SuperLink, agents, and a ServerApp that asks what a test tells it to."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w
from flwr.app import RecordDict
from flwr.cli.build import build_fab_from_disk
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.recorddict_pb2 import RecordDict as ProtoRecordDict

from deployment.agent.approvals import Approval, Approvals, content_hash, write_approvals
from privacy.release import Answer
from strategies.messages import records_to_answer, request_to_records
from strategies.questions import Request
from tests.client.examples import PEOPLE, SHOP, write_policy, write_settings

ROOT = Path(__file__).parents[3]
TOOLS = Path(sys.executable).parent
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONPATH": str(ROOT),
    "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}",
}
BUNDLED_CLIENT = """
from pathlib import Path
Path({canary!r}).write_text(Path({events!r}).read_text())
import client.app
app = client.app.app
"""
"""Code of a bundle for the client's side: it takes the region's events as soon as it is run."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(happened: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Return the first true value of ``happened``, or fail."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not happen within {seconds:g} s")


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process, and end it with all that it has started."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            env=os.environ | QUIET | environment,
            stdout=file,
            stderr=file,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        process.wait(10)
    except subprocess.TimeoutExpired:
        pass
    finally:  # its own session, which began with it
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@dataclass
class TestedAgent:
    """One agent's files and processes."""

    __test__ = False

    folder: Path
    server: str
    fake_encoder: bool = False
    node: subprocess.Popen[bytes] | None = None
    executor: subprocess.Popen[bytes] | None = None
    ready: int = 0
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        write_region(
            self.folder,
            deployment={
                "server": self.server,
                "insecure": True,
                "runtime-port": free_port(),
            },
        )
        (self.folder / "runtime.secret").write_bytes(os.urandom(32).hex().encode())
        (self.folder / "runtime.secret").chmod(0o600)
        if self.fake_encoder:
            (self.folder / "fake-encoder").touch()
        self.approve()

    @property
    def settings(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def log(self) -> Path:
        return self.folder / "processes.log"

    def approve(self, *bundles: bytes) -> None:
        entries = tuple(
            Approval(
                hash=content_hash(one),
                name="relay",
                version="1",
                size=len(one),
                approved=datetime.now(UTC),
            )
            for one in bundles
        )
        write_approvals(self.folder / "approvals.toml", Approvals(approved=entries))

    def start_node(self) -> None:
        self.node = self._start("deployment.agent.supernode")

    def launch_executor(self) -> None:
        self.ready = self._readiness()
        self.executor = self._start("tests.deployment.agent.pausable_executor")

    def wait_until_ready(self) -> None:
        wait_for(lambda: self._readiness() > self.ready)

    def _readiness(self) -> int:
        return self.log.read_text().count("Ready:") if self.log.exists() else 0

    def hold_up(self, relay: Relay, question: Request, ttl: float = 120.0) -> Path:
        """Ask, and hold the answer up in its middle; return the file its reply will be in."""
        (self.folder / "paused").unlink(missing_ok=True)
        (self.folder / "pause").touch()
        reply = relay.send(self.node_id(), request_to_records(question), ttl)
        wait_for((self.folder / "paused").exists)
        return reply

    def go_on(self) -> None:
        """Let answers through again."""
        (self.folder / "pause").unlink()

    def node_id(self) -> str:
        """Return the number that the server has given the node, from its log."""
        return str(wait_for(lambda: node_id_in(self.log)))

    def refusals(self) -> list[dict[str, Any]]:
        path = self.folder / "refusals.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _start(self, module: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", module, str(self.settings)]
        home = str(self.folder / "flower-home")
        return self.stack.enter_context(running(command, self.log, FLWR_HOME=home))


def node_id_in(log: Path) -> str:
    """Return the number that the server has given a node; empty, while it has none."""
    words, text = "SuperNode ID: ", log.read_text() if log.exists() else ""
    return text.rpartition(words)[2].split()[0] if words in text else ""


def write_region(folder: Path, **settings: object) -> None:
    """Lay out a region with the noise of deployments and a large budget."""
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(PEOPLE, columns=["user_id", "item_id", "timestamp"]).assign(
        action="purchase"
    ).to_csv(folder / "events.csv", index=False)
    items = {"item_id": list(SHOP), "text": list(SHOP.values()), "category": "SHOP"}
    pd.DataFrame(items).to_csv(folder / "catalogue.csv", index=False)
    write_policy(
        folder,
        budget={"epsilon": 1e4, "lifetime-epsilon": 1e5},
        answers={"noise-kinds": ["discrete"]},
    )
    write_settings(folder, noise="discrete", simulation=None, **settings)


def write_bundle(folder: Path, *, canary: Path, events: Path, version: str = "1.0.0") -> bytes:
    """Lay out an app whose client takes the region's events, and return its bundle."""
    folder.mkdir(parents=True)
    (folder / "relay.py").write_text((Path(__file__).with_name("relay.py")).read_text())
    (folder / "bundled.py").write_text(
        BUNDLED_CLIENT.format(canary=str(canary), events=str(events))
    )
    content = {
        "project": {"name": "relay", "version": version, "license": "Apache-2.0"},
        "tool": {
            "flwr": {
                "app": {
                    "publisher": "tests",
                    "components": {"serverapp": "relay:app", "clientapp": "bundled:app"},
                    "config": {"folder": ""},
                }
            }
        },
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps(content))
    return build_fab_from_disk(folder)


@dataclass
class Link:
    """A SuperLink, and runs on it."""

    folder: Path
    address: str
    stack: ExitStack

    @property
    def lie(self) -> Path:
        return self.folder / "lie.fab"

    def run(self, app: Path) -> Relay:
        """Submit an app, and wait until its ServerApp asks."""
        folder = Path(f"{app}-questions")
        folder.mkdir()
        told = subprocess.run(
            [
                str(TOOLS / "flwr"),
                "run",
                str(app),
                "test",
                "--run-config",
                f'folder="{folder}"',
            ],
            env=os.environ | QUIET | {"FLWR_HOME": str(self.folder)},
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert told.returncode == 0, told.stdout + told.stderr
        wait_for((folder / "ready").exists)
        return Relay(folder)


@dataclass
class Relay:
    """Asks nodes through a ServerApp of ours."""

    folder: Path
    number: int = 0

    def nodes(self) -> list[str]:
        path = self.folder / "nodes"
        return list(json.loads(path.read_text())) if path.exists() else []

    def send(self, node: str, content: RecordDict, ttl: float = 120.0) -> Path:
        """Ask a node, within ``ttl`` seconds; return the file that its reply will be in."""
        self.number += 1
        path = self.folder / f"{self.number:03}.ask"
        path.with_suffix(".to").write_text(node)
        path.with_suffix(".ttl").write_text(str(ttl))
        path.with_suffix(".part").write_bytes(recorddict_to_proto(content).SerializeToString())
        path.with_suffix(".part").rename(path)
        return path.with_suffix(".reply")

    def ask(self, node: str, content: RecordDict | Request, seconds: float = 120.0) -> Reply:
        if isinstance(content, Request):
            content = request_to_records(content)
        reply = self.send(node, content)
        wait_for(reply.exists, seconds)
        return read_reply(reply)

    def finish(self) -> None:
        (self.folder / "stop").touch()


@dataclass
class Reply:
    """What a server sees of one question."""

    content: RecordDict | None
    error: Mapping[str, Any] | None
    seconds: float
    raw: str

    def answer(self) -> Answer:
        assert self.content is not None, self.error
        return records_to_answer(self.content)


def read_reply(path: Path) -> Reply:
    raw = path.read_text()
    found = json.loads(raw)
    content = None
    if "content" in found:
        packed = base64.b64decode(found["content"])
        content = recorddict_from_proto(ProtoRecordDict.FromString(packed))
    return Reply(content, found.get("error"), found["seconds"], raw)


@contextmanager
def superlink(folder: Path) -> Iterator[Link]:
    """Start a SuperLink on a free port; end it and all that it has started."""
    folder.mkdir(parents=True)
    port = free_port()
    address = f"127.0.0.1:{port}"
    connection = {"address": address, "insecure": True}
    (folder / "config.toml").write_text(
        tomli_w.dumps({"superlink": {"default": "test", "test": connection}})
    )
    command = [
        sys.executable,
        "-m",
        "tests.deployment.agent.lying_superlink",
        str(folder / "lie.fab"),
        "--insecure",
        "--database",
        str(folder / "link.sqlite"),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--disable-runtime-dependency-installation",
    ]
    with (
        ExitStack() as stack,
        running(command, folder / "superlink.log", FLWR_HOME=str(folder)),
    ):
        wait_for(lambda: _listens(port))
        yield Link(folder, address, stack)


def _listens(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0
