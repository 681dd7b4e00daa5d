"""`fedinterest cluster`: sound whatever the data, and what it says of itself holds."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from privacy.ledger import Ledger
from privacy.ledger_check import read_account, verify_ledger
from privacy.query import FloatArray, NoiseKind, TrustModel
from privacy.server_record import read_server_record
from server.report import Report
from server.results import report_schema
from simulations import cluster_vectors as module
from simulations.cluster_settings import SMALLEST_SHARE, ClusterSettings
from simulations.cluster_vectors import cluster_vectors
from simulations.given_vectors import VectorsError
from simulations.in_process_grid import InProcessGrid
from simulations.silos import client_app
from strategies.federated_kmeans import StrategyError
from strategies.mixture import SummaryMixture
from strategies.plan import clustering_alone
from strategies.private_summary import PrivateSummary
from tests.privacy.examples import a_policy

D = 8
CENTRES = 0.7 * np.eye(3, D)


def users(n: int = 1500, seed: int = 0) -> FloatArray:
    """Return users in three groups, of which one is small."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, n, p=[0.5, 0.35, 0.15])
    return np.asarray(CENTRES[kinds] + 0.06 * rng.standard_normal((n, D)), dtype=np.float32)


def public(n: int = 60) -> FloatArray:
    rng = np.random.default_rng(9)
    return np.asarray(
        np.repeat(np.eye(3, D), n // 3, axis=0) + 0.1 * rng.standard_normal((n, D)), np.float32
    )


def settings(**changes: Any) -> ClusterSettings:
    usual: dict[str, Any] = {"k": 3, "epsilon": 8.0, "noise": NoiseKind.SEEDED, "seed": 3}
    return ClusterSettings(**usual | changes)


def centroids(folder: Path) -> npt.NDArray[np.float32]:
    with np.load(folder / "centroids.npz") as archive:
        assert sorted(archive.files) == ["centroids", "counts", "counts_noise", "norm_bound"]
        return np.asarray(archive["centroids"])


def cost(vectors: npt.NDArray[Any], centres: npt.NDArray[Any]) -> float:
    gaps = np.linalg.norm(vectors[:, None] - centres[None], axis=2) ** 2
    return float(gaps.min(axis=1).sum())


def over_kmeans(vectors: FloatArray, folder: Path, k: int = 3) -> float:
    best = KMeans(k, n_init=10, random_state=0).fit(vectors).cluster_centers_
    return cost(vectors, centroids(folder)) / cost(vectors, best)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("cluster")
    report = cluster_vectors(
        np.array_split(users(), 3), settings(noise=NoiseKind.DISCRETE, n_declared=1400), folder
    )
    return folder, report


@pytest.mark.parametrize("known", [None, public()], ids=["nothing public", "public"])
@pytest.mark.parametrize(("epsilon", "most"), [(8.0, 1.05), (math.inf, 1.01)])
def test_groups_are_found(
    tmp_path: Path, known: FloatArray | None, epsilon: float, most: float
) -> None:
    vectors = users()
    central = settings(epsilon=epsilon, trust_model=TrustModel.CENTRAL)
    cluster_vectors([vectors], central, tmp_path, public=known)
    assert over_kmeans(vectors, tmp_path) <= most


def test_the_report_holds_what_it_promises(finished: tuple[Path, Report]) -> None:
    folder, report = finished
    content = json.loads((folder / "report.json").read_text())
    jsonschema.validate(content, json.loads(report_schema()))
    assert content["run"]["n_users"] == 1400
    assert content["privacy"]["noise"] == "discrete"
    by_accountant = report.privacy.epsilon_by_accountant
    claimed, pld = by_accountant["gaussian-dp"], by_accountant["pld"]
    assert claimed is not None
    assert pld is not None
    assert 7.9 < claimed <= 8.0
    assert pld <= 1.001 * claimed
    assert report.clustering.k == 3
    assert len(report.clustering.clusters) == 3
    assert 1300 < report.clustering.noisy_users < 1700


def test_every_silos_ledger_holds_one_entry_for_each_phase(finished: tuple[Path, Report]) -> None:
    folder, report = finished
    phases = [phase.name for phase in clustering_alone(public=False)]
    heads = read_server_record(folder / "ledgers" / "heads.json").heads
    assert [head.region for head in heads] == ["silo-1", "silo-2", "silo-3"]
    for head in heads:
        path = folder / "ledgers" / f"{head.region}.sqlite"
        assert verify_ledger(path, witness=None, heads=heads).holds
        assert [entry.purpose for entry in read_account(path).entries.values()] == phases
    assert [release.phase for release in report.privacy.plan] == phases


def test_without_privacy_nothing_is_promised(tmp_path: Path) -> None:
    report = cluster_vectors([users(600)], settings(epsilon=math.inf), tmp_path)
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(content, json.loads(report_schema()))
    assert content["privacy"]["epsilon"] is None
    assert content["run"]["n_users"] is None
    assert set(content["privacy"]["epsilon_by_accountant"].values()) == {None}
    assert "Nothing is promised" in report.privacy.statement


def test_seeded_runs_are_alike_and_others_differ(tmp_path: Path) -> None:
    found = []
    for name, changes in (("a", {}), ("b", {}), ("c", {"seed": 4})):
        cluster_vectors([users(600)], settings(**changes), tmp_path / name)
        found.append(centroids(tmp_path / name))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_an_earlier_runs_ledgers_are_replaced(tmp_path: Path) -> None:
    for silos in (3, 1):
        cluster_vectors(
            np.array_split(users(300), silos), settings(trust_model=TrustModel.CENTRAL), tmp_path
        )
    assert [path.name for path in (tmp_path / "ledgers").glob("*.sqlite")] == ["silo-1.sqlite"]


def test_an_earlier_runs_ledgers_stay_where_the_next_run_cannot_be_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_vectors([users(300)], settings(), tmp_path)

    def no_plan(*_: Any, **__: Any) -> None:
        raise ValueError("no such plan")

    monkeypatch.setattr(module, "clustering_alone", no_plan)
    with pytest.raises(ValueError, match="no such plan"):
        cluster_vectors([users(300)], settings(), tmp_path)
    assert (tmp_path / "ledgers" / "silo-1.sqlite").exists()


def test_a_simulations_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run-config.toml").write_text("")
    (tmp_path / "ledgers").mkdir()
    with pytest.raises(VectorsError, match="Choose another folder"):
        cluster_vectors([users(30)], settings(), tmp_path)
    assert (tmp_path / "ledgers").exists()


@pytest.mark.parametrize("name", ["ledgers/north.sqlite", "server-ledger.sqlite"])
def test_a_real_ledger_is_never_removed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Ledger(path, a_policy()).account()
    files = {one: one.read_bytes() for one in path.parent.iterdir()}
    with pytest.raises(VectorsError, match="Nothing was started or removed"):
        cluster_vectors([users(30)], settings(), tmp_path)
    assert {one: one.read_bytes() for one in path.parent.iterdir() if one.is_file()} == files


def test_files_of_somebody_else_beside_the_ledgers_are_left_alone(tmp_path: Path) -> None:
    cluster_vectors([users(300)], settings(), tmp_path)
    (tmp_path / "ledgers" / "notes.txt").write_text("mine")
    (tmp_path / "ledgers-2025").mkdir()
    with pytest.raises(VectorsError, match="holds other files"):
        cluster_vectors([users(300)], settings(), tmp_path)
    assert (tmp_path / "ledgers" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "ledgers-2025").exists()


def test_report_claims_no_lifetime_that_no_ledger_keeps(tmp_path: Path) -> None:
    report = cluster_vectors([users(300)], settings(), tmp_path)
    assert report.privacy.lifetime_epsilon is None
    assert "add up" in report.privacy.not_protected[0]
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["privacy"]["lifetime_epsilon"] is None
    assert content["privacy"]["epsilon"] is not None


HARD: dict[str, list[FloatArray]] = {
    "zero vectors": [np.zeros((300, D), np.float32)],
    "all equal": [np.full((300, D), 0.3, np.float32)],
    "an empty silo": [users(300), np.zeros((0, D), np.float32)],
    "fewer users than K": [users(2)],
    "one user": [users(1)],
    "one dimension": [users(300)[:, :1]],
    "two places": [np.repeat(users(2), 150, axis=0)],
    "longer than the bound": [5 * users(300)],
}


@pytest.mark.parametrize("known", [False, True], ids=["nothing public", "public"])
@pytest.mark.parametrize("silos", HARD.values(), ids=HARD)
@pytest.mark.parametrize("epsilon", [0.5, math.inf])
def test_hard_data_give_a_sound_result(
    tmp_path: Path, silos: list[FloatArray], known: bool, epsilon: float
) -> None:
    d = silos[0].shape[1]
    report = cluster_vectors(
        silos, settings(epsilon=epsilon), tmp_path, public=public()[:, :d] if known else None
    )
    found = centroids(tmp_path)
    assert found.shape == (report.clustering.k, d)
    assert 1 <= report.clustering.k <= 3
    assert np.isfinite(found).all()
    assert np.linalg.norm(found, axis=1).max() < 1 + 1e-6


ODD_PUBLIC: dict[str, FloatArray] = {
    "none": np.zeros((0, D), np.float32),
    "one": public()[:1],
    "fewer than K": public()[[0, 30]],
    "zero vectors": np.zeros((20, D), np.float32),
    "all equal": np.full((20, D), 0.3, np.float32),
    "far outside": 100 * public(),
}


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("known", ODD_PUBLIC.values(), ids=ODD_PUBLIC)
def test_public_vectors_that_tell_nothing_do_no_harm(tmp_path: Path, known: FloatArray) -> None:
    vectors = users()
    cluster_vectors([vectors], settings(), tmp_path, public=known)
    assert over_kmeans(vectors, tmp_path) <= 1.05


@pytest.mark.parametrize("epsilon", [8.0, math.inf])
def test_vectors_of_more_dimensions_than_are_looked_at_each(tmp_path: Path, epsilon: float) -> None:
    narrow = users()
    drawn = np.random.default_rng(0).standard_normal((len(narrow), 600)) / 500
    drawn[:, :D] += narrow
    wide = np.asarray(drawn, np.float32)
    central = settings(epsilon=epsilon, trust_model=TrustModel.CENTRAL)
    cluster_vectors([wide], central, tmp_path)
    assert over_kmeans(wide, tmp_path) <= 1.1


def test_next_to_no_budget_stays_within_the_norm_bound(tmp_path: Path) -> None:
    report = cluster_vectors([users()], settings(epsilon=1e-4), tmp_path)
    assert report.clustering.k == 1
    assert np.linalg.norm(centroids(tmp_path)) <= 1 + 1e-6


def test_too_few_users_are_said(tmp_path: Path) -> None:
    report = cluster_vectors([users(100)], settings(epsilon=0.3), tmp_path)
    assert report.clustering.warning is not None
    assert "found instead" in report.clustering.warning
    assert report.clustering.k < 3


def test_too_few_users_and_a_chosen_k_do_not_contradict_each_other(tmp_path: Path) -> None:
    wanted = settings(k=10, epsilon=1.0, choose_k=True, trust_model=TrustModel.CENTRAL)
    report = cluster_vectors([users(2000)], wanted, tmp_path)
    assert "at most 6 tried instead" in (report.clustering.warning or "")
    assert "found" not in (report.clustering.warning or "")


def test_vectors_without_clusters_are_said_to_hold_none(tmp_path: Path) -> None:
    report = cluster_vectors([np.zeros((2000, D), np.float32)], settings(k=5), tmp_path)
    told = report.clustering.warning or ""
    assert "of 5 clusters do not rise above the noise" in told
    assert "--norm-bound" in told
    assert "-0.0" not in (tmp_path / "report.json").read_text()


def test_vectors_much_shorter_than_the_bound_are_said(tmp_path: Path) -> None:
    for number, (bound, said) in enumerate([(1.0, True), (1e-3, False)]):
        wanted = settings(norm_bound=bound, trust_model=TrustModel.CENTRAL)
        report = cluster_vectors([1e-3 * users(2000)], wanted, tmp_path / str(number))
        assert ("much shorter" in (report.clustering.warning or "")) == said


@pytest.mark.parametrize(("count", "used"), [(0, True), (1, False), (14, False), (15, True)])
def test_public_vectors_that_are_too_few_are_left_out_and_that_is_said(
    tmp_path: Path, count: int, used: bool
) -> None:
    report = cluster_vectors([users(600)], settings(), tmp_path, public=public()[:count])
    told = f"The {count} public vectors were not used" in (report.clustering.warning or "")
    assert told != used
    planned = [phase.name for phase in clustering_alone(public=used and count > 0)]
    assert [release.phase for release in report.privacy.plan] == planned


@pytest.mark.parametrize(("declared", "said"), [(1500, False), (1400, False), (9000, True)])
def test_a_declared_number_far_from_the_counted_one_is_said(
    tmp_path: Path, declared: int, said: bool
) -> None:
    report = cluster_vectors([users()], settings(n_declared=declared), tmp_path)
    assert ("users were declared" in (report.clustering.warning or "")) == said


@pytest.mark.parametrize(("delta", "said"), [(1e-3, True), (1e-5, False)])
def test_a_delta_of_one_in_the_number_of_users_is_said(
    tmp_path: Path, delta: float, said: bool
) -> None:
    report = cluster_vectors([users()], settings(delta=delta), tmp_path)
    assert ("publishing somebody outright" in (report.clustering.warning or "")) == said


def test_one_cluster_has_no_silhouette(tmp_path: Path) -> None:
    report = cluster_vectors([users(100)], settings(epsilon=0.3), tmp_path)
    assert report.clustering.k == 1
    assert report.clustering.silhouette is None


def test_noise_of_users_and_distances_is_told_and_covers_the_truth(tmp_path: Path) -> None:
    vectors = users()
    found = []
    for seed in range(8):
        wanted = settings(epsilon=2.0, seed=seed, trust_model=TrustModel.CENTRAL)
        part = cluster_vectors([vectors], wanted, tmp_path).clustering
        gaps = cost(vectors, centroids(tmp_path)) / len(vectors)
        assert part.intra_cluster_distance is not None
        assert part.intra_noise is not None
        found.append(
            [
                (part.noisy_users - len(vectors)) / part.users_noise,
                (part.intra_cluster_distance - np.sqrt(gaps)) / part.intra_noise,
            ]
        )
    assert 0.3 < np.std(np.array(found)[:, 0]) < 2
    assert np.abs(found).max() < 4


def test_distances_of_the_report_are_in_the_unit_of_the_centroids(tmp_path: Path) -> None:
    vectors = 40 * users()
    report = cluster_vectors([vectors], settings(norm_bound=50.0), tmp_path)
    places = centroids(tmp_path)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(3, 1)]
    assert report.clustering.inter_cluster_distance == pytest.approx(gaps.mean(), rel=1e-4)
    intra = np.sqrt(cost(vectors, places) / len(vectors))
    assert report.clustering.intra_cluster_distance is not None
    assert report.clustering.intra_noise is not None
    gap = abs(report.clustering.intra_cluster_distance - intra)
    assert gap < 4 * report.clustering.intra_noise < intra * 4
    summary = PrivateSummary.load(tmp_path / "summary.npz")
    mean = np.average(summary.cells, axis=0, weights=summary.weights)
    inertia = summary.weights @ ((summary.cells - mean) ** 2).sum(axis=1)
    assert report.clustering.k_curve is not None
    assert report.clustering.k_curve.inertia[0] == pytest.approx(inertia, rel=0.3)


