"""Start a run as operators do, watch it, and start it again where it has ended too early.

StartRun  ->  running ... ended?  ->  results are there: done
                                  ->  no results: start it again, a few times
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from flwr.common.constant import SubStatus
from flwr.proto.control_pb2 import ListRunsRequest
from flwr.supercore.control import ControlHttpClient

from deployment.errors import HostError
from deployment.hosting.leftovers import processes_of
from deployment.server.running import start_run
from server.checkpoint import CHECKPOINT, CheckpointError, read_checkpoint
from server.results import REPORT
from server.run_config import RunConfig
from tests.chaos.deployment import EPSILON, PEOPLE, Deployment, K
from tests.chaos.plan import REGIONS

MOST_STARTS = 5
LEAST_ANSWERS = 2
START_SECONDS = 90.0
"""A run whose process is not there by then is started again."""
_POLL = 0.1
_LOOK = 1.0
"""Seconds between two looks at whether its process is there: each goes through all processes."""
_SERVER_APP = "flwr-serverapp"


@dataclass
class Run:
    """One run of the server's, over however many of Flower's.

    Attributes
    ----------
    deployment : Deployment
    out : Path
        Folder of its results.
    starts : list of int
        Flower's numbers of it.
    failures : list of str
        What was said each time it ended too early.
    """

    deployment: Deployment
    out: Path
    starts: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _started: float = 0.0
    _seen: bool = False
    _read: tuple[int, int] = (-1, -1)

    @property
    def config(self) -> RunConfig:
        """What the server is told."""
        return RunConfig.model_validate(
            {
                "run": {
                    "name": "chaos",
                    "out": str(self.out),
                    "n-clients": len(REGIONS),
                    "least-answers": LEAST_ANSWERS,
                    "wait-seconds": 60.0,
                    "request-hours": 0.5,
                    "signing-key": str(self.deployment.server.signing_key),
                    "known-regions": str(self.deployment.server.known_regions),
                },
                "clustering": {"k": K},
                "privacy": {"epsilon": EPSILON, "declared-users": PEOPLE},
                "public": {"catalogue": str(self.deployment.catalogue)},
            }
        )

    @property
    def is_done(self) -> bool:
        """Whether its results are there."""
        return (self.out / REPORT).exists() and not (self.out / CHECKPOINT).exists()

    def phase(self) -> int:
        """Return how many phases are done, as its checkpoint says; -1 without one."""
        path = self.out / CHECKPOINT
        try:
            changed = path.stat().st_mtime_ns
            if changed != self._read[0]:
                self._read = changed, read_checkpoint(path).state.done
        except (OSError, CheckpointError):  # none yet, or removed meanwhile: the run is done
            return -1
        return self._read[1]

    def start(self) -> None:
        """Submit it, as ``fedinterest server run`` does."""
        config = self.config.flat()
        self.starts.append(start_run(self.deployment.server, self.deployment.bundle, config))
        self._started, self._seen = time.monotonic(), False

    def processes(self) -> list[psutil.Process]:
        """Return the run's own processes at the server."""
        return [
            process
            for process in processes_of(self.deployment.server.supervision, "superlink")
            if _is_server_app(process)
        ]

    def follow(self, until: Callable[[], bool], seconds: float) -> bool:
        """Wait, and start it again where it has ended too early.

        Returns
        -------
        bool
            Whether ``until`` holds; false where time or starts are used up.
        """
        deadline, looked = time.monotonic() + seconds, 0.0
        while not until():
            if time.monotonic() > deadline:
                self.failures.append(f"not done after {seconds:g} s, and not ended either")
                return False
            if time.monotonic() - looked < _LOOK:
                time.sleep(_POLL)
                continue
            looked = time.monotonic()
            if not self.is_done and self._has_ended():
                self.failures.append(self._last_words())
                if len(self.starts) == MOST_STARTS:
                    return False
                self._start_again(deadline)
        return True

    def _start_again(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            try:
                return self.start()
            except HostError:  # the SuperLink is not back yet
                time.sleep(0.5)
        return None

    def _has_ended(self) -> bool:
        """Tell whether nobody works on it any more."""
        if self.processes():
            self._seen = True
            return False
        waited = time.monotonic() - self._started
        return self._seen or waited > START_SECONDS or self._status() is not None

    def _status(self) -> tuple[str, str] | None:
        """Return how the run ended by Flower's account, and its words; None while it goes on."""
        try:
            with control(self.deployment) as client:
                runs = client.ListRuns(ListRunsRequest(run_id=self.starts[-1])).run_dict
        except (httpx.HTTPError, OSError):
            return None
        status = runs[self.starts[-1]].status
        return (status.sub_status, status.details) if status.sub_status else None

    def _last_words(self) -> str:
        deadline = time.monotonic() + 3  # they come with the process' end
        while (found := self._status()) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if found is None:
            return "its process is gone"
        return found[1] if found[0] != SubStatus.COMPLETED else "completed, without results"


def _is_server_app(process: psutil.Process) -> bool:
    try:
        return any(_SERVER_APP in word for word in process.cmdline())
    except psutil.Error:
        return False


@contextmanager
def control(deployment: Deployment) -> Iterator[ControlHttpClient]:
    """Open a connection to the SuperLink's Control API, on loopback."""
    client = ControlHttpClient.from_server_address(
        deployment.server.control,
        insecure=False,
        root_certificates=deployment.server.ca_certificate.read_bytes(),
        interceptors=[],
    )
    try:
        yield client
    finally:
        client.close()
