"""Other websites can change nothing in a visitor's name (CSRF)."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.dashboard.csrf import FormTokens
from server.dashboard.settings import Settings
from tests.server.dashboard.site import HOST, browser, form_token, guarded, log_in, made, with_users


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    client = browser(made(guarded(with_users(tmp_path_factory.mktemp("people")))))
    log_in(client)
    return client


@pytest.mark.parametrize("path", ["/logout", "/preferences", "/login"])
def test_form_without_token_is_refused(client: TestClient, path: str) -> None:
    for fields in ({}, {"form-token": ""}, {"form-token": "invented.token.x"}):
        answer = client.post(path, data=fields)
        assert answer.status_code == 403
        assert "could not be accepted" in answer.text
    assert client.get("/overview").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.org"},
        {"origin": "null"},
        {"origin": f"http://{HOST}"},
        {"origin": f"https://{HOST}:444"},
        {"origin": f"https://{HOST}.evil.org"},
        {"origin": "https://["},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=["elsewhere", "null", "http", "port", "longer", "nonsense", "cross-site", "same-site"],
)
def test_right_token_from_elsewhere_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    token = form_token(client, "/overview")
    answer = client.post("/preferences", data={"form-token": token}, headers=headers)
    assert answer.status_code == 403


def test_own_form_is_accepted_also_by_htmx(client: TestClient) -> None:
    token = form_token(client, "/overview")
    own = {"origin": f"https://{HOST}", "sec-fetch-site": "same-origin"}
    fields = {"form-token": token, "theme": "dark", "next": "/overview"}
    assert client.post("/preferences", data=fields, headers=own).status_code == 303
    header = {"x-form-token": token}
    assert client.post("/preferences", data={"theme": "auto"}, headers=header).status_code == 303


def test_token_of_another_visitor_is_none(client: TestClient, tmp_path: Path) -> None:
    other = browser(client.app)  # type: ignore[arg-type]
    log_in(other, "chen")
    stolen = form_token(other, "/overview")
    assert client.post("/preferences", data={"form-token": stolen}).status_code == 403


def test_old_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = FormTokens()
    token = tokens.token("holder")
    assert tokens.fits(token, "holder")
    monkeypatch.setattr("server.dashboard.csrf.MOST_AGE", -1)
    assert not tokens.fits(token, "holder")


def test_loopback_without_login_is_no_exception(tmp_path: Path) -> None:
    client = browser(made(Settings(data=tmp_path)), "http://127.0.0.1:8600")
    assert client.post("/preferences", data={"theme": "dark"}).status_code == 403
    token = form_token(client, "/overview")
    answer = client.post("/preferences", data={"theme": "dark", "form-token": token})
    assert answer.status_code == 303
    assert 'data-theme="dark"' in client.get("/overview").text


def test_an_upload_instead_of_a_form_is_refused(client: TestClient) -> None:
    answer = client.post("/preferences", files={"form-token": ("a", b"b")})
    assert answer.status_code in {400, 403}
