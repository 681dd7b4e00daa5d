"""From nothing to three regions that cluster and recommend: what their operators type.

``python -m tests.end_to_end.three_regions [FOLDER]`` prints each command with its seconds.

Everything is real: TLS by the server's own authority, nginx, a SuperLink, three agents with the
embedded language model and households of the bundled extract. Only the machines are one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from deployment.hosting.ports import free_port
from server.report import Report
from server.results import read_report
from simulations.datasets import BUNDLED

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
EVENTS, CATALOGUE = BUNDLED / "events.parquet", BUNDLED / "catalogue.parquet"
REGIONS = ("north", "south", "east")
RUN = """\
[run]
name = "first"

[clustering]
k = 6

[privacy]
epsilon = 1.0
delta = 1e-6
declared-users = 2469
"""


@dataclass
class Deployment:
    """One server and three regions in one folder.

    Attributes
    ----------
    folder : Path
        Each command runs there.
    typed : list of (str, float)
        What was typed to get there, each with its seconds.
    lists : str
        What a household was recommended in the end.
    """

    folder: Path
    typed: list[tuple[str, float]] = field(default_factory=list)
    lists: str = ""
    _begun: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def server(self) -> Path:
        return self.folder / "server"

    def type(self, *command: str) -> str:
        """Run a command that has to succeed; return what it prints."""
        started = time.monotonic()
        told = self.look(*command)
        if told.returncode:
            raise AssertionError(f"{' '.join(command)}:\n{told.stdout}\n{told.stderr}")
        self.typed.append((" ".join(command), time.monotonic() - started))
        return told.stdout

    def begin(self, *command: str) -> subprocess.Popen[str]:
        """Begin a command, as on another machine."""
        self.typed.append((" ".join(command), 0.0))
        begun = subprocess.Popen(
            [str(TOOLS / command[0]), *command[1:]],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._begun.append(begun)
        return begun

    def look(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that is not counted."""
        return subprocess.run(
            [str(TOOLS / command[0]), *command[1:]],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def report(self) -> Report:
        return read_report(self.server / "runs" / "first")

    def secrets(self) -> list[bytes]:
        """Return secrets of the server and of the regions, as somebody might print them."""
        tokens = [
            tomllib.loads((self.folder / "invitations" / f"{region}.invitation").read_text())
            for region in REGIONS
        ]
        files = [self.server / "signing.key", self.server / "certificates" / "server.key"]
        for region in REGIONS:
            files += [self.folder / region / name for name in ("ledger.key", "runtime.secret")]
            files += [self.folder / region / "node.key"]
        bodies = [line for path in files for line in path.read_bytes().splitlines()]
        return [
            *(str(one["token"]).encode() for one in tokens),
            *(line for line in bodies if len(line) >= 32 and not line.startswith(b"-----")),
        ]

    def down(self) -> None:
        """End everything."""
        for one in self._begun:
            one.kill()
            one.wait()
        for region in REGIONS:
            self.look("fedinterest", "agent", "down", "--settings", f"{region}/agent.toml")
        self.look("fedinterest", "server", "down", "server")

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "PYTHONPATH": str(ROOT),
            "FLWR_HOME": str(self.folder / "flower-home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


@contextmanager
def three_regions(folder: Path) -> Iterator[Deployment]:
    """Go from nothing to lists for a household; end everything afterwards."""
    lay_out(folder)
    made = Deployment(folder)
    try:
        deploy(made)
        yield made
    finally:
        made.down()


def lay_out(folder: Path) -> None:
    """Write what operators have before they begin: their events, and a planned run."""
    events = pd.read_parquet(EVENTS)
    lives_in = events.user_id.str[-1].astype(int) % len(REGIONS)
    for number, region in enumerate(REGIONS):
        events[lives_in == number].to_parquet(folder / f"{region}.parquet", index=False)
    (folder / "run.toml").write_text(RUN, encoding="utf-8")


def deploy(made: Deployment) -> None:
    """Type the ten commands."""
    ports = [str(free_port()) for _ in range(3)]
    made.type("flwr", "build", "--app", str(ROOT))
    (bundle,) = made.folder.glob("*.fab")
    made.type(
        *("fedinterest", "server", "init", "server", "--host", "127.0.0.1"),
        *("--listen", "127.0.0.1", "--port", ports[0]),
        *("--superlink-port", ports[1], "--enrolment-port", ports[2]),
    )
    made.type("fedinterest", "server", "up", "server")
    made.type(
        "fedinterest", "server", "invite", *REGIONS, "--folder", "server", "--out", "invitations"
    )
    joining = [
        made.begin(
            *("fedinterest", "agent", "join", region),
            *("--invitation", f"invitations/{region}.invitation"),
            *("--events", f"{region}.parquet", "--catalogue", str(CATALOGUE)),
            *("--bundle", bundle.name, "--yes"),
        )
        for region in REGIONS
    ]
    wait_for_requests(made, joining)
    made.type("fedinterest", "server", "approve", *REGIONS, "--folder", "server", "--yes")
    for one in joining:
        told = one.communicate(timeout=300)[0]
        assert one.returncode == 0, told
    made.type(
        *("fedinterest", "server", "run", "run.toml", "--folder", "server"),
        *("--bundle", bundle.name, "--catalogue", str(CATALOGUE)),
    )
    household = pd.read_parquet(made.folder / "north.parquet").user_id.iloc[0]
    settings = ("--settings", "north/agent.toml")
    made.lists = made.type("fedinterest", "recommend", str(household), *settings, "--explain")


def wait_for_requests(made: Deployment, joining: list[subprocess.Popen[str]]) -> None:
    """Wait, as the operator of the server does, until all regions have asked."""
    deadline = time.monotonic() + 300
    while True:
        told = made.look("fedinterest", "server", "requests", "--folder", "server").stdout
        if all(re.search(rf"^Region {region} ", told, re.MULTILINE) for region in REGIONS):
            return
        for one in joining:
            assert one.poll() is None, one.communicate()[0]
        assert time.monotonic() < deadline, told
        time.sleep(1)


def main() -> None:
    """Print each command with its seconds, and the seconds per round."""
    with TemporaryDirectory() as folder:
        started = time.monotonic()
        with three_regions(Path(sys.argv[1] if len(sys.argv) > 1 else folder)) as made:
            seconds = time.monotonic() - started
            for command, took in made.typed:
                print(f"{took:7.1f} s  {command.replace(str(ROOT), '.')}")
            report = made.report()
            print(f"{seconds:.1f} s in all; {len(made.typed)} commands")
            cost = report.cost
            print(
                f"{cost.seconds_per_round:.1f} s per round over {report.run.n_rounds} rounds, "
                f"median {cost.median_seconds_per_round:.1f} s"
            )


if __name__ == "__main__":
    main()
