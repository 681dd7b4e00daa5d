"""The quality page shows a run's figures as the store has them, and one figure over many runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.dashboard.language import texts
from server.dashboard.pages.quality import CSV_COLUMNS
from server.dashboard.settings import Settings
from server.dashboard.site import create_site
from server.dashboard.views.figure_names import MEASURES, Place, place_of
from server.report import ArmPart, ClusteringPart, RankingPart
from server.run_store import reading
from server.run_store.opening import Store, open_store
from server.run_store.putting import put
from server.run_store.schema import Figure, Run
from tests.server.dashboard.site import ATTACK, browser
from tests.server.run_store.examples import MadeUp

LOCAL = "http://127.0.0.1:8600"
BEGUN = datetime(2026, 3, 1, tzinfo=UTC)
FIGURES: dict[str, tuple[float | None, float | None, str]] = {
    "clustering.k": (6.0, None, "released"),
    "clustering.silhouette": (0.1234, 0.0056, "released"),
    "clustering.normalized_cost": (1.07, None, "oracle"),
    "recommendation.hit_rate": (0.512, 0.011, "oracle"),
    "recommendation.ndcg": (0.214, None, "oracle"),
    "recommendation.baselines.popularity.hit_rate": (0.481, None, "oracle"),
    f"recommendation.baselines.{ATTACK}.hit_rate": (0.333, None, "oracle"),
    "recommendation.difference_to_popularity": (0.031, 0.0062, "oracle"),
    "repeat.recall": (0.277, 0.005, "oracle"),
    "repeat.baselines.popularity.recall": (0.145, None, "oracle"),
    "private_evaluation.hit_rate": (0.222, 0.013, "released"),
    "feedback.arms.b.v2.acceptance": (0.135, 0.009, "released"),
    f"future.{ATTACK}": (4.242, 0.1, "guessed"),
    "clustering.empty": (None, None, "released"),
}


def add(store: Store, run: str, figures: dict[str, Any], day: int = 0, **others: Any) -> None:
    """Add a run with figures: only what pages look at."""
    row = {
        "id": run,
        "name": "weekly",
        "version": "0",
        "code": "c",
        "trust_model": "local",
        "epsilon": 4.0,
        "delta": 1e-6,
        "declared_users": None,
        "n_clients": 2,
        "noise": None,
        "simulated": False,
        "started": BEGUN + timedelta(days=day),
        "updated": BEGUN + timedelta(days=day),
        "seconds": 1.0,
        "status": "completed",
        "failure_type": None,
        "failure": None,
        "resumed": 0,
        "config": {},
        "plan": [],
        "statement": None,
    }
    lines = [
        {"run_id": run, "name": name, "value": value, "noise": noise, "kind": kind}
        for name, (value, noise, kind) in figures.items()
    ]
    with store.write() as connection:
        put(connection, Run, [row | others])
        put(connection, Figure, lines)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(tmp_path / "store.sqlite"))
    yield opened
    opened.close()


@pytest.fixture
def client(store: Store, tmp_path: Path) -> TestClient:
    return browser(create_site(Settings(store=store.place, data=tmp_path / "data")), LOCAL)


def test_every_figure_of_a_report_has_a_name_and_a_meaning_in_both_languages() -> None:
    for language in ("en", "zh"):
        for group, measures in MEASURES.items():
            assert f"quality.group.{group}" in texts(language)
            for measure in measures:
                for part in ("name", "about"):
                    assert f"quality.figure.{group}.{measure}.{part}" in texts(language)
    assert set(RankingPart.model_fields) < set(MEASURES["recommendation"])
    assert set(MEASURES["clustering"]) < set(ClusteringPart.model_fields)
    assert set(MEASURES["feedback"]) < set(ArmPart.model_fields)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("clustering.silhouette", Place("clustering", "silhouette")),
        ("clustering.space_quality.both", Place("clustering", "space_quality", "both")),
        ("recommendation.hit_rate", Place("recommendation", "hit_rate")),
        ("recommendation.baselines.a.b.ndcg", Place("recommendation", "ndcg", "a.b")),
        ("repeat.baselines.popularity.recall", Place("repeat", "recall", "popularity")),
        ("feedback.arms.b.v2.skips", Place("feedback", "skips", "b.v2")),
        ("recommendation.baselines.x", Place("other", "recommendation.baselines.x")),
        ("clustering.silhouette.name", Place("other", "clustering.silhouette.name")),
        ("other.x", Place("other", "other.x")),
        ("", Place("other", "")),
    ],
)
def test_a_figure_is_put_where_it_belongs(name: str, place: Place) -> None:
    assert place_of(name) == place


def test_page_api_csv_and_store_agree(client: TestClient, store: Store) -> None:
    add(store, "run-1", FIGURES)
    page, api = client.get("/quality").text, client.get("/api/v1/quality").json()
    for shown in ("0.123 <small>± 0.006", "0.512 ± 0.011", "0.481", "0.277 ± 0.005", "1.070"):
        assert shown in page
    for shown in ("0.222 <small>± 0.013", "0.135 ± 0.009", "4.242 ± 0.100", "b.v2"):
        assert shown in page
    assert "better by more than two standard errors" in page
    by_name = {name: (value, noise, kind) for name, (value, noise, kind) in FIGURES.items()}
    judged = [*api["recommendation"], *api["repeat"], *api["feedback"]]
    lines = [line for one in judged for line in one["figures"]] + [api["difference"]]
    lines += [*api["clustering"], *api["private_evaluation"], *api["others"]]
    assert {line["name"]: (line["value"], line["noise"], line["kind"]) for line in lines} == by_name
    assert api["recommendation"][0]["who"] == ""
    assert [line["name"] for line in api["others"]] == ["clustering.empty", f"future.{ATTACK}"]
    kept = [line.name for line in reading.figures(store, "run-1")]
    rows = list(
        csv.DictReader(io.StringIO(client.get("/api/v1/figures.csv").text.lstrip("\ufeff")))
    )
    assert [row["name"] for row in rows] == kept
    assert rows[kept.index("clustering.silhouette")]["noise"] == "0.0056"
    # No number without the run, and the trust model, that it is of.
    assert {(row["run"], row["trust_model"], row["simulated"]) for row in rows} == {
        ("run-1", "local", "False")
    }


def test_oracle_figures_are_marked_and_apart_from_released_ones(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.dashboard.stored.FRESH_SECONDS", 0.0)
    add(store, "run-1", {"private_evaluation.hit_rate": (0.2, 0.01, "released")})
    only_released = client.get("/quality").text
    assert "released, noisy" in only_released
    assert 'class="tag oracle"' not in only_released
    add(store, "run-2", {"recommendation.hit_rate": (0.2, 0.01, "oracle")}, day=1)
    assert 'class="tag oracle"' in client.get("/quality").text


@pytest.mark.parametrize(
    ("value", "noise", "told"),
    [(0.01, 0.006, "cannot be told apart"), (0.02, 0.006, "better"), (-0.02, 0.006, "worse")],
)
def test_a_difference_within_its_error_is_called_none(
    client: TestClient, store: Store, value: float, noise: float, told: str
) -> None:
    name = "recommendation.difference_to_popularity"
    add(store, "run-1", {name: (value, noise, "oracle"), "recommendation.mrr": (1, None, "oracle")})
    found = client.get("/quality").text
    assert told in found.partition("Over the runs")[0]


def test_history_keeps_simulated_and_real_runs_apart(client: TestClient, store: Store) -> None:
    for day, simulated in enumerate((False, True, False)):
        figures = {"clustering.silhouette": (0.1 + day / 10, 0.01, "released")}
        add(store, f"run/{day}", figures, day, simulated=simulated)
    add(store, "another", {"clustering.silhouette": (0.9, None, "released")}, 5, name="monthly")
    address = "/api/v1/quality/history?figure=clustering.silhouette"
    points = client.get(f"{address}&name=weekly").json()["points"]
    assert [one["value"] for one in points] == pytest.approx([0.1, 0.2, 0.3])
    assert [one["noise"] for one in points] == [0.01] * 3
    assert [one["simulated"] for one in points] == [False, True, False]
    assert len(client.get(address).json()["points"]) == 4
    assert [one["run_id"] for one in client.get(f"{address}&limit=1").json()["points"]] == [
        "another"
    ]
    page = client.get("/quality?run=run/2").text
    for row in ('["real", 0.0, 0.1, 0.01]', '["simulated", 1.0, 0.2, 0.01]'):
        assert row in page
    assert '"/quality?run=run/0"' in page
    assert "latest 4 runs" in client.get("/quality?name=").text  # of all names
    assert "No run of this name has this figure" in client.get("/quality?figure=nobody.has").text


def test_without_figures_it_says_what_to_do(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    empty = client.get("/quality")
    assert empty.status_code == 200
    assert "There are no figures yet" in empty.text
    assert client.get("/api/v1/quality").json()["run"] is None
    assert client.get("/api/v1/figures.csv").text.strip("\ufeff\r\n") == ",".join(CSV_COLUMNS)
    add(store, "under-way", {}, status="failed")
    assert "There are no figures yet" in client.get("/quality").text
    shown = client.get("/quality?run=under-way")
    assert "This run has no figures" in shown.text
    chinese = client.get("/quality", headers={"accept-language": "zh"}).text
    assert texts("zh")["quality.none"] in chinese


def test_names_that_others_made_up_are_escaped(client: TestClient, store: Store) -> None:
    wild = "../a b'; DROP TABLE run;--%2e/\"" + ATTACK
    add(store, wild, FIGURES, name=wild)
    for language in ("en", "zh"):
        page = client.get("/quality", headers={"accept-language": language})
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
    for path in ("/quality", "/api/v1/quality", "/api/v1/figures.csv"):
        assert client.get(path, params={"run": wild, "name": wild}).status_code == 200
    history = client.get(
        "/api/v1/quality/history", params={"figure": f"future.{ATTACK}", "name": wild}
    )
    assert [one["run_name"] for one in history.json()["points"]] == [wild]


@pytest.mark.parametrize(
    "run", ["nobody", "../x", "'; DROP TABLE run;--", "%00", "%2e%2e", "x" * 150]
)
def test_unknown_runs_are_told_in_words(client: TestClient, store: Store, run: str) -> None:
    add(store, "run-1", FIGURES)
    page = client.get(f"/quality?run={run}")
    assert page.status_code == 404
    assert "There is no such run" in page.text
    for path in ("/api/v1/quality", "/api/v1/figures.csv"):
        assert client.get(f"{path}?run={run}").json()["error"] == "no-run"


@pytest.mark.parametrize(
    "query", ["run=", "figure=", "name=%00", "figure=%ff%fe", "name=" + "x" * 5000, "page=x"]
)
def test_what_makes_no_sense_breaks_nothing(client: TestClient, store: Store, query: str) -> None:
    add(store, "run-1", FIGURES)
    assert client.get(f"/quality?{query}").status_code == 200
    assert client.get(f"/api/v1/quality/history?{query}").status_code in {200, 422}


def test_a_recorded_run_is_shown(store: Store, client: TestClient) -> None:
    made_up = MadeUp(store.place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(2, recorder)
    recorder.complete(made_up.report())
    recorder.stop()
    assert "0.250 <small>± 0.010" in client.get("/quality").text
    assert "/quality?run=spring-1" in client.get("/runs/spring-1").text
