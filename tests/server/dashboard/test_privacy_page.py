"""Privacy: budgets and verdicts for all; single releases and signed reports for auditors."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import fedinterest
from privacy.audit.auditing import audit
from privacy.audit.document import present_setting
from privacy.signing import SigningKey
from server.audit_files import write_audit
from server.dashboard.settings import Settings
from server.dashboard.site import create_site
from server.run_store import audits, reading_answers, reading_regions
from server.run_store.audits import record_audit
from server.run_store.opening import open_store
from server.run_store.reading_budgets import budget_states
from server.run_store.schema import Audit, AuditedLedger, Refusal
from tests.privacy.audit.runs import a_run
from tests.server.dashboard.site import browser, guarded, log_in, with_users
from tests.server.dashboard.stores import BITING, at, change, filled

SINGLE = ("/privacy/releases", "/api/v1/releases", "/api/v1/releases.csv")
"""What shows single releases."""


@dataclass(frozen=True)
class Scene:
    """A store with a signed audit of real ledgers, and what the officer has of it."""

    place: str
    folder: Path
    officer: SigningKey
    number: str


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("audited")
    return audited(folder, filled(folder))


def audited(folder: Path, place: str) -> Scene:
    a_run(folder)
    found = audit([folder / "ledgers"], with_details=True)
    setting, officer = present_setting(), SigningKey.create(folder / "officer.key")
    write_audit(folder / "out", found, setting, officer)
    store = open_store(place)
    number = record_audit(store, found, setting, paths=[folder / "ledgers"], key=officer)
    store.close()
    return Scene(place, folder, officer, number)


def copied(scene: Scene, folder: Path) -> str:
    place = str(folder / "copy.sqlite")
    with closing(sqlite3.connect(scene.place)) as source, closing(sqlite3.connect(place)) as copy:
        source.backup(copy)
    return place


@pytest.fixture(scope="module")
def client(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    return at(scene.place, tmp_path_factory.mktemp("people"))


def person(scene: Scene, folder: Path, name: str) -> TestClient:
    app = create_site(Settings(store=scene.place, **guarded_by(folder)))
    client = browser(app)
    assert log_in(client, name).status_code == 303
    return client


def guarded_by(folder: Path) -> dict[str, object]:
    told = guarded(with_users(folder))
    names = ("data", "trusted_proxies", "allowed_hosts")
    return {name: getattr(told, name) for name in names}


def checked(path: Path, officer: str) -> tuple[int, str]:
    told = CliRunner().invoke(
        fedinterest.app, ["audit", "--check", str(path), "--officer", officer]
    )
    return told.exit_code, told.output


def test_downloaded_report_is_the_officers_and_its_signature_holds(
    scene: Scene, client: TestClient, tmp_path: Path
) -> None:
    answer = client.get(f"/api/v1/audits/{scene.number}/document")
    assert answer.content == (scene.folder / "out" / "audit.json").read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.json"'
    path = tmp_path / "audit.json"
    path.write_bytes(answer.content)
    status, told = checked(path, scene.officer.public)
    assert status == 0
    assert scene.number in told  # the page names the very digest that --check prints
    page = client.get(f"/privacy/audits/{scene.number}").text
    assert f"--check audit.json --officer {scene.officer.public}" in page
    assert scene.number in (scene.folder / "out" / "audit.html").read_text(encoding="utf-8")

    path.write_bytes(answer.content.replace(b'"verdict":"PASS"', b'"verdict":"FAIL"', 1))
    assert checked(path, scene.officer.public)[0] == 1
    stranger = SigningKey.create(tmp_path / "stranger.key").public
    path.write_bytes(answer.content)
    assert checked(path, stranger)[0] == 1


def test_large_report_is_signed_without_its_releases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "LONGEST_DOCUMENT", 3000)
    scene = audited(tmp_path, str(tmp_path / "store.sqlite"))
    answer = at(scene.place, tmp_path).get(f"/api/v1/audits/{scene.number}/document")
    whole = (tmp_path / "out" / "audit.json").read_bytes()
    assert len(answer.content) < len(whole)
    assert not any("released" in one for one in json.loads(answer.text)["audit"]["ledgers"])
    (tmp_path / "short.json").write_bytes(answer.content)
    status, told = checked(tmp_path / "short.json", scene.officer.public)
    assert (status, scene.number in told) == (0, True)


def test_what_is_not_signed_is_not_called_signed(tmp_path: Path) -> None:
    folder, place = tmp_path, str(tmp_path / "store.sqlite")
    a_run(folder)
    store = open_store(place)
    number = record_audit(store, audit([folder / "ledgers"]), present_setting(), paths=[folder])
    store.close()
    client = at(place, folder)
    page = client.get(f"/privacy/audits/{number}").text
    assert "Nobody signed this audit" in page
    assert "Download the summary, not signed" in page
    assert client.get(f"/api/v1/audits/{number}").json()["has_signature"] is False
    # As earlier programs kept it: the key of who signed, and a summary that was not.
    change(place, Audit, {"signed_by": "c" * 64})
    page = at(place, folder).get(f"/privacy/audits/{number}").text
    assert "cannot be checked against the signature" in page
    assert "--check audit.json --officer" not in page


def test_budgets_page_says_what_the_api_and_the_store_say(scene: Scene, client: TestClient) -> None:
    told = client.get("/api/v1/privacy").json()
    page = client.get("/privacy").text
    store = open_store(scene.place)
    states = budget_states(store)
    store.close()
    assert told["n_budgets"] == len(states) == 4  # two regions that answered, two audited ledgers
    for line, state in zip(told["budgets"], states, strict=True):
        assert (line["region"], line["spent"], line["limit"]) == (
            state.region,
            state.spent,
            state.limit,
        )
        limit = "limit unknown here" if state.limit is None else f"of {state.limit:.2f}"
        assert f"≥ {state.spent:.3f}" in page
        assert limit in page
    assert [one.region for one in states] == ["east", "west", "north", "south"]
    assert "a lower bound" in page
    assert "told by an audit" in page
    assert told["latest_audit"]["id"] == scene.number


def test_budgets_of_one_region(client: TestClient) -> None:
    page = client.get("/privacy?region=north&sort=spent&order=up").text
    assert "detail?name=north" in page
    assert "detail?name=south" not in page
    assert "/api/v1/budgets.csv?region=north" in page
    rows = list(csv.reader(io.StringIO(client.get("/api/v1/budgets.csv?region=north").text)))
    assert [row[0] for row in rows[1:]] == ["north"]
    assert "Nothing of that kind" in client.get("/privacy?region=nix").text


def test_releases_are_the_stores_in_all_forms(scene: Scene, client: TestClient) -> None:
    store = open_store(scene.place)
    lines = reading_answers.releases(store, region="north", run_id="spring-1")
    store.close()
    query = "?region=north&run=spring-1"
    told = client.get(f"/api/v1/releases{query}").json()
    page = client.get(f"/privacy/releases{query}").text
    rows = list(csv.DictReader(io.StringIO(client.get(f"/api/v1/releases.csv{query}").text)))
    assert told["n_releases"] == len(lines) == len(rows) == 13
    assert [line["sigma"] for line in told["releases"]] == [line.sigma for line in lines]
    assert [float(row["sigma"]) for row in rows] == [line.sigma for line in lines]
    assert told["runs"]["spring-1"]["trust_model"] == "local"
    for line in lines:
        assert f"{line.round}: {line.purpose}" in page
        assert f'<td class="n">{line.sigma:.4g}</td>' in page
    assert "local trust" in page


def test_beyond_what_can_be_paged_through_the_last_such_page_is_shown_as_what_it_is(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.dashboard.pages.privacy.SIZE", 2)
    monkeypatch.setattr("server.dashboard.pages.privacy.MOST_LISTED", 4)
    client = at(scene.place, tmp_path)
    pages = [client.get(f"/privacy/releases?page={n}").text for n in (1, 2, 3, 9)]
    shown = [re.findall(r"<td>(\d+: [^<]+)</td>", page) for page in pages]
    store = open_store(scene.place)
    lines = [f"{line.round}: {line.purpose}" for line in reading_answers.releases(store, limit=4)]
    store.close()
    assert shown == [lines[:2], lines[2:], lines[2:], lines[2:]]
    assert all("2 of 2" in page for page in pages[1:])


def test_refusals_are_told_in_their_words(client: TestClient) -> None:
    told = client.get("/api/v1/refusals?region=south").json()
    assert told["n_refusals"] == 2
    assert client.get("/privacy/refusals?region=south").text.count("Enough.") == 2
    assert client.get("/api/v1/refusals.csv?run=summer-1").text.count("Enough.") == 1
    assert "Nothing of that kind" in client.get("/privacy/refusals?run=nix").text


def test_viewers_see_verdicts_and_auditors_the_reports(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    change(scene.place, AuditedLedger, {"faults": ["Record 3 was changed."]}, region="east")
    viewer, auditor = (
        person(scene, tmp_path_factory.mktemp("people"), name) for name in ("maria", "chen")
    )
    document = f"/api/v1/audits/{scene.number}/document"
    findings = f"/api/v1/audits/{scene.number}/findings"
    for path in (*SINGLE, document, findings, "/api/v1/runs/spring-1/releases"):
        assert viewer.get(path).status_code == 403, path
        assert auditor.get(path).status_code == 200, path
    page = viewer.get(f"/privacy/audits/{scene.number}").text
    assert "passed" in page
    assert "Auditors can download the report." in page
    assert "Record 3 was changed." not in page
    assert document not in page
    told = auditor.get(f"/privacy/audits/{scene.number}").text
    assert "east: Record 3 was changed." in told
    assert document in told
    for path in ("/privacy", "/privacy/refusals", "/privacy/audits", "/regions/detail?name=north"):
        page = viewer.get(path).text
        assert "Auditors see more" in page, path
        assert "Latest releases" not in page
        assert "/privacy/releases" not in page
        assert "Auditors see more" not in auditor.get(path).text
    assert "Latest releases" in auditor.get("/regions/detail?name=north").text
    assert "verdict" in viewer.get(f"/api/v1/audits/{scene.number}").text
    assert "Record 3" not in viewer.get(f"/api/v1/audits/{scene.number}").text
    change(scene.place, AuditedLedger, {"faults": []}, region="east")


def test_audits_list_and_ledgers(scene: Scene, client: TestClient) -> None:
    store = open_store(scene.place)
    (line,) = reading_regions.audits(store)
    store.close()
    told = client.get("/api/v1/audits").json()
    assert (told["n_audits"], told["audits"][0]["id"]) == (1, line.id)
    page = client.get("/privacy/audits").text
    assert line.signed_by[:12] in page
    assert "simulated" in page
    ledgers = client.get(f"/api/v1/audits/{line.id}").json()["ledgers"]
    assert {one["region"] for one in ledgers} == {"east", "west"}
    assert client.get(f"/privacy/audits/{line.id}?page=7").status_code == 200


@pytest.mark.parametrize(
    "path", ["/privacy/audits/{}", "/api/v1/audits/{}", "/api/v1/audits/{}/document"]
)
@pytest.mark.parametrize("name", ["nix", "'%20OR%201=1--", "..%2f..%2fetc%2fpasswd", "%00", "%ff"])
def test_audit_that_is_not_there(client: TestClient, path: str, name: str) -> None:
    answer = client.get(path.format(name))
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("number", range(len(BITING)))
def test_what_others_sent_does_nothing(scene: Scene, tmp_path: Path, number: int) -> None:
    words, place = BITING[number], copied(scene, tmp_path)
    change(place, Refusal, {"sentence": words, "region": words}, run_id="summer-1")
    change(place, AuditedLedger, {"region": words, "faults": [words], "verdict": words})
    change(place, Audit, {"paths": [words], "verdict": words})
    client = at(place, tmp_path)
    query = {"region": words, "run": words}
    for language in ("en", "zh"):
        client.headers["accept-language"] = language
        for path in ("", "/refusals", "/releases", "/audits", f"/audits/{scene.number}"):
            for asked in ({}, query):
                page = client.get(f"/privacy{path}", params=asked)
                assert page.status_code == 200
                assert "<script>alert" not in page.text
                assert "<img src=x" not in page.text
    assert client.get("/api/v1/refusals", params={"region": words}).json()["n_refusals"] == 1
    text = client.get("/api/v1/refusals.csv").text
    assert all(not row[2].startswith("=") for row in csv.reader(io.StringIO(text)))


def test_wrong_parameters_are_told_to_programs_and_ignored_on_pages(client: TestClient) -> None:
    for query in ("sort=key", "limit=0", "offset=-1", "region=" + "x" * 201):
        assert client.get(f"/api/v1/privacy?{query}").status_code == 422
    for query in ("sort=key", "page=x", "page=9999999", "order=sideways", "region=" + "x" * 300):
        for path in ("/privacy", "/privacy/releases", "/privacy/refusals", "/privacy/audits"):
            assert client.get(f"{path}?{query}").status_code == 200, (path, query)


def test_empty_store_says_what_to_do(tmp_path: Path) -> None:
    open_store(str(tmp_path / "new.sqlite")).close()
    client = at(str(tmp_path / "new.sqlite"), tmp_path)
    for path, told in (
        ("/privacy", "Nothing was spent yet"),
        ("/privacy/releases", "There is no release yet"),
        ("/privacy/refusals", "Nothing was refused"),
        ("/privacy/audits", "No audit is recorded yet"),
    ):
        assert told in client.get(path).text
    chinese = client.get("/privacy/audits", headers={"accept-language": "zh"}).text
    assert "还没有审计记录" in chinese
    assert client.get("/api/v1/releases.csv").text.count("\n") == 1
    assert client.get("/api/v1/audits").json() == {"n_audits": 0, "audits": []}


def test_releases_of_a_store_that_goes_away_are_refused_in_words(
    scene: Scene, tmp_path: Path
) -> None:
    place = copied(scene, tmp_path)
    client = at(place, tmp_path)
    assert client.get("/api/v1/releases.csv").status_code == 200
    store = open_store(place)
    with store.write() as connection:
        connection.exec_driver_sql("DROP TABLE release")
    store.close()
    answer = client.get("/api/v1/releases.csv")
    assert (answer.status_code, answer.json()["error"]) == (503, "store")
