"""Regions: the page, the API and the store say the same, whatever a region is called."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from server.dashboard import stored
from server.run_store import reading_answers, reading_regions
from server.run_store.opening import open_store
from server.run_store.putting import put
from server.run_store.reading_budgets import budget_states
from server.run_store.schema import Budget, Heartbeat, Refusal, Region, Run
from tests.server.dashboard.stores import BITING, at, change, filled
from tests.server.run_store.examples import MadeUp

NAMES = (
    *BITING,
    "..",
    ".",
    "part",
    "detail",
    "detail/part",
    "a/b?c#d&e=f",
    "%00",
    "a'b\"c",
    "北方",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = filled(tmp_path_factory.mktemp("stores"))
    change(place, Run, {"code": "a" * 64})
    change(place, Region, {"code": "b" * 64}, name="south")
    change(place, Region, {"code": None}, name="north")
    store = open_store(place)
    known = budget_states(store, region="south")[0]
    told = {"source": "receipt", "spent": known.spent, "limit": 2 * (known.spent or 0.0)}
    span = {"region": "south", "public_key": known.public_key, "window": known.window}
    others = {"delta": known.delta, "releases": 1, "computed": known.computed}
    with store.write() as connection:
        put(connection, Budget, [span | told | others])
    store.close()
    return place


@pytest.fixture(scope="module")
def client(place: str, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return at(place, tmp_path_factory.mktemp("people"))


def test_list_says_what_the_api_and_the_store_say(client: TestClient, place: str) -> None:
    told = client.get("/api/v1/regions").json()
    page = client.get("/regions").text
    store = open_store(place)
    found = reading_regions.regions(store)
    store.close()
    assert [one["region"]["name"] for one in told["regions"]] == [one.name for one in found]
    assert told["n_regions"] == len(found) == 2
    for line, one in zip(told["regions"], found, strict=True):
        assert (line["region"]["releases"], line["region"]["refusals"]) == (
            one.releases,
            one.refusals,
        )
        assert f'<td class="n">{one.releases}</td><td class="n">{one.refusals}</td>' in page
    budget = told["regions"][1]["budget"]
    assert f"≥ {budget['spent']:.3f} of {budget['limit']:.2f} (50%)" in page
    assert "limit unknown here" in page


def test_code_is_compared_with_the_latest_runs(client: TestClient) -> None:
    told = client.get("/api/v1/regions").json()
    assert [line["code"] for line in told["regions"]] == ["unknown", "differs"]
    page = client.get("/regions/part").text
    assert page.count(">differs<") == page.count(">unknown<") == 1
    assert "made by the code bbbbbbbbbbbb" in client.get("/regions/detail?name=south").text


def test_csv_has_every_region(client: TestClient) -> None:
    text = client.get("/api/v1/regions.csv").text.lstrip("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["name"], row["code_is"]) for row in rows] == [
        ("north", "unknown"),
        ("south", "differs"),
    ]
    assert (rows[0]["limit"], rows[1]["told_by"]) == ("", "receipt")
    assert [row["simulated"] for row in rows] == ["False", "True"]
    assert rows[1]["lifetime_spent"] == rows[1]["counted"]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("sort=name", "north"),
        ("sort=name&order=down", "south"),
        ("sort=refusals&order=down", "south"),
        ("sort=budget&order=down", "south"),
        ("sort=budget&order=up", "south"),  # of the other the limit is unknown
        ("sort=1;DROP&order=sideways&page=-1", "north"),
        ("page=" + "9" * 500, "north"),
    ],
    ids=["name", "down", "refusals", "fullest", "emptiest", "nonsense", "huge"],
)
def test_list_is_sorted_by_what_there_is(client: TestClient, query: str, first: str) -> None:
    page = client.get(f"/regions?{query}")
    assert page.status_code == 200
    assert page.text.index(f"detail?name={first}") == page.text.index("detail?name=")


def test_one_region_says_what_the_api_says(client: TestClient, place: str) -> None:
    told = client.get("/api/v1/regions/detail?name=south").json()
    page = client.get("/regions/detail?name=south").text
    store = open_store(place)
    one = reading_regions.region(store, "south")
    assert one is not None
    assert told["region"]["public_key"] == one.public_key
    assert one.public_key in page
    assert told["n_releases"] == len(reading_answers.releases(store, region="south"))
    store.close()
    assert told["refusals"][0]["sentence"] == "Enough."
    assert "Enough." in page
    assert f'href="/runs/{one.last_run}"' in page
    assert "No audit of this region is recorded" in page
    assert "Latest releases" in page  # on this machine everybody is an auditor


def beat(place: str, name: str, **told: Any) -> None:
    """Let the server note how a region's agent fares."""
    now = datetime.now(UTC)
    usual = {"node_id": "7", "since": None, "version": "0.1.0", "flower": "1.41", "told": now}
    usual |= {"state": "online", "last_heartbeat": None, "observed": now}
    store = open_store(place)
    with store.write() as connection:
        put(connection, Heartbeat, [usual | {"region": name} | told])
    store.close()


