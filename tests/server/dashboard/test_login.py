"""Nothing without login, and no way around it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.dashboard.accounts import Accounts
from server.dashboard.signing_in import safe_path
from tests.server.dashboard.site import (
    HOST,
    PASSWORD,
    browser,
    form_token,
    guarded,
    log_in,
    made,
    with_users,
)

SESSION, FORM = "__Host-fedinterest-session", "__Host-fedinterest-form"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_users(tmp_path_factory.mktemp("people"))


@pytest.fixture
def app(people: Path) -> FastAPI:
    return made(guarded(people))


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return browser(app)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/overview",
        "/privacy",
        "/no-such-page",
        "/metrics",
        "/live",
        "/api/v1/sample",
        "/api/v1/openapi.json",
        "/docs",
        "/overview/broken",
        "/overview/number?n=x",
    ],
)
def test_nothing_without_login(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in {303, 401}
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/login?next=%2F")
        assert answer.content == b""
    assert "maria" not in answer.text


def test_every_route_is_behind_the_login(app: FastAPI, client: TestClient) -> None:
    paths = [path for path in app.openapi()["paths"] if "{" not in path]
    assert "/overview" in paths
    for path in paths:
        assert client.get(path).status_code in {303, 401}, path
        assert client.post(path).status_code in {303, 401}, path


def test_strangers_get_the_way_in_and_a_sign_of_life(client: TestClient) -> None:
    assert client.get("/login").status_code == 200
    assert client.get("/healthz").json() == {"status": "ok"}
    style = re.search(r'href="(/assets/styles[^"]+)"', client.get("/login").text)
    assert style
    assert client.get(style[1]).status_code == 200


def test_login_opens_and_logout_closes(client: TestClient) -> None:
    answer = log_in(client, next="/overview?page=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/overview?page=2")
    assert client.get("/overview").status_code == 200
    secret = client.cookies[SESSION]
    out = client.post("/logout", data={"form-token": form_token(client, "/overview")})
    assert out.headers["location"] == "/login"
    assert client.get("/overview").status_code == 303
    # Also for who has copied the cookie.
    assert client.get("/overview", headers={"cookie": f"{SESSION}={secret}"}).status_code == 303


def test_cookie_is_out_of_reach_of_scripts_and_other_websites(client: TestClient) -> None:
    cookies = log_in(client).headers.get_list("set-cookie")
    session = next(cookie for cookie in cookies if cookie.startswith(f"{SESSION}="))
    for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in session
    assert "Domain" not in session


def test_planted_session_is_worth_nothing_after_login(client: TestClient, app: FastAPI) -> None:
    planted = "P" * 43
    client.cookies.set(SESSION, planted, domain=HOST, path="/")
    log_in(client)
    assert app.state.frame.sessions.user(planted) is None
    assert client.get("/overview", headers={"cookie": f"{SESSION}={planted}"}).status_code == 303


def test_each_login_has_a_session_of_its_own(client: TestClient, app: FastAPI) -> None:
    secrets = []
    for _ in range(2):
        log_in(client)
        secrets.append(client.cookies[SESSION])
        client.cookies.delete(SESSION)
    assert secrets[0] != secrets[1]


def test_form_token_of_before_login_is_none_afterwards(client: TestClient) -> None:
    before = form_token(client)
    log_in(client)
    assert client.post("/preferences", data={"form-token": before}).status_code == 403


def test_removed_user_is_out_with_the_next_request(tmp_path: Path) -> None:
    client = browser(made(guarded(with_users(tmp_path))))
    log_in(client)
    assert client.get("/overview").status_code == 200
    Accounts(tmp_path).remove("maria")
    assert client.get("/overview").status_code == 303


def test_unknown_user_and_wrong_password_look_alike(client: TestClient) -> None:
    texts = []
    for name in ("maria", "zenon"):
        answer = log_in(client, name, "wrong password 123")
        assert answer.status_code == 401
        texts.append(re.sub(r'value="[^"]*"', "", answer.text).replace(name, ""))
    assert texts[0] == texts[1]


def test_unknown_user_takes_as_long_as_a_known_one(tmp_path: Path) -> None:
    accounts = Accounts(with_users(tmp_path), PasswordHasher(time_cost=2, memory_cost=8192))
    accounts.change_password("maria", PASSWORD)

    def seconds(name: str) -> float:
        started = time.process_time()
        accounts.verified(name, "wrong password 123")
        return time.process_time() - started

    known, unknown = (min(seconds(name) for _ in range(5)) for name in ("maria", "zenon"))
    assert 0.5 < unknown / known < 2


def test_guessing_is_slowed_down_and_the_right_password_then_refused_too(
    client: TestClient,
) -> None:
    statuses = [log_in(client, "maria", "wrong password 123").status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    answer = log_in(client)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "Too many attempts" in answer.text


def test_logins_of_any_kind_never_fail_the_server(client: TestClient) -> None:
    token = form_token(client)
    strange: list[Any] = [
        "",
        "\0",
        "\ud83d".encode("utf-8", "replace").decode(),
        "ü" * 100,
        "'; --",
    ]
    for name in strange:
        answer = client.post("/login", data={"form-token": token, "name": name, "password": name})
        assert answer.status_code in {401, 422, 429}, name
    long = client.post("/login", data={"form-token": token, "name": "x" * 300, "password": "x"})
    assert long.status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "//evil.org",
        "https://evil.org",
        "/\\evil.org",
        "javascript:alert(1)",
        "/login",
        "evil.org",
        "/a\r\nset-cookie: a=b",
        "/\tevil",
        "",
        "///evil.org",
    ],
)
def test_login_leads_nowhere_else(path: str) -> None:
    assert safe_path(path) == "/"


def test_viewer_sees_no_page_for_auditors(client: TestClient) -> None:
    log_in(client)
    refused = client.get("/privacy")
    assert refused.status_code == 403
    assert "For auditors" in refused.text
    assert 'href="/privacy"' not in client.get("/overview").text


def test_auditor_sees_it(client: TestClient) -> None:
    log_in(client, "chen")
    assert client.get("/privacy").status_code == 200
    assert 'href="/privacy"' in client.get("/overview").text


def test_parts_of_pages_send_the_whole_page_to_the_login(client: TestClient) -> None:
    answer = client.get("/overview/part", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


def test_damaged_users_file_shuts_everybody_out(tmp_path: Path) -> None:
    client = browser(made(guarded(with_users(tmp_path))))
    log_in(client)
    (tmp_path / "users.toml").write_text("[users]\nmaria = 1\n")
    assert client.get("/overview").status_code == 500


def test_users_are_asked_for_their_password_where_login_is_always(tmp_path: Path) -> None:
    from server.dashboard.settings import Settings

    app = made(Settings(data=with_users(tmp_path), login="always"))
    client = browser(app, "http://localhost:8600")
    assert client.get("/overview").status_code == 303
    assert log_in(client).status_code == 303
    assert client.get("/overview").status_code == 200
    assert PASSWORD not in client.get("/overview").text
