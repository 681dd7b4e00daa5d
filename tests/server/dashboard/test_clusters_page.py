"""Clusters: what the page shows is what the store has, with its noise; and two maps compared."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from server.dashboard.language import Speech
from server.dashboard.views.cluster_charts import MOST_BARS, groups_chart, sizes_chart
from server.dashboard.views.clusters import ClusterRow, clusters_page, mapped_run
from server.dashboard.views.comparison import comparison_page, matched, words_of
from server.run_store import reading
from server.run_store.opening import Store, open_store
from server.run_store.putting import put
from server.run_store.schema import Cluster, Figure, Map, Run
from tests.server.dashboard.site import ATTACK
from tests.server.dashboard.stores import at
from tests.server.run_store.examples import STARTED, MadeUp

NAMES = [
    ATTACK,
    "'; DROP TABLE run; --",
    "../../etc/passwd",
    "a/b/part",
    "%2e%2e%2f",
    "c.csv",
    "a b+c&d=e#f?g",
    "图一",
]
IDS = ["markup", "sql", "dots", "slashes", "escapes", "ending", "query", "chinese"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "runs.sqlite"


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    made = open_store(str(place))
    yield made
    made.close()


@pytest.fixture
def client(store: Store, place: Path, tmp_path: Path) -> TestClient:
    return at(str(place), tmp_path / "people")


def ask(client: TestClient, path: str, language: str = "en") -> Any:
    return client.get(path, headers={"accept": "text/html", "accept-language": language})


def a_line(number: int, size: float, **others: Any) -> dict[str, Any]:
    told = {
        "number": number,
        "label": f"Interest {number}",
        "terms": [f"term {number}", f"word {number}", f"thing {number}"],
        "items": [f"ITEM {number}"],
        "noisy_size": size,
        "size_noise": 10.0,
        "parent": number % 2,
        "x": 0.1 * number,
        "y": -0.2 * number,
    }
    return told | others


def add_run(store: Store, run: str, *, days: int = 0, name: str = "weekly", **told: Any) -> None:
    started = STARTED + timedelta(days=days)
    row = {
        "id": run,
        "name": name,
        "version": "1",
        "code": "c" * 64,
        "trust_model": "central",
        "epsilon": 2.0,
        "delta": 1e-6,
        "declared_users": 1000,
        "n_clients": 3,
        "noise": "discrete",
        "simulated": False,
        "started": started,
        "updated": started,
        "seconds": 9.0,
        "status": "completed",
        "failure_type": None,
        "failure": None,
        "resumed": 0,
        "config": {},
        "plan": [],
        "statement": None,
    }
    with store.write() as connection:
        put(connection, Run, [row | told])


def add_map(
    store: Store,
    run: str,
    lines: Sequence[dict[str, Any]],
    *,
    days: int = 0,
    name: str = "weekly",
    noise: float | None = 10.0,
    warning: str | None = None,
    n_groups: int = 2,
    **told: Any,
) -> None:
    """Add a run with a map of so many groups."""
    add_run(store, run, days=days, name=name, **told)
    groups = [
        {"id": part, "label": f"Group {part}", "terms": ["g"], "noisy_size": 100.0 * part}
        for part in range(n_groups)
    ]
    row = {
        "run_id": run,
        "version": days + 1,
        "k": len(lines),
        "n_groups": len(groups),
        "size_noise": noise,
        "warning": warning,
        "groups": groups,
    }
    with store.write() as connection:
        put(connection, Map, [row])
        put(connection, Cluster, [{"run_id": run, **line, "size_noise": noise} for line in lines])


def words(text: str) -> str:
    """Return a page's words without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def charts(text: str) -> list[str]:
    return re.findall(r'data-chart="([^"]+)"', text)


# Nothing there


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_a_map_the_page_says_what_to_do(client: TestClient, language: str) -> None:
    found = ask(client, "/clusters", language)
    assert found.status_code == 200
    assert "fedinterest demo" in found.text
    assert {"en": "no map yet", "zh": "还没有聚类图"}[language] in found.text
    assert client.get("/api/v1/clusters").json()["shown"] is None
    assert len(client.get("/api/v1/clusters.csv").text.splitlines()) == 1
    compared = ask(client, "/clusters/compare", language)
    assert compared.status_code == 200
    assert client.get("/api/v1/clusters/compare").json()["right"] is None