def test_agents_are_shown_as_they_fare_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "FRESH_SECONDS", 0.0)
    place, now = filled(tmp_path), datetime.now(UTC)
    client = at(place, tmp_path)
    assert client.get("/api/v1/regions/agents").json() == []
    assert ">Agent<" not in client.get("/regions").text
    beat(place, "north", last_heartbeat=now)
    beat(place, "south", last_heartbeat=now, observed=now - timedelta(hours=1))
    told = {one["region"]: one["state"] for one in client.get("/api/v1/regions/agents").json()}
    assert told == {"north": "online", "south": "unknown"}
    page = client.get("/regions").text
    assert page.count(">online<") == 1
    assert ">Agent<" in page
    assert ">online<" in client.get("/regions/detail?name=north").text


def test_agent_that_never_answered_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "FRESH_SECONDS", 0.0)
    place, now = filled(tmp_path), datetime.now(UTC)
    client = at(place, tmp_path)
    before = client.get("/regions").text
    assert "have not answered any run yet" not in before
    for name, state in (("aside", "never seen"), ("north", "online"), ("gone", "revoked")):
        beat(place, name, state=state, last_heartbeat=now if name == "north" else None)
    for name, state in (("offline", "offline"), ("=later", "of a later version")):
        beat(place, name, state=state, last_heartbeat=now - timedelta(days=2), version="0.0.9")
    names = ["=later", "aside", "gone", "north", "offline", "south"]
    told = client.get("/api/v1/regions").json()
    assert [line["name"] for line in told["regions"]] == names
    assert (told["n_regions"], told["n_agents"], told["n_silent"]) == (6, 5, 3)
    lines = {line["name"]: line for line in told["regions"]}
    agents = {one["region"]: one for one in client.get("/api/v1/regions/agents").json()}
    assert {name: line["agent"] for name, line in lines.items() if line["agent"]} == agents
    assert [name for name in names if lines[name]["region"]] == ["north", "south"]
    assert lines["south"]["agent"] is None
    assert lines["offline"]["code"] == "unknown"
    page = client.get("/regions").text
    assert re.findall(r'<th scope="row"><a href="/regions/detail\?name=([^"]+)"', page) == [
        quote(name, safe="") for name in names
    ]
    assert "3 of 6 are enrolled and have not answered any run yet." in page
    assert page.count("has not answered yet") == 4
    row = page.partition(">offline</a>")[2].partition("</tr>")[0]
    for shown in (">offline<", "version 0.0.9 as of", f"{now - timedelta(days=2):%H:%M} UTC"):
        assert shown in row
    assert "no heartbeat yet" in page.partition(">aside</a>")[2].partition("</tr>")[0]
    chinese = client.get("/regions", headers={"accept-language": "zh"}).text
    assert "6 个区域中有 3 个已注册" in chinese
    rows = csv.DictReader(io.StringIO(client.get("/api/v1/regions.csv").text.lstrip("\ufeff")))
    found = {row["name"]: (row["agent"], row["enrolled_version"], row["releases"]) for row in rows}
    assert found["offline"] == ("offline", "0.0.9", "")
    assert found["south"] == ("", "", found["south"][2])
    assert int(found["south"][2]) > 0


def test_agents_are_sorted_by_who_needs_a_look(tmp_path: Path) -> None:
    place = filled(tmp_path)
    states = ("online", "offline", "not registered", "revoked", "never seen", "new", "unknown")
    for number, state in enumerate(states):
        beat(place, f"region-{number}", state=state)
    client = at(place, tmp_path)
    told = client.get("/api/v1/regions?sort=agent").json()["regions"]
    assert [line["agent"] and line["agent"]["state"] for line in told] == [
        "new",
        "not registered",
        "offline",
        "never seen",
        "unknown",
        "revoked",
        "online",
        None,
        None,
    ]
    page = client.get("/regions?sort=agent&order=up").text
    assert page.index("detail?name=region-5") == page.index("detail?name=")
    for sort in ("seen", "releases", "refusals"):
        for descending in ("false", "true"):
            found = client.get(f"/api/v1/regions?sort={sort}&descending={descending}").json()
            assert {line["name"] for line in found["regions"][:2]} == {"north", "south"}


