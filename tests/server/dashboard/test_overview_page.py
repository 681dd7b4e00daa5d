"""The first page: what is under way, what is wrong, and that it says what the store says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.dashboard.views import alarms
from server.run_store import reading
from server.run_store.counts import overview
from server.run_store.heartbeats import OFFLINE, ONLINE, REVOKED, Heartbeat, record_heartbeats
from server.run_store.opening import open_store
from server.run_store.putting import put
from server.run_store.reading_budgets import budget_states
from server.run_store.schema import LIFETIME, Audit, AuditedLedger, Budget, Map, Run
from server.run_store.schema import Heartbeat as HeartbeatRow
from server.run_store.spending import RELEASES
from tests.server.dashboard.stores import BITING, at, change, filled, poisoned
from tests.server.run_store.examples import latest_map


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return filled(tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def client(place: str, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return at(place, tmp_path_factory.mktemp("people"))


def test_first_page_is_the_overview(client: TestClient) -> None:
    assert client.get("/").headers["location"] == "/overview"


def test_page_says_what_the_api_and_the_store_say(client: TestClient, place: str) -> None:
    told = client.get("/api/v1/overview").json()
    page = client.get("/overview").text
    store = open_store(place)
    found = latest_map(store)
    assert found is not None
    figures = {line.name: line for line in reading.figures(store, "spring-1")}
    counts = overview(store)
    store.close()
    assert told["counts"]["runs"] == counts.runs == 3
    assert told["mapped"]["id"] == found.run_id == "spring-1"
    assert [line["noisy_size"] for line in told["map"]["clusters"]] == [
        line.noisy_size for line in found.clusters
    ]
    silhouette = figures["clustering.silhouette"]
    assert {"name": "clustering.silhouette", "value": silhouette.value} == {
        key: value
        for line in told["figures"]
        if line["name"] == "clustering.silhouette"
        for key, value in line.items()
        if key in ("name", "value")
    }
    assert f"{silhouette.value:.3f} <small>± {silhouette.noise:.3f}</small>" in page
    for line in found.clusters:
        assert line.label in page
        assert f"{line.noisy_size:,.0f}" in page
    assert f"{counts.releases} releases" in page


def test_run_under_way_is_shown_with_its_progress(client: TestClient) -> None:
    told = client.get("/api/v1/overview").json()
    assert [run["id"] for run in told["under_way"]] == ["summer-1"]
    assert '<progress max="13" value="3"' in client.get("/overview/part").text


def test_run_that_fell_silent_raises_an_alarm(client: TestClient) -> None:
    alarms = client.get("/api/v1/overview").json()["alarms"]
    assert alarms[0] == {
        "kind": "run-interrupted",
        "gravity": "grave",
        "path": "/runs/autumn-1",
        "words": {"name": "autumn", "why": ""},
    }
    assert "gives no sign of life" in client.get("/overview").text


def test_alarms_of_audit_budget_and_map(tmp_path: Path) -> None:
    place = filled(tmp_path)
    store = open_store(place)
    with store.write() as connection:
        connection.execute(
            Audit.__table__.insert().values(  # type: ignore[attr-defined]
                id="a" * 64,
                made=datetime.now(UTC),
                signed_by="",
                paths=[],
                verdict="FAIL",
                simulated=False,
                document="{}",
            )
        )
    store.close()
    change(place, Map, {"warning": "Too much noise."})
    client = at(place, tmp_path)
    kinds = {alarm["kind"]: alarm for alarm in client.get("/api/v1/overview").json()["alarms"]}
    assert kinds["audit"]["gravity"] == "grave"
    assert kinds["map"]["words"] == {"name": "spring", "warning": "Too much noise."}
    assert "budgets" not in kinds  # no limit is known
    store = open_store(place)
    with store.write() as connection:
        rows = (
            connection.execute(Budget.__table__.select().where(Budget.source == RELEASES))
            .mappings()
            .all()
        )
        told = [dict(row) | {"source": "audit", "limit": row["spent"] / 0.95} for row in rows]
        connection.execute(Budget.__table__.insert(), told)  # type: ignore[attr-defined]
    store.close()
    change(place, Map, {"warning": None})
    later = at(place, tmp_path)
    kinds = {alarm["kind"]: alarm for alarm in later.get("/api/v1/overview").json()["alarms"]}
    assert kinds["budgets"]["words"] == {"n": "2", "of": "2", "share": "90%"}
    assert "map" not in kinds


def test_budget_that_is_shown_is_the_one_that_stops_a_region_first(tmp_path: Path) -> None:
    place = filled(tmp_path)
    store = open_store(place)
    north = next(one for one in budget_states(store, latest=True) if one.region == "north")
    row: dict[str, Any] = {"region": "north", "public_key": north.public_key}
    row |= {"source": "receipt", "releases": 9, "computed": datetime.now(UTC), "spent": 7.5}
    with store.write() as connection:
        put(connection, Budget, [row | {"window": north.window, "limit": 80.0, "delta": 1e-6}])
        put(connection, Budget, [row | {"window": LIFETIME, "limit": 8.0, "delta": 1e-7}])
    store.close()
    client = at(place, tmp_path)
    page = client.get("/overview").text
    assert "north · simulated: 7.50 of 8.00, δ 1e-07, whole life" in page
    assert re.search(r">\d+\.\d\d, limit unknown, δ 1e-06<", page)
    listed = client.get("/regions?sort=budget&order=down").text
    assert re.search(r"7\.500 of 8\.00 \(94%\)</span>\s*<small[^>]*>over its whole life<", listed)
    first = client.get("/api/v1/regions?sort=budget&descending=true").json()["regions"][0]
    assert first["name"] == "north"


def test_an_audit_of_other_ledgers_does_not_make_a_failed_one_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.dashboard.stored.FRESH_SECONDS", 0.0)
    place = filled(tmp_path)
    client = at(place, tmp_path)
    now = datetime.now(UTC)

    def audited(number: int, verdicts: dict[str, str]) -> list[tuple[str, str, str]]:
        whole = "PASS" if set(verdicts.values()) == {"PASS"} else "FAIL"
        head = {"id": f"audit-{number}", "made": now + timedelta(minutes=number), "signed_by": ""}
        row = {"releases": 1, "spent": 1.0, "limit": 2.0, "delta": 1e-6, "incidents": []}
        ledgers = [
            row
            | {"audit_id": head["id"], "number": at, "region": region, "public_key": region}
            | {"verdict": verdict, "faults": []}
            for at, (region, verdict) in enumerate(verdicts.items())
        ]
        store = open_store(place)
        with store.write() as connection:
            rest = {"paths": [], "verdict": whole, "simulated": False, "document": "{}"}
            put(connection, Audit, [head | rest])
            put(connection, AuditedLedger, ledgers)
        store.close()
        alarms = client.get("/api/v1/overview").json()["alarms"]
        return [
            (one["kind"], one["path"], one["words"]["n"])
            for one in alarms
            if one["kind"] in ("audit", "ledgers")
        ]

    first = audited(1, {"north": "FAIL", "south": "PASS", "": "UNUSABLE"})
    assert first == [("audit", "/privacy/audits", "3")]
    stands = ("ledgers", "/privacy/audits/audit-1", "1")
    assert audited(2, {"south": "PASS"}) == [stands]
    assert audited(3, {"south": "FAIL"}) == [("audit", "/privacy/audits", "1"), stands]
    assert "1 ledgers did not hold" in client.get("/overview").text
    assert audited(4, {"south": "PASS"}) == [stands]
    assert audited(5, {"north": "PASS"}) == []


def test_agents_that_a_run_would_miss_raise_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.dashboard.stored.FRESH_SECONDS", 0.0)
    place, now = filled(tmp_path), datetime.now(UTC)
    beats = [
        Heartbeat(
            region=f"region-{number}",
            node_id=str(number),
            state=state,
            last_heartbeat=now,
            since=now,
            version="0",
            flower="1",
            told=now,
        )
        for number, state in enumerate([ONLINE, ONLINE, OFFLINE, REVOKED])
    ]
    client = at(place, tmp_path)
    assert "agents are offline" not in client.get("/overview").text
    store = open_store(place)
    record_heartbeats(store, beats, now)
    assert "1 of 4 agents are offline" in client.get("/overview").text
    record_heartbeats(store, beats[:2], now)  # nobody has looked at the others meanwhile
    change(place, HeartbeatRow, {"observed": now - timedelta(minutes=10)}, region="region-2")
    store.close()
    told = client.get("/api/v1/overview").json()["alarms"]
    assert [(one["kind"], one["words"]["n"]) for one in told if "agents" in one["kind"]] == [
        ("agents-unknown", "1")
    ]


def test_empty_store_says_what_to_do(tmp_path: Path) -> None:
    open_store(str(tmp_path / "new.sqlite")).close()
    client = at(str(tmp_path / "new.sqlite"), tmp_path)
    assert "fedinterest demo" in client.get("/overview").text
    assert "还没有运行" in client.get("/overview", headers={"accept-language": "zh"}).text
    told = client.get("/api/v1/overview").json()
    assert (told["mapped"], told["alarms"], told["budgets"]) == (None, [], [])


@pytest.mark.parametrize("number", range(len(BITING)))
def test_what_others_sent_does_nothing(tmp_path: Path, number: int) -> None:
    words = BITING[number]
    client = at(poisoned(tmp_path, words), tmp_path)
    for language in ("en", "zh"):
        page = client.get("/overview", headers={"accept-language": language})
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
    told = client.get("/api/v1/overview").json()
    assert {line["label"] for line in told["map"]["clusters"]} == {words}


def test_view_is_built_once_for_all_until_the_store_changes(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    real = alarms.alarms

    def counting(*values: object) -> object:
        built.append(1)
        return real(*values)  # type: ignore[arg-type]

    monkeypatch.setattr("server.dashboard.views.overview.alarms", counting)
    monkeypatch.setattr("server.dashboard.stored.FRESH_SECONDS", 0.0)
    client = at(place, tmp_path)
    for _ in range(5):
        client.get("/overview")
        client.get("/api/v1/overview")
    assert len(built) == 1
    change(place, Run, {"updated": datetime.now(UTC)}, id="spring-1")
    client.get("/overview")
    assert len(built) == 2
