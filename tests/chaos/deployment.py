"""A deployment on this machine: a server behind nginx, and three enrolled regions.

bundled sample, made small  ->  regions' files  ->  init, enrol, approve  ->  up  ...  down

Laid out by the commands that operators type. Between each region and nginx lies a link that can
be cut. Everything is in one folder.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import tomli_w
import typer
from flwr.cli.build import build_fab_from_disk
from typer.testing import CliRunner

import commands.agent
import commands.server
from deployment.agent import host as agent_host
from deployment.agent.settings import Agent, read_agent
from deployment.hosting.ports import free_ports
from deployment.server import host as server_host
from deployment.server.init import make_server
from deployment.server.settings import ServerSettings
from privacy.signing import SigningKey
from simulations.datasets import BUNDLED
from simulations.scenario import SAMPLE, Scenario, read_scenario
from simulations.world import prepare
from tests.chaos.network import Relay
from tests.chaos.plan import REGIONS

ROOT = Path(__file__).parents[2]
PEOPLE, ITEMS = 600, 120
SINCE = "2017-07-01"
K = 3
EPSILON = 4.0
"""Of one run."""
REGION_DISK, SERVER_DISK = "64m", "192m"
"""Sizes of the disks that can be filled up."""


@dataclass(frozen=True)
class Region:
    """One region.

    Attributes
    ----------
    agent : Agent
    link : Relay
    """

    agent: Agent
    link: Relay

    @property
    def folder(self) -> Path:
        """Where all of its files are."""
        return self.agent.path.parent

    @property
    def ledger(self) -> Path:
        """The file."""
        return self.folder / "ledger.sqlite"


@dataclass(frozen=True)
class Deployment:
    """One server and its regions.

    Attributes
    ----------
    folder : Path
    server : ServerSettings
    regions : dict of str to Region
    bundle : bytes
    catalogue : Path
        Encoded, as the server has it.
    """

    folder: Path
    server: ServerSettings
    regions: dict[str, Region]
    bundle: bytes
    catalogue: Path

    def up(self) -> None:
        """Start the server, then the regions."""
        if not server_host.status(self.server.folder).programs:
            server_host.up(self.server.folder)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda region: agent_host.up(region.agent), self.regions.values()))

    def down(self) -> None:
        """End everything, as operators do."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda region: agent_host.down(region.agent), self.regions.values()))
        server_host.down(self.server.folder)

    def supervised(self) -> list[Path]:
        """Return the folders under supervision."""
        agents = [region.agent.deployment.supervision for region in self.regions.values()]
        return [self.server.supervision, *agents]


@contextmanager
def deployed(folder: Path, *, own_disks: bool) -> Iterator[Deployment]:
    """Lay a deployment out, enrolled; the server runs, and afterwards nothing does.

    Parameters
    ----------
    folder : Path
    own_disks : bool
        Whether server and regions get small disks of their own; takes root.
    """
    world = prepare(_small_sample(folder), folder / "world")
    server = _new_server(folder, own_disks=own_disks)
    links = {name: Relay(server.port, seed) for seed, name in enumerate(REGIONS)}
    made: Deployment | None = None
    try:
        regions = {}
        for number, (name, link) in enumerate(links.items(), start=1):
            place = _disk(folder / name, REGION_DISK, own_disks)
            files = world.folder / "regions" / f"region-{number}"
            _new_region(place, name, files, link.port, world.scenario, server)
            regions[name] = Region(read_agent(place / "agent.toml"), link)
        catalogue = world.folder / "public" / "catalogue.npz"
        made = Deployment(folder, server, regions, build_fab_from_disk(ROOT), catalogue)
        _enrol(made)
        yield made
    finally:
        if made is not None:
            made.down()
        for link in links.values():
            link.close()


