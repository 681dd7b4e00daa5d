"""What was built or rendered is used again, but never once a change has been told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.dashboard import rendering, stored
from server.dashboard.settings import Settings
from server.dashboard.site import create_site
from server.dashboard.stored import Stored
from server.dashboard.views.runs import runs_page
from server.run_store.schema import Run
from tests.server.dashboard.site import browser, guarded, log_in, with_users
from tests.server.dashboard.stores import LOCAL, change, filled


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return filled(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the store to be as it was for as long as the test lasts."""
    monkeypatch.setattr(stored, "FRESH_SECONDS", 600.0)


def rename(place: str, name: str) -> None:
    change(place, Run, {"name": name, "updated": datetime.now(UTC)}, id="spring-1")


def names(store: Stored) -> set[str]:
    return {run.name for run in store.view(runs_page, None, None, 50, 0).runs}


def test_who_was_told_of_a_change_sees_it(place: str, patient: None) -> None:
    """Else a page that was told fetches what it shows already, and is not told again."""
    rename(place, "spring")
    store = Stored(place)
    before = store.changes()
    assert "spring" in names(store)
    rename(place, "may")
    assert "may" not in names(store)  # nobody has looked yet
    assert store.changes() != before
    assert "may" in names(store)
    store.close()


def test_page_is_rendered_once_for_all(
    place: str, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(place, "spring")
    rendered: list[str] = []
    render = rendering._render

    def noted(request, template, values):  # type: ignore[no-untyped-def]
        rendered.append(template)
        return render(request, template, values)

    monkeypatch.setattr(rendering, "_render", noted)
    app = create_site(Settings(store=place))
    with TestClient(app, base_url=LOCAL) as client:
        pages = [client.get("/runs").text for _ in range(3)]
        assert rendered == ["runs.html"]
        assert "spring" in pages[0]
        client.get("/runs?page=2")
        client.get("/runs", headers={"accept-language": "zh-CN"})
        client.get("/runs/part")
        assert rendered == ["runs.html"] * 3 + ["runs_part.html"]
        rename(place, "june")
        app.state.stored.changes()
        assert "june" in client.get("/runs").text


def test_kept_page_carries_the_token_of_who_looks(tmp_path: Path, place: str) -> None:
    """Two visitors share what was rendered; each can send its forms, and none the other's."""
    app = create_site(guarded(with_users(tmp_path), store=place))
    visitors = [browser(app), browser(app)]
    tokens = []
    for visitor in visitors:
        log_in(visitor)
        page = visitor.get("/runs").text
        assert app.state.frame.rendered.mark not in page
        (token,) = set(re.findall(r'name="form-token" value="([^"]+)"', page))
        assert f'{{"X-Form-Token": "{token}"}}' in unescape(page)
        tokens.append(token)
    assert tokens[0] != tokens[1]
    for visitor, foreign in zip(visitors, reversed(tokens), strict=True):
        sent = {"form-token": foreign, "theme": "dark", "next": "/runs"}
        assert visitor.post("/preferences", data=sent).status_code == 403
    for visitor, own in zip(visitors, tokens, strict=True):
        sent = {"form-token": own, "theme": "dark", "next": "/runs"}
        assert visitor.post("/preferences", data=sent, follow_redirects=False).status_code == 303


def test_kept_page_of_one_role_is_not_shown_to_another(tmp_path: Path, place: str) -> None:
    app = create_site(guarded(with_users(tmp_path), store=place))
    auditor, viewer = browser(app), browser(app)
    log_in(auditor, "chen")
    log_in(viewer, "maria")
    for path in ("/runs", "/regions/detail?name=north", "/privacy"):
        of_auditor, of_viewer = auditor.get(path).text, viewer.get(path).text
        assert "chen" in of_auditor
        assert "chen" not in of_viewer
        if path.startswith("/regions/"):
            assert "Latest releases" in of_auditor
            assert "Latest releases" not in of_viewer


def test_page_says_what_it_was_made_with(place: str) -> None:
    app = create_site(Settings(store=place))
    with TestClient(app, base_url=LOCAL) as client:
        page = client.get("/runs").text
        (address,) = re.findall(r'sse-connect="([^"]+)"', page)
        parts = dict(app.state.stored.state().parts)
        assert parts.keys() == {"runs", "audits", "agents"}
        told = dict(pair.split("=") for pair in unescape(address).partition("?")[2].split("&"))
        assert told == parts