def test_a_mixture_of_the_summary_places_vectors_longer_than_the_bound(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 3000)
    vectors = np.eye(3, D)[kinds] + 0.05 * rng.standard_normal((3000, D))
    longer = np.asarray(vectors * np.exp(rng.normal(0.7, 0.7, (3000, 1))), np.float32)
    cluster_vectors([longer], settings(trust_model=TrustModel.CENTRAL), tmp_path)
    summary = PrivateSummary.load(tmp_path / "summary.npz")
    mixture = SummaryMixture(n_components=3).fit(summary.cells, sample_weight=summary.weights)
    found = mixture.predict(summary.coordinates(longer))
    assert adjusted_rand_score(kinds, found) > 0.9


def test_many_clusters_without_privacy_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = np.asarray(rng.standard_normal((2000, 16)) / 8, np.float32)
    started = time.monotonic()
    report = cluster_vectors([vectors], settings(k=300, epsilon=math.inf), tmp_path)
    assert time.monotonic() - started < 60
    assert report.clustering.k == 300
    assert report.clustering.k_curve is not None
    assert len(report.clustering.k_curve.k) <= 20


def test_centroids_are_in_the_space_of_the_input(tmp_path: Path) -> None:
    vectors = 40 * users()
    report = cluster_vectors([vectors], settings(norm_bound=50.0), tmp_path)
    assert over_kmeans(vectors, tmp_path) < 1.1
    longest = np.linalg.norm(vectors, axis=1).max()
    assert f"{longest:.3f}" not in (tmp_path / "report.json").read_text()
    assert report.clustering.k == 3


