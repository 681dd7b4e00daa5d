"""Figures that nobody in a deployment could compute, added to a simulated run's report.

released map  +  everybody's exact data (the simulation's own)  ->  report, marked "oracle"

They never pass through a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from client.recommender import Recommender
from client.tuning import tuned
from privacy.budget import spent_by
from privacy.ledger_check import read_account
from privacy.policy import read_policy
from server.report import ReceiptPart, Report
from server.results import CLUSTER_MAP, read_report, write_report
from simulations.cluster_quality import normalized_costs
from simulations.recommendation_quality import judge_new, judge_usuals, truth_of
from simulations.recording import record
from simulations.world import World
from strategies.cluster_map import ClusterMap
from strategies.item_space import located

if TYPE_CHECKING:
    from server.run_store.opening import Store


def complete_report(world: World, peak_rss_mb: float) -> Report:
    """Judge a finished run from outside; write and return the completed report."""
    report = read_report(world.folder)
    cluster_map = ClusterMap.load(world.folder / CLUSTER_MAP)
    vectors = located(cluster_map.space, world.profiles.vectors, world.profiles.last_days)
    cost, trivial = normalized_costs(vectors, cluster_map.centroids, world.config.run.seed)
    moment = pd.Timestamp(world.scenario.simulation.withheld_from)
    fusion = tuned(world.profiles, cluster_map, world.catalogue.vectors)
    recommender = Recommender(
        world.profiles, world.catalogue.vectors, cluster_map, world.events, fusion=fusion
    )
    truth = truth_of(world.profiles, world.events, moment, world.catalogue.vectors)
    completed = report.model_copy(
        update={
            "run": report.run.model_copy(update={"simulated": True}),
            "clustering": report.clustering.model_copy(
                update={
                    "normalized_cost": cost,
                    "trivial_cost": trivial,
                    "evaluation": "oracle",
                }
            ),
            "recommendation": judge_new(truth, recommender),
            "repeat": judge_usuals(truth, recommender),
            "cost": report.cost.model_copy(update={"peak_rss_mb": round(peak_rss_mb, 1)}),
            "receipts": receipts(world),
        }
    )
    write_report(world.folder, completed)
    record(world.config.run.store, lambda store: _add(store, completed))
    return completed


def _add(store: Store, report: Report) -> None:
    from server.run_store.simulated import record_simulation

    record_simulation(store, report)


def receipts(world: World) -> list[ReceiptPart]:
    """Return what each region's own ledger says."""
    return [_receipt(path.parent.name, world) for path in world.settings_paths()]


def _receipt(region: str, world: World) -> ReceiptPart:
    policy = read_policy(world.folder / "regions" / region / "policy.toml")
    account = read_account(world.folder / "ledgers" / f"{region}.sqlite")
    spent = spent_by(policy, account)
    return ReceiptPart(
        region=region,
        releases=len(account.entries),
        spent_epsilon=spent.window.epsilon,
        limit_epsilon=policy.budget.epsilon,
        lifetime_epsilon=spent.lifetime.epsilon,
        lifetime_limit=policy.budget.lifetime_epsilon,
        refused=len(account.refusals),
    )
