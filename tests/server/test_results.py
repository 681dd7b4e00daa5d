"""What a run leaves behind: whole files with a published schema, or an error before it begins."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import numpy as np
import pytest

from privacy.accountant import Adjacency, GaussianEvent, compose, epsilon_of
from privacy.query import NoiseKind
from privacy.server_record import read_server_record
from server import results
from server.report import Report
from server.results import (
    OutputError,
    build_report,
    prepare_output,
    read_report,
    report_schema,
    write_heads,
    write_report,
    write_results,
)
from server.run_config import RunConfig, parse_flat
from strategies.cluster_map import ClusterMap
from strategies.clustering import Clustering
from strategies.federated_kmeans import FederatedKMeans, RoundRecord
from strategies.fusion import Fusion
from strategies.plan import plan
from strategies.private_evaluation import PrivateEvaluation
from strategies.public_catalogue import PublicCatalogue
from tests.strategies.examples import a_refusal, signed

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILES = ["centroids.npz", "cluster-map.npz", "report.html", "report.json", "summary.npz"]
HEADS = "ledgers/heads.json"
TOLD: dict[str, Any] = {"name": "spring", "n_users": 1200}
WINDOW = "2026-01-01/2026-04-01"
STEP = 2.0**-24


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return parse_flat({"clustering.k": 2, "run.n-clients": 2, "run.name": "spring"})


@pytest.fixture(scope="module")
def strategy(config: RunConfig) -> FederatedKMeans:
    """Return a strategy after its run: two clusters of ten items, two refusals at the end."""
    vectors = np.repeat(np.eye(2, 4, dtype=np.float32), 5, axis=0)
    items = [f"item-{number}" for number in range(10)]
    known = Clustering(
        run="spring-1",
        k=2,
        seed=1,
        effective_mu=1.0,
        catalogue=PublicCatalogue(
            fingerprint="catalogue-1",
            encoder="encoder-1",
            encoder_name="fake",
            device="cpu",
            item_ids=items,
            texts=items,
            categories=["BREAD"] * 5 + ["TEA"] * 5,
            vectors=vectors,
        ),
        users=100.0,
        users_noise=4.0,
        centroids=np.eye(2, 4),
        sizes=np.array([60.4, 39.6]),
        size_noise=2.0,
        item_weights=np.ones((2, 10)),
        popularity=np.ones(10),
        silhouette=0.25,
        silhouette_noise=0.01,
        squared_distance=0.09,
        squared_distance_noise=0.003,
    )
    done = FederatedKMeans(
        known=known,
        phases=plan(),
        epsilon=config.privacy.epsilon,
        delta=config.privacy.delta,
        trust_model=config.privacy.trust_model,
        n_clients=2,
    )
    done.history = [
        RoundRecord(
            number=number,
            purpose=phase.name,
            sensitivity=2.0,
            sigma=2.0 * done.multipliers[phase.name],
            step=STEP,
            share=phase.share,
            answered=2,
            bytes_up=300,
            bytes_down=500,
            seconds=0.5,
        )
        for number, phase in enumerate(done.phases, start=1)
    ]
    extra = RoundRecord(
        number=10, purpose="extra", sensitivity=1.0, sigma=1.0, step=STEP, share=0.05
    )
    extra.refusals = [signed(a_refusal("north"), 12), signed(a_refusal("south"), 14)]
    assert [done.heads.objection(refusal) for refusal in extra.refusals] == [None, None]
    done.history.append(extra)
    done.noises = {NoiseKind.FLOAT, NoiseKind.SEEDED}
    done.windows = {WINDOW}
    return done


def test_what_users_said_is_reported(strategy: FederatedKMeans) -> None:
    told = PrivateEvaluation(
        k=10,
        users=80.04,
        ours=0.3,
        ours_noise=0.02,
        popularity=0.2,
        popularity_noise=0.01,
        difference_noise=0.03,
        chosen=Fusion(half_life=20.0),
        gain=0.01,
        gain_noise=0.001,
    )
    strategy.known.evaluation = told
    part = build_report(strategy, STARTED, 1.0, **TOLD).private_evaluation
    strategy.known.evaluation = None
    assert part is not None
    assert part.model_dump() == {
        "k": 10,
        "noisy_users": 80.0,
        "hit_rate": 0.3,
        "hit_rate_noise": 0.02,
        "popularity": 0.2,
        "popularity_noise": 0.01,
        "difference_noise": 0.03,
        "chosen": {
            "half_life": 20.0,
            "text": 0.6,
            "popularity": 0.3,
            "lift": 0.0,
            "cluster": 1.0,
        },
        "gain": 0.01,
        "gain_noise": 0.001,
        "evaluation": "private",
    }
    assert build_report(strategy, STARTED, 1.0, **TOLD).private_evaluation is None


@pytest.fixture(scope="module")
def built(strategy: FederatedKMeans) -> Report:
    return build_report(strategy, STARTED, 12.3456, **TOLD)


@pytest.fixture
def report(built: Report) -> Report:
    return built.model_copy(deep=True)


def known(epsilons: dict[str, float | None]) -> dict[str, float]:
    return {name: epsilon for name, epsilon in epsilons.items() if epsilon is not None}


def fail(*_: object, **__: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def names(folder: Path) -> list[str]:
    """Return all files, those in folders with their folder."""
    return sorted(
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
    )


def test_unwritable_output_is_an_error_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(OutputError, match="Nothing was done") as caught:
            prepare_output(folder)
        assert str(folder) in str(caught.value)


def test_preparing_output_leaves_an_empty_folder(tmp_path: Path) -> None:
    prepare_output(tmp_path / "new" / "runs")
    prepare_output(tmp_path / "new" / "runs")
    assert names(tmp_path / "new" / "runs") == []


def test_a_run_leaves_report_page_centroids_and_map(
    tmp_path: Path, strategy: FederatedKMeans
) -> None:
    report = write_results(tmp_path, strategy, STARTED, 12.3456, **TOLD)
    assert names(tmp_path) == FILES
    assert read_report(tmp_path) == report
    with np.load(tmp_path / "centroids.npz") as archive:
        assert sorted(archive.files) == ["centroids", "counts", "counts_noise", "norm_bound"]
        np.testing.assert_array_equal(archive["centroids"], np.eye(2, 4))
        np.testing.assert_allclose(archive["counts"], [60.4, 39.6], rtol=1e-6)
    assert ClusterMap.load(tmp_path / "cluster-map.npz").labels == ["Bread", "Tea"]


def test_the_report_says_what_was_found(report: Report) -> None:
    assert report.run.started == "2026-01-02T03:04:05+00:00"
    assert report.run.simulated
    assert [cluster.noisy_size for cluster in report.clustering.clusters] == [60.4, 39.6]
    assert [cluster.label for cluster in report.clustering.clusters] == ["Bread", "Tea"]
    assert report.clustering.clusters[1].items == [f"item-{number}" for number in range(5, 10)]
    assert report.clustering.noisy_users == 100.0
    assert report.clustering.inter_cluster_distance == pytest.approx(2**0.5)
    assert report.clustering.intra_cluster_distance == pytest.approx(0.3)
    planned = len(plan())
    assert report.cost.bytes_up_per_client_round == pytest.approx(
        planned * 300 / (2 * (planned + 1))
    )


def test_the_report_says_what_was_spent_and_refused(report: Report, config: RunConfig) -> None:
    privacy = report.privacy
    events = [GaussianEvent(release.sensitivity, release.sigma) for release in privacy.plan]
    spent = epsilon_of(compose(events, Adjacency.ADD_OR_REMOVE_ONE), config.privacy.delta)
    assert [release.phase for release in privacy.plan] == [phase.name for phase in plan()]
    assert sum(release.share for release in privacy.plan) == pytest.approx(1.0)
    assert privacy.epsilon_by_accountant["gaussian-dp"] == pytest.approx(spent)
    assert spent == pytest.approx(privacy.epsilon, rel=1e-3)
    assert privacy.releases == 2 * len(plan())
    assert [refusal.client for refusal in privacy.refusals] == ["north", "south"]


def test_accountants_that_share_no_code_agree_on_what_was_spent(report: Report) -> None:
    by_accountant = known(report.privacy.epsilon_by_accountant)
    claimed = by_accountant["gaussian-dp"]
    assert by_accountant["pld"] == pytest.approx(claimed, rel=1e-3)
    assert claimed < by_accountant["rdp"] < 1.1 * claimed
    assert claimed < by_accountant["zcdp"] < 1.1 * claimed


def told_of(
    strategy: FederatedKMeans,
    *,
    noises: set[NoiseKind] | None = None,
    windows: set[str] | None = None,
) -> Report:
    """Return the report of the same run with other noises or windows."""
    other = copy.copy(strategy)
    other.noises, other.windows = noises or {NoiseKind.DISCRETE}, windows or {WINDOW}
    return build_report(other, STARTED, 1.0, **TOLD)


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        ({WINDOW}, WINDOW),
        ({WINDOW, "2025-01-01/2026-01-01"}, f"2025-01-01/2026-01-01; {WINDOW}"),
    ],
)
def test_the_reports_window_is_that_of_the_releases(
    strategy: FederatedKMeans, windows: set[str], told: str
) -> None:
    privacy = told_of(strategy, windows=windows).privacy
    assert privacy.window == told
    assert f"window {told}" in privacy.statement


SEEDED, FLOAT = "Seeded noise", "Floating-point noise"


@pytest.mark.parametrize(
    ("noises", "kind", "weaknesses"),
    [
        ({NoiseKind.DISCRETE}, "discrete", set()),
        ({NoiseKind.FLOAT}, "float", {FLOAT}),
        ({NoiseKind.DISCRETE, NoiseKind.FLOAT}, "float", {FLOAT}),
        ({NoiseKind.SEEDED}, "seeded", {SEEDED}),
        (set(NoiseKind), "seeded", {SEEDED}),
    ],
    ids=["discrete", "float", "discrete and float", "seeded", "all"],
)
def test_what_is_not_protected_follows_the_noise_of_the_releases(
    strategy: FederatedKMeans,
    noises: set[NoiseKind],
    kind: str,
    weaknesses: set[str],
) -> None:
    report = told_of(strategy, noises=noises)
    text = " ".join(report.privacy.not_protected)
    assert report.privacy.noise == kind
    assert {weakness for weakness in (SEEDED, FLOAT) if weakness in text} == weaknesses
    assert "A user at several regions" in text
    simulated = SEEDED in weaknesses
    assert report.run.simulated is simulated
    assert ("This run was a simulation" in report.privacy.statement) is simulated


def test_discrete_noise_is_charged_with_its_lattice(
    strategy: FederatedKMeans, config: RunConfig
) -> None:
    """A coarse lattice costs a little more than continuous noise of the same sigma."""
    coarse = copy.copy(strategy)
    coarse.history = [replace(record, step=0.25) for record in strategy.history]
    spent = {
        kind: known(told_of(coarse, noises={kind}).privacy.epsilon_by_accountant)["gaussian-dp"]
        for kind in (NoiseKind.DISCRETE, NoiseKind.FLOAT)
    }
    events = [
        GaussianEvent(record.sensitivity, record.sigma, 0.25)
        for record in coarse.history
        if record.answered
    ]
    expected = epsilon_of(compose(events, Adjacency.ADD_OR_REMOVE_ONE), config.privacy.delta)
    assert spent[NoiseKind.DISCRETE] == pytest.approx(expected)
    assert spent[NoiseKind.DISCRETE] > 1.0001 * spent[NoiseKind.FLOAT]


def test_the_ledgers_heads_are_kept_with_the_results(
    tmp_path: Path, strategy: FederatedKMeans
) -> None:
    """An auditor can compare them with the ledgers."""
    write_heads(tmp_path, strategy)
    write_results(tmp_path, strategy, STARTED, 12.3456, **TOLD)
    assert names(tmp_path) == sorted([*FILES, HEADS])
    heads = read_server_record(tmp_path / HEADS).heads
    assert heads == tuple(strategy.heads)
    assert [(head.region, head.sequence) for head in heads] == [("north", 12), ("south", 14)]
    content = json.loads((tmp_path / HEADS).read_text(encoding="utf-8"))
    assert content["run"] == "spring-1"


def test_heads_that_cannot_be_written_leave_the_old_ones_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: FederatedKMeans
) -> None:
    write_heads(tmp_path, strategy)
    old = (tmp_path / HEADS).read_bytes()
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=f"{HEADS} cannot be written .No space left"):
        write_heads(tmp_path, strategy)
    assert (tmp_path / HEADS).read_bytes() == old
    assert names(tmp_path) == [HEADS]


@pytest.mark.parametrize("name", FILES)
def test_a_failure_leaves_the_old_file_whole_and_no_half_written_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    strategy: FederatedKMeans,
    name: str,
) -> None:
    for file in FILES:
        (tmp_path / file).write_bytes(b"of an earlier run")
    move = Path.replace

    def stumble(self: Path, target: Path) -> Path:
        if Path(target) == tmp_path / name:
            fail()
        return move(self, target)

    monkeypatch.setattr(Path, "replace", stumble)
    with pytest.raises(OutputError, match=f"{name} cannot be written .No space left"):
        write_results(tmp_path, strategy, STARTED, 2.0, **TOLD)
    assert (tmp_path / name).read_bytes() == b"of an earlier run"
    assert names(tmp_path) == FILES


def test_a_half_written_report_is_never_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    def half(self: Path, text: str, encoding: str | None = None) -> int:
        with self.open("w", encoding=encoding) as file:
            file.write(text[: len(text) // 2])
        fail()

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path, report)
    assert names(tmp_path) == []


def test_a_page_that_cannot_be_drawn_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    write_report(tmp_path, report)
    monkeypatch.setattr(results, "render", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(tmp_path, report.model_copy(update={"schema_version": 2}))
    assert read_report(tmp_path) == report
    assert names(tmp_path) == ["report.html", "report.json"]


def test_the_report_obeys_its_published_schema(tmp_path: Path, report: Report) -> None:
    write_report(tmp_path, report)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(report_schema()))


def test_the_published_schema_is_the_programs() -> None:
    """After a change: ``make schema``."""
    assert SCHEMA.read_text(encoding="utf-8") == report_schema()


@pytest.mark.parametrize("silhouette", [None, float("nan")])
def test_a_report_without_a_silhouette_can_be_read_again(
    tmp_path: Path, report: Report, silhouette: float | None
) -> None:
    report.clustering.silhouette = silhouette
    write_report(tmp_path, report)
    assert read_report(tmp_path).clustering.silhouette is None
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(report_schema()))


def test_a_folder_without_a_report_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="There is no report in") as caught:
        read_report(tmp_path)
    assert str(tmp_path) in str(caught.value)
