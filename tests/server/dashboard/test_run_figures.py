"""What Prometheus is told of the runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from starlette.testclient import TestClient

from server.dashboard.settings import Settings
from server.dashboard.site import create_site
from server.run_store.opening import open_store
from server.run_store.putting import put
from server.run_store.reading_budgets import budget_states
from server.run_store.schema import Audit, Budget, Region, Run
from tests.server.dashboard.site import browser
from tests.server.run_store.examples import MadeUp


def families(client: TestClient) -> dict[str, Metric]:
    return {one.name: one for one in text_string_to_metric_families(client.get("/metrics").text)}


def value(found: dict[str, Metric], family: str, /, **labels: str) -> float:
    samples = [one for one in found[family].samples if labels.items() <= one.labels.items()]
    assert len(samples) == 1, samples
    return float(samples[0].value)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Return a store with a finished run and one under way, by a name that is hard to write."""
    place = str(tmp_path / "store.sqlite")
    made_up = MadeUp(place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(2, recorder)
    recorder.complete(made_up.report())
    recorder.stop()
    other = MadeUp(place, run='new "1"\\\n', name="new")
    begun = other.recorder(beat_seconds=60)
    begun.begin()
    other.ask()
    other.answer("north", refusing=("south",))
    begun.keep()
    begun.stop()
    return place


@pytest.fixture
def client(place: str, tmp_path: Path) -> TestClient:
    settings = Settings(store=place, data=tmp_path / "data")
    return browser(create_site(settings), "http://127.0.0.1:8600")


def test_figures_are_those_of_the_store(client: TestClient, place: str) -> None:
    store = open_store(place)
    with store.write() as connection:
        connection.execute(update(Run).where(Run.name == "new").values(status="running"))
    found = families(client)
    assert value(found, "fedinterest_store_up") == 1
    assert value(found, "fedinterest_runs", status="completed") == 1
    assert value(found, "fedinterest_runs", status="running") == 1
    run = 'new "1"\\\n'
    assert value(found, "fedinterest_run_rounds_done", run=run, name="new") == 1
    assert value(found, "fedinterest_run_rounds_planned", run=run) > 1
    assert value(found, "fedinterest_run_refusals", run=run) == 1
    assert value(found, "fedinterest_releases") == 5
    assert value(found, "fedinterest_regions") == 2
    assert 0 <= value(found, "fedinterest_run_last_ended_seconds") < 120
    assert value(found, "fedinterest_clustering_silhouette", name="spring") == 0.25
    whose = {"name": "spring", "trust_model": "local", "simulated": "false"}
    assert value(found, "fedinterest_clustering_silhouette_noise", **whose) == 0.01
    assert "noise" in found["fedinterest_clustering_silhouette"].documentation
    assert value(found, "fedinterest_clustering_clusters") == 2
    assert value(found, "fedinterest_audits_failed") == 0
    budgets = {line.region: line for line in budget_states(store)}
    for region, line in budgets.items():
        assert value(found, "fedinterest_epsilon_spent", region=region) == line.spent
        ever = {"region": region, "window": "lifetime", "simulated": "false"}
        assert value(found, "fedinterest_epsilon_lifetime_spent", **ever) == line.lifetime_spent
    assert found["fedinterest_epsilon_limit"].samples == []  # the server does not know any
    assert "lower bound" in found["fedinterest_epsilon_spent"].documentation
    store.close()


def test_a_run_that_fell_silent_is_not_under_way(client: TestClient, place: str) -> None:
    store = open_store(place)
    old = datetime.now(UTC) - timedelta(minutes=3)
    with store.write() as connection:
        connection.execute(
            update(Run).where(Run.name == "new").values(status="running", updated=old)
        )
        connection.execute(
            update(Run).where(Run.name == "spring").values(updated=old - timedelta(days=1))
        )
    store.close()
    found = families(client)
    assert value(found, "fedinterest_runs", status="running") == 0
    assert value(found, "fedinterest_runs", status="interrupted") == 1
    assert found["fedinterest_run_rounds_done"].samples == []
    assert 180 <= value(found, "fedinterest_run_last_ended_seconds") < 300


def test_limits_and_failed_audits_are_told_and_regions_are_bounded(
    client: TestClient, place: str
) -> None:
    told = {"public_key": "k", "window": "w", "delta": 1e-6, "releases": 1, "source": "receipt"}
    budgets = [
        told
        | {
            "region": f"region-{number:03}",
            "spent": float(number),
            "limit": 600.0,
            "computed": datetime.now(UTC),
        }
        for number in range(520)
    ]
    seen: dict[str, Any] = {"public_key": "k", "sequence": 1, "code": None, "last_run": "run-1"}
    moments = {"first_seen": datetime.now(UTC), "last_seen": datetime.now(UTC)}
    regions = [{"name": one["region"], **seen, **moments} for one in budgets]
    audits: list[dict[str, Any]] = [
        {
            "id": verdict,
            "made": datetime.now(UTC),
            "signed_by": "a",
            "paths": [],
            "verdict": verdict,
            "simulated": False,
            "document": "{}",
        }
        for verdict in ("PASS", "FAIL", "INCOMPLETE")
    ]
    store = open_store(place)
    with store.write() as connection:
        put(connection, Region, regions)
        put(connection, Budget, budgets)
        put(connection, Audit, audits)
    store.close()
    found = families(client)
    assert len(found["fedinterest_epsilon_spent"].samples) == 500
    assert value(found, "fedinterest_epsilon_regions_left_out") == 22
    assert value(found, "fedinterest_epsilon_spent", region="region-519") == 519
    whose = {"region": "region-519", "delta": "1e-06", "simulated": "true"}
    assert value(found, "fedinterest_epsilon_limit", **whose) == 600
    assert (value(found, "fedinterest_audits"), value(found, "fedinterest_audits_failed")) == (3, 2)


def test_an_empty_store_has_figures_too(tmp_path: Path) -> None:
    place = str(tmp_path / "empty.sqlite")
    open_store(place).close()
    settings = Settings(store=place, data=tmp_path / "data")
    found = families(browser(create_site(settings), "http://127.0.0.1:8600"))
    assert value(found, "fedinterest_store_up") == 1
    assert value(found, "fedinterest_releases") == 0
    assert "fedinterest_run_last_ended_seconds" not in found