def test_region_that_never_answered_has_its_page(tmp_path: Path) -> None:
    open_store(str(tmp_path / "new.sqlite")).close()
    place = str(tmp_path / "new.sqlite")
    for name in BITING:
        beat(place, name, state="never seen", version=name)
    client = at(place, tmp_path)
    assert "There is no region yet" not in client.get("/regions").text
    for name in BITING:
        link = f"/regions/detail?name={quote(name)}"
        told = client.get(f"/api/v1{link}").json()
        assert (told["name"], told["region"], told["n_releases"]) == (name, None, 0)
        assert told["agent"]["version"] == name
        for language, words in (("en", "has not answered any run yet"), ("zh", "尚未答复过任何")):
            for path in (link, link.replace("detail?", "detail/part?")):
                page = client.get(path, headers={"accept-language": language})
                assert page.status_code == 200
                assert words in page.text
                assert "<script>alert" not in page.text
    assert client.get("/regions/detail?name=nobody").status_code == 404


def test_path_leads_to_the_page(client: TestClient) -> None:
    answer = client.get("/regions/a/b%20c")
    assert answer.headers["location"] == "/regions/detail?name=a%2Fb+c"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """Return a browser at a store whose regions, runs and refusals have names that bite."""
    folder = tmp_path_factory.mktemp("named")
    store, now = open_store(str(folder / "store.sqlite")), datetime.now(UTC)
    run = MadeUp(store.place, run="spring-1")
    recorder = run.recorder(beat_seconds=600)
    recorder.begin()
    recorder.stop()
    for name in NAMES:
        region = {"name": name, "public_key": name, "sequence": 1, "first_seen": now}
        seen = {"last_seen": now, "last_run": name, "code": name}
        refused = {"run_id": "spring-1", "round": 1, "region": name, "purpose": name}
        why = {"reason": name, "sentence": name, "received": now}
        spent = {"region": name, "public_key": name, "window": name, "source": "receipt"}
        told = {"spent": 1.0, "limit": 4.0, "delta": 1e-6, "releases": 1, "computed": now}
        with store.write() as connection:
            put(connection, Region, [region | seen])
            put(connection, Refusal, [refused | why])
            put(connection, Budget, [spent | told])
    store.close()
    return at(store.place, folder)


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_region_of_any_name_has_its_page_and_does_nothing(named: TestClient, number: int) -> None:
    name = NAMES[number]
    link = f"/regions/detail?name={quote(name)}"
    for language in ("en", "zh"):
        listed = named.get("/regions", headers={"accept-language": language})
        assert f'href="{link}"' in listed.text.replace("&amp;", "&")
        for path in (link, link.replace("detail?", "detail/part?")):
            page = named.get(path, headers={"accept-language": language})
            assert page.status_code == 200
            assert "<script>alert" not in listed.text + page.text
    assert named.get(f"/api/v1{link}").json()["region"]["name"] == name


def test_names_are_no_formulas_in_a_spreadsheet(named: TestClient) -> None:
    rows = list(csv.reader(io.StringIO(named.get("/api/v1/regions.csv").text)))
    assert len(rows) == 1 + len(NAMES)
    assert not any(cell.startswith("=") for row in rows for cell in row)


@pytest.mark.parametrize(
    "path", ["/regions/detail", "/regions/detail/part", "/api/v1/regions/detail"]
)
@pytest.mark.parametrize("name", ["nix", "%27%20OR%201=1--", "%00", "%ff", "x" * 199])
def test_region_that_is_not_there(client: TestClient, path: str, name: str) -> None:
    assert client.get(f"{path}?name={name}").status_code == 404


def test_wrong_parameters_are_told(client: TestClient) -> None:
    assert client.get("/regions/detail").status_code == 404
    for query in ("detail", "detail?name=" + "x" * 201):
        assert client.get(f"/api/v1/regions/{query}").status_code == 422
    for query in ("sort=key", "limit=0", "limit=1001", "offset=-1"):
        assert client.get(f"/api/v1/regions?{query}").status_code == 422


def test_empty_store_says_what_to_do(tmp_path: Path) -> None:
    open_store(str(tmp_path / "new.sqlite")).close()
    client = at(str(tmp_path / "new.sqlite"), tmp_path)
    assert "There is no region yet" in client.get("/regions").text
    assert "还没有区域" in client.get("/regions", headers={"accept-language": "zh"}).text
    told = client.get("/api/v1/regions").json()
    assert (told["n_regions"], told["latest_code"], told["regions"]) == (0, None, [])
