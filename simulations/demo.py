"""The demo: the bundled sample, from behaviour to recommendations, step by step.

Eight regions of households, one run by ``flwr run``, one request too many.
"""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

from client.recommender import Recommender
from client.region import open_region
from privacy.ledger_check import verify_ledger
from privacy.server_record import read_server_record
from server.report import Report
from server.results import HEADS
from simulations import tell
from simulations.flower_engine import run_with_flower
from simulations.oracle import complete_report
from simulations.scenario import SAMPLE, read_scenario
from simulations.world import WITNESS, World, prepare

HOUSEHOLD = "household-0900"
LIST_LENGTH = 5

_ANSI = re.compile(r"\x1b\[[0-9;]*m")

console = Console(highlight=False)


def run_demo(folder: Path) -> None:
    """Run the sample and show what happens; leave the results in ``folder``."""
    _step("Eight regions, each with its own households' purchases")
    world = prepare(read_scenario(SAMPLE, ["run.ask-once-too-often=true", "run.name=demo"]), folder)
    _tell_world(world)
    _step("flwr run: the server asks, the regions answer with noisy sums")
    peak = run_with_flower(world, _show_line)
    report = complete_report(world, peak)
    _step("What the server learned: shared interests, nobody's behaviour")
    tell.clusters(report)
    _step(f"Recommended to {HOUSEHOLD} at home, without asking anybody")
    tell.recommendations(_recommender(world), HOUSEHOLD, count=LIST_LENGTH, explain=True)
    _step("What it cost, by each region's own account")
    tell.receipts(report.receipts)
    _tell_verification(world)
    _step("The server asked once too often")
    _tell_refusals(report)
    _step("How good it is, by data that no server saw")
    tell.figures(report)
    region = world.folder / "regions" / str(world.region_of[HOUSEHOLD])
    console.print(f"\nReport: {world.folder / 'report.html'}")
    console.print(
        f"Again:  fedinterest recommend {HOUSEHOLD} --explain --settings {region / 'agent.toml'}",
        soft_wrap=True,
    )


def _step(title: str) -> None:
    console.rule(f"[bold]{title}", align="left")


def _tell_verification(world: World) -> None:
    """Check every region's ledger as an auditor would, with witness and the server's heads."""
    heads = read_server_record(world.folder / HEADS).heads
    for path in world.settings_paths():
        region = path.parent
        ledger = world.folder / "ledgers" / f"{region.name}.sqlite"
        found = verify_ledger(ledger, witness=region / WITNESS, heads=heads)
        for fault in [*found.faults, *found.unchecked]:
            console.print(f"  {region.name}: {fault}")
    console.print(
        f"{len(heads)} ledgers checked: chains, signatures, witnesses, the server's heads.\n"
        f"One of them:  fedinterest ledger show {ledger}",
        soft_wrap=True,
    )


def _tell_world(world: World) -> None:
    sizes = world.region_of.value_counts().sort_index()
    for region, size in sizes.items():
        console.print(f"  {region}: {size} households")
    catalogue = world.catalogue
    console.print(
        f"  {len(catalogue.item_ids)} public product types, encoded with "
        f"{catalogue.encoder_name} on {catalogue.device}"
    )


def _show_line(line: str) -> None:
    """Pass on what concerns the run; Flower's own start-up lines are in its log."""
    plain = _ANSI.sub("", line).removeprefix("INFO :").strip()
    if tell.is_progress(plain):
        console.print(f"  {plain}", markup=False)


def _recommender(world: World) -> Recommender:
    region = str(world.region_of[HOUSEHOLD])
    return open_region(world.folder / "regions" / region / "agent.toml").recommender


def _tell_refusals(report: Report) -> None:
    for refusal in report.privacy.refusals:
        console.print(f"  {refusal.client} refused ({refusal.reason})")
    if report.privacy.refusals:
        console.print(f"  {report.privacy.refusals[0].sentence}")
