"""News of a page that is open: whatever it asks with, it is told truly, and nothing is done."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from server.dashboard import stored
from server.dashboard.news import mark
from server.run_store.opening import Store, open_store
from tests.server.dashboard.site import ATTACK
from tests.server.dashboard.stores import at
from tests.server.dashboard.test_clusters_page import a_line, add_map

LINES = [a_line(0, 50.0), a_line(1, 60.0)]
PAGES = ["/clusters", "/clusters/compare", "/quality"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(str(tmp_path / "runs.sqlite"))
    yield made
    made.close()


@pytest.fixture
def client(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(stored, "FRESH_SECONDS", 0.0)
    return at(store.place, tmp_path / "people")


def asked_by(client: TestClient, path: str) -> str:
    """Return where a page asks for its news."""
    found = re.search(r'hx-get="([^"]+/news[^"]*)"', client.get(path).text)
    assert found
    return html.unescape(found[1])


def test_marks_differ_where_what_is_shown_does() -> None:
    marks = [mark("a", "b"), mark("ab"), mark("a", None), mark("a", "None"), mark(), mark(1.0)]
    assert len(set(marks)) == len(marks)
    assert mark("a", 0.1) == mark("a", 0.1)


@pytest.mark.parametrize("path", PAGES)
def test_page_that_is_the_latest_is_told_nothing(
    client: TestClient, store: Store, path: str
) -> None:
    add_map(store, "old", LINES)
    for asked in (path, f"{path}?sort=label&order=up&page=2"):
        answer = client.get(asked_by(client, asked))
        assert (answer.status_code, answer.text) == (204, "")


@pytest.mark.parametrize("path", PAGES[:2])
def test_link_keeps_what_was_asked_but_the_page_of_the_table(
    client: TestClient, store: Store, path: str
) -> None:
    add_map(store, "old", LINES)
    asked = asked_by(client, f"{path}?sort=label&order=up&page=2&left=&x={quote(ATTACK)}")
    add_map(store, "new", LINES, days=1)
    told = client.get(asked)
    assert told.status_code == 200
    assert "<script" not in told.text
    link = html.unescape(re.findall(r'href="([^"]+)"', told.text)[0])
    assert link.startswith(f"{path}?sort=label&order=up&")
    assert "page=" not in link
    assert "shown=" not in link
    assert client.get(link).status_code == 200
    assert client.get(asked_by(client, link)).status_code == 204


@pytest.mark.parametrize("shown", ["", "nonsense", "%00", "x" * 5000], ids=["no", "bad", "0", "x"])
@pytest.mark.parametrize("path", PAGES)
def test_strange_mark_is_told_of_the_latest(
    client: TestClient, store: Store, path: str, shown: str
) -> None:
    add_map(store, "old", LINES)
    assert f'href="{path}"' in client.get(f"{path}/news?shown={shown}").text
    assert f'href="{path}"' in client.get(f"{path}/news").text


def test_run_that_was_taken_out_has_no_news(client: TestClient, store: Store) -> None:
    add_map(store, "old", LINES)
    assert client.get("/quality/news?run=gone&shown=x").status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_without_a_store_it_says_so(client: TestClient, store: Store, path: str) -> None:
    store.close()
    Path(store.place).unlink()
    assert client.get(f"{path}/news?shown=x").status_code == 503
