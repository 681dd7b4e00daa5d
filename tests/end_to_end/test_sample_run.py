"""The sample, whole: real purchases in, clusters and recommendations out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from privacy.code_identity import code_hash
from privacy.ledger_check import read_account
from privacy.ledger_file import LedgerFile
from privacy.query import TrustModel
from privacy.release import ClippedSum, Refusal, Release
from privacy.server_record import read_server_record
from privacy.signing import SigningKey
from server.results import read_report
from simulations.cluster_quality import kmeans_cost
from simulations.oracle import complete_report, receipts
from simulations.recommendation.labels import faults
from simulations.run import run_world
from simulations.world import SimulationError, World, prepare
from strategies.cluster_map import ClusterMap
from strategies.federated_kmeans import StrategyError
from strategies.messages import records_to_answer
from strategies.plan import plan
from tests.end_to_end.conftest import ONCE_TOO_OFTEN, Finished, sample

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"


def known(epsilons: dict[str, float | None]) -> dict[str, float]:
    return {name: epsilon for name, epsilon in epsilons.items() if epsilon is not None}


def ledger_of(world: World, region: str) -> Path:
    return world.folder / "ledgers" / f"{region}.sqlite"


def test_every_reply_is_a_release_or_a_refusal(finished: Finished) -> None:
    kinds = []
    for reply in finished.grid.replies:
        assert not reply.has_error()
        assert set(reply.content) <= {"answer", "sums"}
        assert not reply.content.metric_records
        kinds.append(type(records_to_answer(reply.content)))
    assert kinds.count(Release) == len(plan()) * 8
    assert kinds.count(Refusal) == 8
    assert len(kinds) == (len(plan()) + 1) * 8


def test_every_release_is_in_the_ledger_of_its_region_byte_for_byte(finished: Finished) -> None:
    answers = [records_to_answer(reply.content) for reply in finished.grid.replies]
    for answer in answers:
        if not isinstance(answer, Release):
            continue
        with LedgerFile(ledger_of(finished.world, answer.region)).reading() as rows:
            assert rows.reply(answer.entry) == answer.to_bytes()


def test_every_reply_is_signed_together_with_a_head_of_its_ledger(finished: Finished) -> None:
    for reply in finished.grid.replies:
        answer = records_to_answer(reply.content)
        assert answer.is_genuine
        assert answer.head is not None
        with LedgerFile(ledger_of(finished.world, answer.region)).reading() as rows:
            assert rows.records()[answer.head.sequence - 1].hash == answer.head.head


def test_servers_heads_are_the_ledgers_last_ones(finished: Finished) -> None:
    heads = read_server_record(finished.world.folder / "ledgers" / "heads.json").heads
    assert [head.region for head in heads] == [f"region-{n}" for n in range(1, 9)]
    for head in heads:
        account = read_account(ledger_of(finished.world, head.region))
        assert (head.sequence, head.head) == (account.sequence, account.head)
        assert account.identity.simulated


def test_every_entry_says_who_asked_and_what_answered(finished: Finished) -> None:
    server = SigningKey.load(finished.world.folder / "server.key").public
    for entry in read_account(ledger_of(finished.world, "region-1")).entries.values():
        assert (entry.server_key, entry.participants) == (server, 8)
        assert (entry.code, entry.encoder) == (code_hash(), finished.report.encoder.fingerprint)
        assert entry.state == "committed"


def test_run_with_the_noise_of_deployments_is_as_good(finished: Finished, out: Path) -> None:
    world = prepare(sample("simulation.noise=discrete"), out)
    run_world(world)
    report = complete_report(world, 1.0)
    assert report.privacy.noise == "discrete"
    assert report.run.simulated
    assert not [one for one in report.privacy.not_protected if "eeded" in one or "loating" in one]
    for entry in read_account(ledger_of(world, "region-1")).entries.values():
        assert entry.noise == "discrete"
        assert entry.step > 0
    assert report.clustering.normalized_cost is not None
    assert report.clustering.normalized_cost < 1.12
    assert known(report.privacy.epsilon_by_accountant)["gaussian-dp"] <= 4.0


def test_report_is_valid_and_says_what_was_asked(finished: Finished) -> None:
    content = json.loads((finished.world.folder / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(content, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert content["run"]["n_users"] == 2469
    assert content["run"]["n_clients"] == 8
    assert content["run"]["trust_model"] == "local"
    assert content["privacy"]["epsilon"] == 4.0
    assert content["privacy"]["delta"] == 1e-6
    assert content["privacy"]["noise"] == "seeded"
    assert content["clustering"]["k"] == 6
    assert len(content["clustering"]["clusters"]) == 6


def test_every_label_says_something_of_its_own(finished: Finished) -> None:
    assert not faults([cluster.label for cluster in finished.report.clustering.clusters])


def test_clusters_are_close_to_those_without_privacy(finished: Finished) -> None:
    clustering = finished.report.clustering
    assert clustering.normalized_cost is not None
    assert clustering.trivial_cost is not None
    assert clustering.normalized_cost <= 1.12
    assert clustering.trivial_cost > 1.3


def test_usuals_beat_popularity_by_half(finished: Finished) -> None:
    repeat = finished.report.repeat
    assert repeat is not None
    assert repeat.recall >= 1.5 * repeat.baselines["popularity"].recall


def test_new_items_are_not_worse_than_exact_popularity(finished: Finished) -> None:
    new = finished.report.recommendation
    assert new is not None
    popular = new.baselines["popularity"].hit_rate
    assert new.hit_rate >= popular - 2 * new.hit_rate_standard_error


def test_released_silhouette_is_near_the_exact_one(finished: Finished) -> None:
    from strategies.exact_geometry import squared_distances

    cluster_map = ClusterMap.load(finished.world.folder / "cluster-map.npz")
    distances = squared_distances(finished.world.profiles.vectors, cluster_map.centroids)
    two = np.sqrt(np.sort(distances, axis=1)[:, :2])
    exact = float((1 - two[:, 0] / two[:, 1]).mean())
    released, noise = (
        finished.report.clustering.silhouette,
        finished.report.clustering.silhouette_noise,
    )
    assert released is not None
    assert noise is not None
    assert abs(released - exact) < 4 * noise


def test_accountants_agree_and_the_plan_is_the_budget(finished: Finished) -> None:
    privacy = finished.report.privacy
    epsilons = known(privacy.epsilon_by_accountant)
    claimed = epsilons["gaussian-dp"]
    assert privacy.epsilon is not None
    assert 3.999 < claimed <= privacy.epsilon
    assert epsilons["pld"] <= 1.001 * claimed
    assert claimed <= epsilons["rdp"]
    assert sum(release.share for release in privacy.plan) == pytest.approx(1.0)


def test_asked_once_too_often_every_region_refuses_and_pays_nothing(finished: Finished) -> None:
    refused = finished.report.privacy.refusals
    assert sorted(one.client for one in refused) == [f"region-{n}" for n in range(1, 9)]
    assert {one.reason for one in refused} == {"budget-exhausted"}
    for receipt in finished.report.receipts:
        assert receipt.releases == len(plan())
        assert receipt.refused == 1
        assert 3.999 < receipt.spent_epsilon <= receipt.limit_epsilon


def test_ledgers_hold_no_user_and_no_item(finished: Finished) -> None:
    for path in (finished.world.folder / "ledgers").iterdir():
        content = path.read_bytes()
        assert b"household-" not in content
        assert b"FLUID MILK" not in content


def test_warm_simulation_takes_less_than_a_minute(finished: Finished) -> None:
    assert finished.seconds < 60


def test_regions_differ_in_size_and_interests(finished: Finished) -> None:
    sizes = finished.world.region_of.value_counts()
    assert sizes.sum() == 2469
    assert len(sizes) == 8
    assert sizes.max() > 2 * sizes.min()
    clusters = ClusterMap.load(finished.world.folder / "cluster-map.npz").nearest(
        finished.world.profiles.vectors
    )
    region = finished.world.region_of.reindex(finished.world.profiles.user_ids)
    shares = [
        np.bincount(clusters[(region == name).to_numpy()], minlength=6) for name in sizes.index
    ]
    normalised = np.array([row / row.sum() for row in shares])
    assert normalised.max(axis=0).max() > 2 * normalised.mean(axis=0).max() or (
        normalised.std(axis=0).max() > 0.1
    )


def test_pushed_back_map_is_the_same_at_every_region(finished: Finished) -> None:
    folder = finished.world.folder
    server = (folder / "cluster-map.npz").read_bytes()
    for number in range(1, 9):
        ours = ClusterMap.load(folder / "regions" / f"region-{number}" / "cluster-map.npz")
        theirs = ClusterMap.load(folder / "cluster-map.npz")
        np.testing.assert_array_equal(ours.centroids, theirs.centroids)
        np.testing.assert_array_equal(ours.item_weights, theirs.item_weights)
    assert server


def test_report_page_needs_no_network(finished: Finished) -> None:
    page = (finished.world.folder / "report.html").read_text(encoding="utf-8")
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    for cluster in finished.report.clustering.clusters:
        assert cluster.label.split(",")[0].split("&")[0] in page


def test_second_run_on_the_same_window_is_refused_and_costs_nothing(
    finished: Finished,
) -> None:
    before = [(one.releases, one.spent_epsilon) for one in receipts(finished.world)]
    with pytest.raises(StrategyError, match="budget-exhausted"):
        run_world(finished.world)
    assert [(one.releases, one.spent_epsilon) for one in receipts(finished.world)] == before


def test_central_run_sends_clipped_sums_and_is_closer(finished: Finished, out: Path) -> None:
    world = prepare(sample("privacy.trust-model=central", "privacy.server-noise-seed=3"), out)
    grid = run_world(world)
    answers = [records_to_answer(reply.content) for reply in grid.replies]
    assert {type(answer) for answer in answers} == {ClippedSum}
    report = read_report(out)
    assert report.run.trust_model == "central"
    assert "server has to be trusted" in report.privacy.statement
    vectors = world.profiles.vectors
    costs = [
        kmeans_cost(vectors, np.load(folder / "centroids.npz")["centroids"])
        for folder in (out, finished.world.folder)
    ]
    assert costs[0] < 0.98 * costs[1]
    for entry in read_account(ledger_of(world, "region-1")).entries.values():
        assert (entry.trust_model, entry.noise) == ("central", "server")


def test_more_regions_than_people_and_too_large_a_budget_are_told_at_once(out: Path) -> None:
    with pytest.raises(SimulationError, match="for 3000 regions"):
        prepare(sample("run.n-clients=3000"), out)
    with pytest.raises(SimulationError, match=r"Lower privacy\.epsilon"):
        prepare(sample("privacy.epsilon=100.0"), out)


def test_world_in_which_nothing_happens_afterwards_is_reported_without_judgement(
    out: Path,
) -> None:
    world = prepare(sample("simulation.withheld-from=2019-01-01T00:00:00Z"), out)
    run_world(world)
    report = complete_report(world, 1.0)
    assert report.recommendation is None
    assert report.repeat is None


def test_report_claims_what_was_spent_where_regions_answer_beyond_the_plan(out: Path) -> None:
    world = prepare(sample(ONCE_TOO_OFTEN), out)
    for path in world.settings_paths():
        policy = path.parent / "policy.toml"
        policy.write_text(policy.read_text().replace("epsilon = 4.0", "epsilon = 8.0"))
    run_world(world)
    privacy = read_report(out).privacy
    assert privacy.epsilon == pytest.approx(receipts(world)[0].spent_epsilon)
    assert privacy.epsilon is not None
    assert privacy.epsilon > 4.1
    assert "e^4.1" in privacy.statement


def test_central_request_is_refused_where_the_policy_does_not_opt_in(out: Path) -> None:
    world = prepare(sample(), out)
    privacy = world.config.privacy.model_copy(update={"trust_model": TrustModel.CENTRAL})
    asked = world.config.model_copy(update={"privacy": privacy})
    world = dataclasses.replace(world, config=asked)
    with pytest.raises(StrategyError, match="trust-model-not-allowed"):
        run_world(world)
    assert all(one.releases == 0 for one in receipts(world))
