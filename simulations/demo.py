"""The demo: the bundled sample, from behaviour to recommendations, step by step.

Eight regions of households, one run by ``flwr run``, one request too many.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from client.recommender import Recommender
from client.region import open_region
from privacy.audit.auditing import audit
from privacy.audit.document import present_setting
from privacy.signing import SigningKey
from server.audit_files import DOCUMENT, PAGE, write_audit
from server.audit_view import show_audit
from server.report import Report
from simulations import tell
from simulations.flower_engine import run_with_flower
from simulations.oracle import complete_report
from simulations.recording import record
from simulations.scenario import SAMPLE, read_scenario
from simulations.world import WITNESS, World, prepare

HOUSEHOLD = "household-0900"
LIST_LENGTH = 5

console = Console(highlight=False)


def run_demo(folder: Path, store: str = "") -> None:
    """Run the sample and show what happens; leave the results in ``folder``.

    Parameters
    ----------
    folder : Path
    store : str
        Database that the run and its audit are recorded in; left empty, none.
    """
    _step("Eight regions, each with its own households' purchases")
    scenario = read_scenario(SAMPLE, ["run.ask-once-too-often=true", "run.name=demo"])
    world = prepare(scenario.with_store(store), folder)
    _tell_world(world)
    _step("flwr run: the server asks, the regions answer with noisy sums")
    peak = run_with_flower(world, tell.show_progress)
    report = complete_report(world, peak)
    _step("What the server learned: shared interests, nobody's behaviour")
    tell.clusters(report)
    _step(f"Recommended to {HOUSEHOLD} at home, without asking anybody")
    tell.recommendations(_recommender(world), HOUSEHOLD, count=LIST_LENGTH, explain=True)
    _step("What it cost, by each region's own account")
    tell.receipts(report.receipts)
    _step("An audit that a privacy officer can sign")
    _audit(world)
    _step("The server asked once too often")
    _tell_refusals(report)
    _step("How good it is, by data that no server saw")
    tell.figures(report)
    region = world.folder / "regions" / str(world.region_of[HOUSEHOLD])
    console.print(f"\nReport: {world.folder / 'report.html'}")
    console.print(f"Audit:  {world.folder / PAGE}, signed: {world.folder / DOCUMENT}")
    if world.config.run.store:
        console.print(f"Store:  {world.config.run.store}")
    console.print(
        f"Again:  fedinterest recommend {HOUSEHOLD} --explain --settings {region / 'agent.toml'}",
        soft_wrap=True,
    )


def _step(title: str) -> None:
    console.rule(f"[bold]{title}", align="left")


def _audit(world: World) -> None:
    """Audit every region's ledger with its witness and the server's heads, and sign the report."""
    key = world.folder / "officer.key"
    key.unlink(missing_ok=True)  # of an earlier demo
    witnesses = [path.parent / WITNESS for path in world.settings_paths()]
    found = audit([world.folder], witnesses=witnesses)
    setting, officer = present_setting(), SigningKey.create(key)
    write_audit(world.folder, found, setting, officer)
    show_audit(found)
    if world.config.run.store:
        from server.run_store.audits import record_audit

        record(
            world.config.run.store,
            lambda store: record_audit(store, found, setting, paths=[world.folder], key=officer),
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


def _recommender(world: World) -> Recommender:
    region = str(world.region_of[HOUSEHOLD])
    return open_region(world.folder / "regions" / region / "agent.toml").recommender


def _tell_refusals(report: Report) -> None:
    for refusal in report.privacy.refusals:
        console.print(f"  {refusal.client} refused ({refusal.reason})")
    if report.privacy.refusals:
        console.print(f"  {report.privacy.refusals[0].sentence}")