def _small_sample(folder: Path) -> Scenario:
    """Return a scenario of some of the bundled households and the items that most of them buy."""
    events = pd.read_parquet(BUNDLED / "events.parquet")
    items = events.item_id.value_counts().head(ITEMS).index
    people = sorted(events.user_id.unique())[:PEOPLE]
    chosen = events[
        events.user_id.isin(people) & events.item_id.isin(items) & (events.timestamp >= SINCE)
    ]
    chosen.to_parquet(folder / "events.parquet", index=False)
    catalogue = pd.read_parquet(BUNDLED / "catalogue.parquet")
    catalogue[catalogue.item_id.isin(items)].to_parquet(folder / "catalogue.parquet", index=False)
    return read_scenario(
        SAMPLE,
        [
            f"simulation.events={folder / 'events.parquet'}",
            f"simulation.catalogue={folder / 'catalogue.parquet'}",
            f"simulation.cache={folder / 'cache'}",
            f"run.n-clients={len(REGIONS)}",
            f"clustering.k={K}",
            f"privacy.declared-users={PEOPLE}",
        ],
    )


def _new_server(folder: Path, *, own_disks: bool) -> ServerSettings:
    port, superlink_port, enrolment_port = free_ports(3)
    place = _disk(folder / "server", SERVER_DISK, own_disks)
    return make_server(
        place / "host" if own_disks else place,  # what a disk is mounted on cannot be replaced
        ["localhost", "127.0.0.1"],
        listen="127.0.0.1",
        port=port,
        superlink_port=superlink_port,
        enrolment_port=enrolment_port,
    ).settings


def _new_region(
    place: Path, name: str, files: Path, port: int, scenario: Scenario, server: ServerSettings
) -> None:
    _say(
        commands.agent.app,
        *("init", place, "--region", name, "--server", f"127.0.0.1:{port}"),
        *("--events", files / "events.parquet"),
        *("--catalogue", scenario.simulation.catalogue),
    )
    shutil.copy(server.ca_certificate, place / "ca.crt")
    policy = tomllib.loads((place / "policy.toml").read_text())
    # For more runs than anybody would allow; the deltas are fixed.
    policy["budget"] |= {"epsilon": 2000.0, "lifetime-epsilon": 9000.0}
    policy["answers"] |= {"least-noise-multiplier": 0.5}
    policy["trusted"] |= tomllib.loads((files / "policy.toml").read_text())["trusted"]
    policy["trusted"]["server-keys"] = [SigningKey.load(server.signing_key).public]
    _write(place / "policy.toml", policy)
    settings = tomllib.loads((place / "agent.toml").read_text())
    settings |= {
        "as-of": scenario.simulation.withheld_from.isoformat(),
        "cache": str(scenario.simulation.cache),
    }
    _write(place / "agent.toml", settings)


def _enrol(made: Deployment) -> None:
    bundle = made.folder / "fedinterest.fab"
    bundle.write_bytes(made.bundle)
    server_host.up(made.server.folder)
    for name, region in made.regions.items():
        settings = ("--settings", region.agent.path)
        token = region.folder / "token.txt"
        token.touch(0o600)
        token.write_text(_say(commands.server.app, "token", name, *_folder(made)))
        _say(commands.agent.app, "enroll", *settings, "--token-file", token)
        _say(commands.server.app, "approve", name, "--yes", *_folder(made))
        _say(commands.agent.app, "approve", bundle, "--yes", *settings)


def _folder(made: Deployment) -> tuple[str, Path]:
    return "--folder", made.server.folder


def _say(app: typer.Typer, *arguments: object) -> str:
    """Type a command; return what it tells on standard output."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    if done.exit_code:
        raise RuntimeError(f"{arguments[0]} failed: {done.output}") from done.exception
    return done.stdout


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(tomli_w.dumps(content), encoding="utf-8")


def _disk(place: Path, size: str, wanted: bool) -> Path:
    """Make a folder, on a small disk of its own where that is wanted."""
    place.mkdir(mode=0o700)
    if wanted:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "chaos", str(place)]
        subprocess.run(mount, check=True)
    return place
