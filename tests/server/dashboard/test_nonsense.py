"""Whatever is sent, the dashboard answers in words and does not fail."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from server.dashboard.headers import POLICY
from server.dashboard.roles import Role
from server.dashboard.tokens import Tokens
from tests.server.dashboard.site import HOST, browser, guarded, log_in, made, with_users

FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
PATHS = st.one_of(
    st.sampled_from(["/overview", "/login", "/logout", "/preferences", "/metrics", "/healthz"]),
    st.text(max_size=30).map(lambda text: "/" + quote(text.encode("utf-8", "replace"))),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_users(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def stranger(folder: Path) -> TestClient:
    return browser(made(guarded(folder)))


@pytest.fixture(scope="module")
def known(folder: Path) -> TestClient:
    client = browser(made(guarded(folder)))
    log_in(client)
    return client


@FEW
@given(
    path=PATHS,
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "PROPFIND"]),
    name=st.sampled_from(
        [
            "host",
            "cookie",
            "accept-language",
            "authorization",
            "origin",
            "content-type",
            "accept",
            "content-length",
            "sec-fetch-site",
            "if-none-match",
            "x-forwarded-for",
            "x-form-token",
        ]
    ),
    value=HEADER,
    body=st.binary(max_size=60),
)
def test_strangers_get_nothing_and_break_nothing(
    stranger: TestClient, path: str, method: str, name: str, value: str, body: bytes
) -> None:
    answer = stranger.request(method, path, headers={name: value}, content=body)
    assert answer.status_code < 500
    assert answer.headers["content-security-policy"] == POLICY
    if not path.startswith(("/login", "/preferences", "/healthz")):
        assert answer.status_code >= 300
    assert "The latest run" not in answer.text


@FEW
@given(query=st.dictionaries(st.sampled_from(["sort", "order", "page", "next", "n"]), st.text()))
def test_no_query_fails_a_page(known: TestClient, query: dict[str, str]) -> None:
    given = {key: text.encode("utf-8", "replace").decode() for key, text in query.items()}
    for path in ("/overview", "/login", "/overview/number"):
        assert known.get(path, params=given).status_code < 500


@FEW
@given(form=st.dictionaries(st.sampled_from(["language", "theme", "next"]), st.text(max_size=30)))
def test_no_choice_leads_elsewhere(known: TestClient, form: dict[str, str]) -> None:
    from tests.server.dashboard.site import form_token

    sent = {key: text.encode("utf-8", "replace").decode() for key, text in form.items()}
    token = form_token(known, "/overview")
    answer = known.post("/preferences", data={**sent, "form-token": token})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/")
    assert not answer.headers["location"].startswith("//")


def test_api_is_described_and_can_only_be_read(known: TestClient, folder: Path) -> None:
    token = Tokens(folder).make("api", Role.VIEWER, 1)
    api = known.get("/api/v1/openapi.json", headers={"authorization": f"Bearer {token}"}).json()
    assert api["openapi"].startswith("3.")
    assert {method for path in api["paths"].values() for method in path} == {"get"}
    assert known.get("/docs", headers={"host": HOST}).status_code == 404