def test_with_one_map_there_is_nothing_to_compare(client: TestClient, store: Store) -> None:
    add_map(store, "one", [a_line(0, 50.0), a_line(1, 60.0)])
    assert "not two maps" in ask(client, "/clusters/compare").text
    assert "Compare with the map before" not in ask(client, "/clusters").text


@pytest.mark.parametrize(
    "run", ["no-such", "without-map", "\0", *NAMES], ids=["none", "no map", "nul", *IDS]
)
@pytest.mark.parametrize(
    "path", ["/clusters?run={}", "/clusters/compare?left={}", "/clusters/compare?right={}"]
)
def test_run_without_map_is_told_so_in_words(
    client: TestClient, store: Store, path: str, run: str
) -> None:
    add_run(store, "without-map")
    add_map(store, "one", [a_line(0, 50.0), a_line(1, 60.0)])
    found = ask(client, path.format(quote(run, safe="")))
    assert found.status_code == 404
    assert "There is no such map" in found.text
    assert "<script>alert" not in found.text
    answer = client.get("/api/v1" + path.format(quote(run, safe="")))
    assert (answer.status_code, answer.json()["error"]) == (404, "no-map")


@pytest.mark.parametrize(
    "query",
    ["sort=nonsense", "order=sideways", "page=-1", "page=99999", "page=x", "run=&left=&right="],
    ids=["sort", "order", "negative", "far", "no number", "empty"],
)
def test_wrong_parameters_are_as_if_they_were_not_there(
    client: TestClient, store: Store, query: str
) -> None:
    add_map(store, "one", [a_line(0, 50.0), a_line(1, 60.0)])
    add_map(store, "two", [a_line(0, 50.0), a_line(1, 60.0)], days=1)
    paths = ("/clusters", "/clusters/compare")
    for path in (*paths, *(f"/api/v1{path}" for path in paths), "/api/v1/clusters.csv"):
        assert ask(client, f"{path}?{query}").status_code == 200


@pytest.mark.parametrize("path", ["/clusters", "/api/v1/clusters", "/api/v1/clusters.csv"])
def test_endless_run_is_refused_in_words(client: TestClient, path: str) -> None:
    assert ask(client, f"{path}?run={'x' * 5000}").status_code == 422


# One map


def test_page_api_and_store_tell_the_same(client: TestClient, store: Store, place: Path) -> None:
    made = MadeUp(str(place))
    recorder = made.recorder(beat_seconds=600)
    recorder.begin()
    made.play(13, recorder)
    recorder.complete(made.report())
    recorder.stop()
    found = reading.cluster_map(store, "spring-1")
    assert found is not None
    figures = {line.name: line for line in reading.figures(store, "spring-1")}
    page = words(ask(client, "/clusters?run=spring-1").text)
    told = client.get("/api/v1/clusters?run=spring-1").json()
    assert [line["name"] for line in told["figures"]][:3] == [
        "clustering.k",
        "clustering.noisy_users",
        "clustering.silhouette",
    ]
    for line in told["figures"]:
        known = figures[line["name"]]
        assert (line["value"], line["noise"]) == (known.value, known.noise)
    silhouette = figures["clustering.silhouette"]
    assert f"{silhouette.value:.3f} ± {silhouette.noise:.3f}" in page
    assert "local trust" in page
    assert "released, noisy" in page
    assert told["shown"]["run"]["trust_model"] == "local"
    by_number = {line["number"]: line for line in told["shown"]["clusters"]}
    assert len(by_number) == found.k == 2
    for line in found.clusters:
        assert by_number[line.number]["noisy_size"] == line.noisy_size
        assert by_number[line.number]["terms"] == line.terms
        assert f"{line.label} {line.noisy_size:.0f} ± {line.size_noise:.0f}" in page
    listed = client.get("/api/v1/clusters.csv?run=spring-1")
    rows = list(csv.DictReader(io.StringIO(listed.text.lstrip("\ufeff"))))
    assert [float(row["noisy_size"]) for row in rows] == [60.4, 39.6]
    assert {(row["run"], row["trust_model"]) for row in rows} == {("spring-1", "local")}


def test_latest_map_is_shown_and_an_older_one_by_choice(client: TestClient, store: Store) -> None:
    for day in range(3):
        add_map(store, f"run-{day}", [a_line(0, 100.0 + day), a_line(1, 60.0)], days=day)
    add_run(store, "under-way", days=9)
    assert client.get("/api/v1/clusters").json()["shown"]["run"]["id"] == "run-2"
    page = ask(client, "/clusters?run=run-1").text
    assert '<option value="run-1" selected>' in page
    assert "left=run-0&amp;right=run-1" in page
    assert "under-way" not in page