def test_small_clusters_are_merged_into_their_neighbours(tmp_path: Path) -> None:
    vectors = users(3000)  # the smallest group has about 450
    report = cluster_vectors([vectors], settings(least_size=700), tmp_path)
    assert report.clustering.k == 2
    assert len(centroids(tmp_path)) == len(report.clustering.clusters) == 2
    assert report.clustering.smallest_cluster > 700
    assert "3 clusters became 2" in (report.clustering.warning or "")
    untouched = cluster_vectors([vectors], settings(least_size=300), tmp_path / "all")
    assert untouched.clustering.k == 3
    assert untouched.clustering.warning is None


def test_the_summary_is_in_the_space_of_the_input(tmp_path: Path) -> None:
    vectors = 4 * users(3000)
    cluster_vectors([vectors], settings(norm_bound=4.0), tmp_path)
    summary = PrivateSummary.load(tmp_path / "summary.npz")
    assert summary.weights.sum() == pytest.approx(3000, rel=0.1)
    nearest = np.linalg.norm(4 * CENTRES[:, None] - summary.vectors[None], axis=2).min(axis=1)
    assert nearest.max() < 0.4


def test_the_summary_chooses_the_number_of_clusters(tmp_path: Path) -> None:
    vectors = users(6000)
    wanted = settings(k=10, choose_k=True, trust_model=TrustModel.CENTRAL)
    report = cluster_vectors([vectors], wanted, tmp_path)
    curve = report.clustering.k_curve
    assert report.clustering.k_was_chosen
    assert report.clustering.k == 3
    assert curve is not None
    assert curve.chosen == curve.peak == 3
    given = cluster_vectors([vectors], settings(trust_model=TrustModel.CENTRAL), tmp_path / "3")
    assert given.clustering.k_curve is not None
    assert given.clustering.k_curve.chosen is None
    assert over_kmeans(vectors, tmp_path) < 1.05


