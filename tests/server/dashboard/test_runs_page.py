"""Runs: the list, one run as it happens, and what programs get of them."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.dashboard.api import cell
from server.run_store import reading
from server.run_store.opening import open_store
from server.run_store.schema import Figure, Round, Run
from tests.server.dashboard.stores import BITING, at, change, filled, poisoned


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return filled(tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def client(place: str, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return at(place, tmp_path_factory.mktemp("people"))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_list_says_how_each_run_fares(client: TestClient) -> None:
    told = client.get("/api/v1/runs").json()
    assert [(run["id"], run["status"]) for run in told["runs"]] == [
        ("summer-1", "running"),
        ("autumn-1", "interrupted"),
        ("spring-1", "completed"),
    ]
    page = client.get("/runs").text
    for name in ("summer", "autumn", "spring"):
        assert f'href="/runs/{name}-1"' in page
    assert page.index("summer-1") < page.index("autumn-1") < page.index("spring-1")


@pytest.mark.parametrize(
    ("status", "run"),
    [("running", "summer-1"), ("interrupted", "autumn-1"), ("completed", "spring-1")],
    ids=["running", "interrupted", "completed"],
)
def test_list_is_narrowed_by_the_status_that_it_shows(
    client: TestClient, status: str, run: str
) -> None:
    """Who fell silent is interrupted: on the page, to programs, and to Prometheus alike."""
    told = client.get(f"/api/v1/runs?status={status}").json()
    assert [(one["id"], one["status"]) for one in told["runs"]] == [(run, status)]
    assert told["n_runs"] == 1
    rows = table(client.get(f"/api/v1/runs.csv?status={status}").text)
    assert [(one["id"], one["status"]) for one in rows] == [(run, status)]
    page = client.get(f"/runs?status={status}").text
    assert re.findall(r'href="/runs/([^"?]+)"', page) == [run]
    assert f'fedinterest_runs{{status="{status}"}} 1.0' in client.get("/metrics").text
    assert client.get("/api/v1/overview").json()["counts"]["by_status"][status] == 1


def test_list_can_be_narrowed(client: TestClient) -> None:
    assert client.get("/api/v1/runs?name=spring").json()["n_runs"] == 1
    assert client.get("/api/v1/runs?status=completed").json()["runs"][0]["id"] == "spring-1"
    page = client.get("/runs?name=spring").text
    assert "/runs/spring-1" in page
    assert "/runs/summer-1" not in page
    assert "No such run" in client.get("/runs?name=winter").text
    assert client.get("/runs?status=nonsense&page=-1&name=").status_code == 200
    assert client.get("/api/v1/runs?status=nonsense").status_code == 422
    assert client.get("/api/v1/runs?limit=0").status_code == 422


@pytest.mark.parametrize("start", list("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"), ids=ascii)
def test_no_cell_is_run_by_a_spreadsheet(start: str) -> None:
    assert cell(f"{start}1+1") == f"'{start}1+1"
    assert cell([f"{start}1+1", "tea"]) == f"'{start}1+1; tea"


def test_words_of_a_later_program_are_shown_as_they_stand(tmp_path: Path) -> None:
    place = filled(tmp_path)
    later = {"trust_model": "shuffled", "status": "paused", "noise": "laplace"}
    change(place, Run, later, id="spring-1")
    change(place, Round, {"state": "skipped"}, run_id="spring-1")
    change(place, Figure, {"kind": "guessed"}, run_id="spring-1")
    client = at(place, tmp_path)
    for path in ("/runs", "/runs/spring-1", "/runs/spring-1/part", "/overview", "/clusters"):
        page = client.get(path)
        assert page.status_code == 200, path
    for path, words in (("/runs", ["shuffled", "paused"]), ("/runs/spring-1", ["skipped"])):
        assert all(f">{word}<" in client.get(path).text for word in words)
    assert client.get("/quality?run=spring-1").status_code == 200
    assert client.get("/privacy/releases").status_code == 200


def test_long_list_is_shown_in_parts_that_keep_what_was_asked(tmp_path: Path) -> None:
    place = filled(tmp_path)
    store = open_store(place)
    with store.write() as connection:
        row = (
            connection.execute(Run.__table__.select().where(Run.id == "spring-1")).mappings().one()
        )
        rows = [
            dict(row) | {"id": f"spring-{n}", "started": row["started"] - timedelta(days=n)}
            for n in range(2, 60)
        ]
        connection.execute(Run.__table__.insert(), rows)  # type: ignore[attr-defined]
    store.close()
    client = at(place, tmp_path)
    pages = [client.get(f"/runs?name=spring&page={n}").text for n in (1, 2, 3)]
    shown = [n for page in pages for n in range(1, 60) if f'"/runs/spring-{n}"' in page]
    assert shown == list(range(1, 60))
    assert "name=spring&amp;sort=started&amp;order=down&amp;page=2" in pages[0]
    assert client.get("/runs?page=99999").status_code == 200
    far = client.get("/api/v1/runs?offset=50&limit=20").json()
    assert (far["n_runs"], len(far["runs"])) == (61, 11)


def test_run_page_says_what_the_api_and_the_store_say(client: TestClient, place: str) -> None:
    told = client.get("/api/v1/runs/spring-1").json()
    page = client.get("/runs/spring-1").text
    store = open_store(place)
    rounds = reading.rounds(store, "spring-1")
    store.close()
    assert [line["sigma"] for line in told["rounds"]] == [line.sigma for line in rounds]
    assert told["answered"] == sum(line.answered for line in rounds) == 26
    for line in rounds:
        assert f">{line.purpose}</th>" in page
        assert f"{line.sigma:,.3f}" in page
    assert "13 of 13 questions done" in page
    assert told["run"]["statement"] in page.replace("&#39;", "'")
    assert told["has_map"]
    assert told["has_report"]
    assert table(client.get("/api/v1/runs/spring-1/rounds.csv").text)[0]["purpose"] == "mean"


def test_report_is_as_it_was_written(client: TestClient, place: str) -> None:
    answer = client.get("/api/v1/runs/spring-1/report")
    store = open_store(place)
    assert answer.text == reading.report_text(store, "spring-1")
    store.close()
    assert json.loads(answer.text)["run"]["id"] == "spring-1"
    assert client.get("/api/v1/runs/summer-1/report").status_code == 404


def test_refusals_and_interruption_are_told_in_words(client: TestClient) -> None:
    page = client.get("/runs/autumn-1").text
    assert "no sign of life for a minute" in page
    assert "Enough." in page
    assert 'href="/regions/detail?name=south"' in page


def test_releases_tell_their_noise(client: TestClient) -> None:
    lines = client.get("/api/v1/runs/spring-1/releases?limit=5").json()
    assert len(lines) == 5
    assert all(line["sigma"] > 0 and line["noise"] == "discrete" for line in lines)


@pytest.mark.parametrize("path", ["/runs/{}", "/runs/{}/part", "/api/v1/runs/{}/report"])
@pytest.mark.parametrize("name", ["nix", "..%2f..%2fetc%2fpasswd", "'%20OR%201=1--", "%00", "%ff"])
def test_run_that_is_not_there(client: TestClient, path: str, name: str) -> None:
    answer = client.get(path.format(name))
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_api_says_in_json_what_is_wrong(client: TestClient) -> None:
    answer = client.get("/api/v1/runs/nix")
    assert answer.status_code == 404
    assert answer.json()["error"] == "no-run"


@pytest.mark.parametrize("number", range(len(BITING)))
def test_what_others_sent_does_nothing(tmp_path: Path, number: int) -> None:
    words = BITING[number]
    client = at(poisoned(tmp_path, words), tmp_path)
    for path in ("/runs", "/runs/autumn-1", "/runs/summer-1"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert client.get("/api/v1/runs/autumn-1").json()["run"]["failure"] == words
    rows = table(client.get("/api/v1/runs.csv").text)
    (name,) = [row["name"] for row in rows if row["id"] == "summer-1"]
    assert name == (f"'{words}" if words.startswith("=") else words)
    assert client.get("/api/v1/runs").json()["n_runs"] == 3


def test_silence_comes_with_time_alone(place: str, tmp_path: Path) -> None:
    from server.run_store.changes import versions

    store = open_store(place)
    now = datetime.now(UTC)
    before, after = versions(store, now), versions(store, now + timedelta(hours=3))
    store.close()
    assert before["runs"] != after["runs"]
    assert before["audits"] == after["audits"]


def test_status_of_a_run_that_failed(tmp_path: Path) -> None:
    place = filled(tmp_path)
    values = {"status": "failed", "failure_type": "TimeoutError", "failure": "Nobody answered."}
    change(place, Run, values, id="summer-1")
    page = at(place, tmp_path).get("/runs/summer-1").text
    assert "It failed: TimeoutError Nobody answered." in page