def test_map_before_is_of_the_same_name_if_there_is_one(store: Store) -> None:
    two = [a_line(0, 50.0), a_line(1, 60.0)]
    for day, name in enumerate(["weekly", "monthly", "weekly"]):
        add_map(store, f"run-{day}", two, days=day, name=name)
    latest, monthly = clusters_page(store, "run-2"), clusters_page(store, "run-1")
    assert latest is not None
    assert monthly is not None
    assert (latest.before, monthly.before) == ("run-0", "run-0")


def test_clusters_in_the_noise_are_marked_and_counted(client: TestClient, store: Store) -> None:
    lines = [a_line(0, 19.9), a_line(1, 20.0), a_line(2, -35.0)]
    add_map(store, "one", lines, warning="Two clusters are in the noise.")
    found = client.get("/api/v1/clusters").json()["shown"]
    assert [(row["number"], row["rises"]) for row in found["clusters"]] == [
        (1, True),
        (0, False),
        (2, False),
    ]
    page = ask(client, "/clusters").text
    assert "Two clusters are in the noise." in page
    assert "2 of 3 do not rise above the noise" in page
    assert page.count(">in the noise</span>") == found["n_in_noise"] == 2
    assert "\N{MINUS SIGN}35 ± 10" in page


def test_noise_that_is_not_known_marks_nothing(client: TestClient, store: Store) -> None:
    add_map(store, "one", [a_line(0, -5.0), a_line(1, 60.0)], noise=None)
    found = client.get("/api/v1/clusters").json()["shown"]
    assert [row["rises"] for row in found["clusters"]] == [None, None]
    page = ask(client, "/clusters").text
    assert ">in the noise</span>" not in page
    assert "How large the noise is, is not known." in page


def test_groups_have_the_noise_of_the_sum_of_their_clusters(store: Store) -> None:
    add_map(store, "one", [a_line(number, 50.0) for number in range(7)])
    shown = mapped_run(store, "one")
    assert shown is not None
    assert {group.label: group.n_clusters for group in shown.groups} == {"Group 0": 4, "Group 1": 3}
    for group in shown.groups:
        assert group.size_noise == pytest.approx(10.0 * math.sqrt(group.n_clusters))
    assert {row[1] for row in groups_chart(shown, Speech("en")).rows} == {"Group 0", "Group 1"}


def test_map_without_groups_has_no_chart_of_them(client: TestClient, store: Store) -> None:
    add_map(store, "one", [a_line(0, 50.0), a_line(1, 60.0)], n_groups=0)
    assert charts(ask(client, "/clusters").text) == ["places", "sizes"]
    add_map(store, "two", [a_line(number, 50.0) for number in range(3)], days=1)
    assert charts(ask(client, "/clusters?run=two").text) == ["places", "groups", "sizes"]


def test_long_maps_are_paged_and_the_chart_says_how_many_it_shows(
    client: TestClient, store: Store
) -> None:
    add_map(store, "one", [a_line(number, 1000.0 - number) for number in range(120)])
    shown = mapped_run(store, "one")
    assert shown is not None
    chart = sizes_chart(shown, Speech("en"))
    assert len(chart.rows) == MOST_BARS
    assert f"the {MOST_BARS} largest of 120" in chart.title
    first, last = ask(client, "/clusters").text, ask(client, "/clusters?page=3").text
    assert "Page 1 of 3" in words(first)
    assert first.count("1 typical items") == 50
    assert last.count("1 typical items") == 20
    down = ask(client, "/clusters?sort=size&order=up&page=1").text
    assert re.findall(r'<th scope="row">Interest (\d+)</th>\n<td', down)[0] == "119"


def test_clusters_that_are_called_the_same_are_told_apart_in_charts(store: Store) -> None:
    add_map(store, "one", [a_line(0, 50.0, label="Tea"), a_line(1, 60.0, label="Tea")])
    shown = mapped_run(store, "one")
    assert shown is not None
    assert [row[0] for row in sizes_chart(shown, Speech("en")).rows] == ["Tea (1)", "Tea (0)"]