@pytest.mark.parametrize(
    "changes",
    [
        {"k": 1},
        {"epsilon": 0.0},
        {"epsilon": -1.0},
        {"epsilon": math.nan},
        {"epsilon": 1e-9},
        {"epsilon": 5e-6},
        {"delta": 0.0},
        {"delta": 0.5},
        {"delta": 1e-310},
        {"seed": -1},
        {"seed": 5_000_000_000},
        {"norm_bound": 0.0},
        {"norm_bound": math.inf},
        {"norm_bound": 1e39},
        {"norm_bound": 1e-39},
        {"n_declared": 0},
    ],
    ids=str,
)
def test_impossible_settings_are_told(changes: dict[str, Any]) -> None:
    with pytest.raises(VectorsError, match="Nothing was started"):
        settings(**changes)


def test_settings_are_checked_without_loading_torch_or_flower() -> None:
    program = (
        "import sys; import simulations.cluster_settings; "
        "sys.exit(bool({'torch', 'flwr', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("choosing_k", [True, False])
def test_no_phase_spends_less_than_the_settings_count_on(public: bool, choosing_k: bool) -> None:
    phases = clustering_alone(public=public, choosing_k=choosing_k)
    assert min(phase.share for phase in phases) >= SMALLEST_SHARE


@pytest.mark.parametrize("epsilon", [1e-5, 1e4])
def test_the_least_and_the_largest_budget_give_a_result(tmp_path: Path, epsilon: float) -> None:
    report = cluster_vectors([users(300)], settings(epsilon=epsilon), tmp_path)
    assert np.isfinite(centroids(tmp_path)).all()
    assert report.clustering.k >= 1


class Flaky:
    """Replaces the silos' app: some silos misbehave from a message on."""

    def __init__(self, silos: set[int], after: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[int, int] = {}
        whole = client_app

        def app(clients: Any) -> ClientApp:
            sound, flaky = whole(clients), ClientApp()

            @flaky.train()
            def train(message: Message, context: Context) -> Message:
                silo = int(context.node_config["partition-id"])
                self.seen[silo] = self.seen.get(silo, 0) + 1
                if silo in silos and self.seen[silo] > after:
                    raise ConnectionError("gone")
                return sound(message, context)

            @flaky.evaluate()
            def evaluate(message: Message, context: Context) -> Message:
                if int(context.node_config["partition-id"]) in silos:
                    raise ConnectionError("gone")
                return sound(message, context)

            return flaky

        monkeypatch.setattr(module, "client_app", app)


def test_a_silo_that_vanishes_after_the_first_phase_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = users(3000)
    Flaky({1}, 1, monkeypatch)
    report = cluster_vectors(np.array_split(vectors, 3), settings(), tmp_path)
    assert report.privacy.releases == 3 + 2 * (len(report.privacy.plan) - 1)
    assert over_kmeans(vectors, tmp_path) < 1.3
    assert len(read_account(tmp_path / "ledgers" / "silo-2.sqlite").entries) == 1


def test_when_all_silos_vanish_the_run_stops_and_its_ledgers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Flaky({0, 1}, 2, monkeypatch)
    with pytest.raises(StrategyError, match="No region answered"):
        cluster_vectors(np.array_split(users(300), 2), settings(), tmp_path)
    assert not (tmp_path / "report.json").exists()
    assert len(read_server_record(tmp_path / "ledgers" / "heads.json").heads) == 2


@pytest.mark.parametrize(
    ("trust", "kind"), [(TrustModel.LOCAL, "Release"), (TrustModel.CENTRAL, "ClippedSum")]
)
def test_silos_send_what_the_trust_model_says_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: TrustModel, kind: str
) -> None:
    replies: list[Message] = []
    deliver = InProcessGrid.pull_messages

    def pull(self: InProcessGrid, message_ids: Any) -> list[Message]:
        found = deliver(self, message_ids)
        replies.extend(found)
        return found

    monkeypatch.setattr(InProcessGrid, "pull_messages", pull)
    cluster_vectors(np.array_split(users(300), 2), settings(trust_model=trust), tmp_path)
    sent = [reply.content.config_records["answer"]["type"] for reply in replies]
    assert set(sent) == {kind}
    assert len(sent) == 2 * len(clustering_alone(public=False))
    assert all(set(reply.content.keys()) == {"answer", "sums"} for reply in replies)
