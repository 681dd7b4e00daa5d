"""Run prepared regions with ``flwr run`` on Flower's own simulation engine.

A SuperLink is started on a free port of this machine with a home of its own,
the bundle is built and submitted by ``flwr run``, and the SuperLink is stopped
again, whatever happens. It never meets a SuperLink that the user is running.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import tomli_w

from client.app import SIMULATION
from server.results import REPORT
from simulations.world import MARKER, SimulationError, World

APP = Path(__file__).resolve().parents[1]
TOOLS = Path(sys.executable).parent
CONNECTION = "fedinterest-simulation"
START_SECONDS = 60.0
STOP_SECONDS = 15.0
SAMPLE_SECONDS = 0.5

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Nothing phones home, and Flower does not install packages of its own per run."""

Show = Callable[[str], None]


def run_with_flower(world: World, show: Show) -> float:
    """Run the apps over ``world`` with ``flwr run``; return the peak resident memory in MB.

    Parameters
    ----------
    world : World
        Prepared regions.
    show : callable
        Receives each line that ``flwr run --stream`` prints.

    Raises
    ------
    SimulationError
        If the SuperLink does not start, or the run leaves no report.
    """
    home = world.folder / "flower-home"
    environment = (
        os.environ
        | QUIET
        | {
            "FLWR_HOME": str(home),
            # Flower calls its own tools by name.
            "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}",
            SIMULATION: str(world.folder),
        }
    )
    report = world.folder / REPORT
    report.unlink(missing_ok=True)
    with superlink(home, environment) as address, PeakMemory(home) as memory:
        _submit(world, home, address, environment, show)
    if not report.exists():
        raise SimulationError(
            f"The run left no report in {world.folder}. What went wrong stands above, and in "
            f"{home / 'superlink.log'}."
        )
    return memory.peak_mb


@contextmanager
def superlink(home: Path, environment: dict[str, str]) -> Iterator[str]:
    """Start a SuperLink in simulation mode; stop it and all that it started at the end."""
    home.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{_free_port()}"
    host, port = address.split(":")
    command = [
        str(TOOLS / "flower-superlink"),
        "--insecure",
        "--simulation",
        "--isolation",
        "subprocess",
        "--host",
        host,
        "--port",
        port,
    ]
    with (home / "superlink.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=home
        )
        try:
            with _ended_by_signals():
                _wait_until_healthy(address, process, home)
                yield address
        finally:
            _stop(process, home)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a closed terminal or a cancelled job end the block as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _exit) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _submit(
    world: World, home: Path, address: str, environment: dict[str, str], show: Show
) -> None:
    """Submit the bundle and pass on what the run prints, until it ends."""
    connection = {"address": address, "insecure": True}
    content = {"superlink": {"default": CONNECTION, CONNECTION: connection}}
    (home / "config.toml").write_text(tomli_w.dumps(content), encoding="utf-8")
    federation = f"num-supernodes={world.config.run.n_clients} client-resources-num-cpus=1"
    command = [
        str(TOOLS / "flwr"),
        "run",
        str(APP),
        CONNECTION,
        "--stream",
        "--run-config",
        str(world.folder / MARKER),
        "--federation-config",
        federation,
    ]
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        for line in process.stdout or ():
            show(line.rstrip("\n"))
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(STOP_SECONDS)


class PeakMemory:
    """Samples the resident memory of all processes with one Flower home.

    Parameters
    ----------
    home : Path
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            total = sum(_resident(process) for process in _family(self.home))
            self.peak_mb = max(self.peak_mb, total / 1e6)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _family(home: Path) -> list[psutil.Process]:
    """Return every process that has ``home`` as its Flower home.

    By environment, not by descent: Ray's helpers outlive the process that
    started them.
    """
    return [
        process
        for process in psutil.process_iter(["environ", "cwd"])
        if process.pid != os.getpid()
        and (
            (process.info["environ"] or {}).get("FLWR_HOME") == str(home)
            or process.info["cwd"] == str(home)  # Ray writes its titles over the environment
        )
    ]


def _stop(process: subprocess.Popen[bytes], home: Path) -> None:
    """End a SuperLink and everything that was started for it (Ray included), by pid."""
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
        family = _family(home)
        for member in family:
            _signal(member.pid, number)
        psutil.wait_procs(family, timeout=STOP_SECONDS)
    process.wait(STOP_SECONDS)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes], home: Path) -> None:
    import httpx  # comes with Flower

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"http://{address}/health", timeout=1.0).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SimulationError(
        f"Flower's SuperLink did not start. Nothing was run. See {home / 'superlink.log'}."
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