@pytest.mark.parametrize("name", NAMES, ids=IDS)
def test_names_and_labels_may_hold_anything(client: TestClient, store: Store, name: str) -> None:
    lines = [
        a_line(0, 50.0, label=name, terms=[name, "a", "b"], items=[name]),
        a_line(1, 60.0, label=f"{name}2"),
    ]
    add_map(store, "before", lines, name=name, warning=name)
    add_map(store, name, lines, days=1, name=name, warning=name)
    path = f"/clusters?run={quote(name, safe='')}"
    for address in (path, "/clusters", "/clusters/compare", f"{path}&sort=label&order=up"):
        found = ask(client, address)
        assert found.status_code == 200
        assert "<script>alert" not in found.text
    told = client.get(f"/api/v1{path}").json()["shown"]
    assert told["run"]["id"] == name
    assert told["clusters"][1]["label"] == name
    # The links that the page itself gives lead to the same run.
    for link in re.findall(r'href="(/[^"]*(?:run|right)=[^"]*)"', ask(client, path).text):
        assert client.get(link.replace("&amp;", "&")).status_code == 200


def test_formulas_are_not_run_by_spreadsheets(client: TestClient, store: Store) -> None:
    add_map(store, "one", [a_line(0, 50.0, label="=1+1"), a_line(1, 60.0)])
    rows = list(
        csv.DictReader(io.StringIO(client.get("/api/v1/clusters.csv").text.lstrip("\ufeff")))
    )
    assert rows[1]["label"] == "'=1+1"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_simulated_and_unpromised_runs_say_so(
    client: TestClient, store: Store, language: str
) -> None:
    two = [a_line(0, 50.0), a_line(1, 60.0)]
    add_map(store, "one", two, simulated=True, epsilon=None)
    add_map(store, "two", two, days=1)
    told = {
        "en": ("protects nobody", "nothing is promised"),
        "zh": ("不保护任何人", "没有任何承诺"),
    }
    page = ask(client, "/clusters?run=one", language).text
    assert all(sentence in page for sentence in told[language])
    assert told[language][0] not in ask(client, "/clusters?run=two", language).text
    assert told[language][0] in ask(client, "/clusters/compare", language).text


def test_oracle_figures_are_marked_as_such(client: TestClient, store: Store) -> None:
    add_map(store, "one", [a_line(0, 50.0), a_line(1, 60.0)])
    cost = {"run_id": "one", "name": "clustering.normalized_cost", "value": 1.0721, "noise": None}
    with store.write() as connection:
        put(connection, Figure, [cost | {"kind": "oracle"}])
    page = ask(client, "/clusters").text
    assert "1.072" in page
    assert 'class="tag oracle"' in page


# Two maps


def a_row(number: int, label: str, terms: Sequence[str], size: float = 50.0) -> ClusterRow:
    return ClusterRow(
        number=number,
        label=label,
        group=None,
        noisy_size=size,
        size_noise=3.0,
        rises=True,
        terms=list(terms),
        items=[],
        x=0.0,
        y=0.0,
    )


def test_words_are_terms_and_those_of_the_label() -> None:
    assert words_of(a_row(0, "Soft drinks, TEA", ["Green tea"])) == {
        "soft",
        "drinks",
        "tea",
        "green tea",
    }
    assert words_of(a_row(0, "Cluster 3", [])) == frozenset()


def test_matching_is_the_best_for_all_together_and_not_for_the_first() -> None:
    # Taking the most alike pair first (3 words of 4) would leave the first without a partner.
    left = [a_row(0, "", ["a", "b", "c"]), a_row(1, "", ["b", "c", "d", "e"])]
    right = [a_row(0, "", ["b", "c", "d"]), a_row(1, "", ["d", "e", "f", "g"])]
    pairs = {
        (pair.left.number, pair.right.number): pair.similarity for pair in matched(left, right)
    }
    assert pairs == {(0, 0): pytest.approx(2 / 4), (1, 1): pytest.approx(2 / 6)}


def test_pairs_with_too_few_words_in_common_are_none() -> None:
    left = [a_row(0, "", ["a", *"bcdef"])]
    assert matched(left, [a_row(0, "", ["a", *"uvwxy"])]) == []
    assert len(matched(left, [a_row(0, "", ["a", *"bcxyz"])])) == 1
    assert matched([a_row(0, "Cluster 1", [])], [a_row(0, "Cluster 1", [])]) == []
    assert matched([], left) == matched(left, []) == []


def test_pairs_that_are_none_take_no_cluster_away() -> None:
    # Two pairs of 2 words in 11 add up to more than one of 3 in 10, and neither counts.
    left = [a_row(0, "", "abcdef"), a_row(1, "", "gh1234")]
    right = [a_row(0, "", "abcghij"), a_row(1, "", "de56789")]
    assert [(pair.left.number, pair.right.number) for pair in matched(left, right)] == [(0, 0)]


def test_differences_are_told_with_the_noise_of_both(client: TestClient, store: Store) -> None:
    add_map(store, "old", [a_line(0, 100.0), a_line(1, 100.0), a_line(2, 70.0)], noise=3.0)
    lines = [a_line(7, 110.0) | {"label": "Interest 0", "terms": a_line(0, 0.0)["terms"]}]
    lines += [a_line(1, 110.1), a_line(9, 44.0)]
    add_map(store, "new", lines, days=1, noise=4.0)
    told = client.get("/api/v1/clusters/compare?left=old&right=new").json()
    found = {pair["left"]["number"]: pair for pair in told["pairs"]}
    assert found.keys() == {0, 1}
    assert found[0]["right"]["number"] == 7
    assert (found[0]["similarity"], found[0]["difference"]) == (1.0, 10.0)
    assert found[0]["difference_noise"] == 5.0
    assert (found[0]["exceeds"], found[1]["exceeds"]) == (False, True)
    assert [row["number"] for row in told["only_left"]] == [2]
    assert [row["number"] for row in told["only_right"]] == [9]
    assert told["n_exceeding"] == 1
    assert told["n_by_chance"] == pytest.approx(2 * 0.0455, abs=1e-4)
    page = ask(client, "/clusters/compare?left=old&right=new").text
    assert charts(page) == ["places-left", "places-right", "changes"]
    assert page.count(">beyond the noise</span>") == 1
    assert "10 ± 5" in page
    assert "neither directions nor places" in page


def test_unknown_noise_gives_no_verdict(client: TestClient, store: Store) -> None:
    add_map(store, "old", [a_line(0, 100.0), a_line(1, 60.0)], noise=None)
    add_map(store, "new", [a_line(0, 900.0), a_line(1, 60.0)], days=1)
    found = client.get("/api/v1/clusters/compare").json()
    assert [pair["exceeds"] for pair in found["pairs"]] == [None, None]
    assert found["n_by_chance"] == 0
    assert "noise unknown" in ask(client, "/clusters/compare").text


def test_by_default_the_latest_map_is_compared_with_the_one_before(store: Store) -> None:
    two = [a_line(0, 50.0), a_line(1, 60.0)]
    for day, name in enumerate(["weekly", "monthly", "weekly"]):
        add_map(store, f"run-{day}", two, days=day, name=name)

    def sides(*asked: str | None) -> tuple[str, str]:
        page = comparison_page(store, *asked)
        assert page is not None
        assert page.left is not None
        assert page.right is not None
        return page.left.run.id, page.right.run.id

    assert sides(None, None) == ("run-0", "run-2")
    assert sides("run-2", None) == ("run-2", "run-1")
    assert sides(None, "run-1") == ("run-0", "run-1")
    assert sides(None, "run-0") == ("run-2", "run-0")


def test_a_map_with_itself_is_not_compared(client: TestClient, store: Store) -> None:
    add_map(store, "one", [a_line(0, 50.0), a_line(1, 60.0)])
    path = "/clusters/compare?left=one&right=one"
    told = client.get(f"/api/v1{path}").json()
    assert told["pairs"] == told["only_left"] == told["only_right"] == []
    assert "The same run twice" in ask(client, path).text


def test_long_comparisons_are_paged(client: TestClient, store: Store) -> None:
    lines = [a_line(number, 1000.0 - number) for number in range(60)]
    strangers = [a_line(number, 500.0) for number in range(100, 140)]
    add_map(store, "old", [*lines, *strangers])
    add_map(store, "new", lines, days=1)
    page = ask(client, "/clusters/compare").text
    assert "Page 1 of 3" in words(page)
    assert "The 25 largest of 40" in page
    assert len(client.get("/api/v1/clusters/compare").json()["only_left"]) == 40
    for link in re.findall(r'href="(/clusters/compare\?[^"]+)"', page):
        assert client.get(link.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("language", ["en", "zh"])
def test_charts_are_kept_for_each_language(client: TestClient, store: Store, language: str) -> None:
    add_map(store, "one", [a_line(0, 50.0), a_line(1, 60.0), a_line(2, 61.0)])
    for _ in range(2):
        for other in ("en", "zh"):
            ask(client, "/clusters", other)
    told = {
        "en": ("Where clusters lie", "各聚类的位置"),
        "zh": ("各聚类的位置", "Where clusters lie"),
    }
    mine, others = told[language]
    page = ask(client, "/clusters", language).text
    assert mine in page
    assert others not in page
