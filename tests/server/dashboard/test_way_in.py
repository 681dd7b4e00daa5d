"""Only by known names, only by the ways that were meant, with strict headers on every answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.dashboard.headers import POLICY
from server.dashboard.hosts import MOST_BODY
from server.dashboard.serving import configuration
from server.dashboard.settings import Settings
from tests.server.dashboard.site import ATTACK, HOST, browser, guarded, log_in, made, with_users

LOCAL = "http://127.0.0.1:8600"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return made(Settings(data=tmp_path_factory.mktemp("nobody")))


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return made(guarded(with_users(tmp_path_factory.mktemp("people"))))


@pytest.mark.parametrize(
    "host",
    [
        "evil.org",
        "127.0.0.1.evil.org",
        "localhost.evil.org:8600",
        "",
        "192.168.0.5",
        "[::2]",
        "127.0.0.1:8600@evil.org",
        "localhost:evil",
        "[::1",
        "127.0.0.1:8600, evil.org",
        "127.1",
    ],
)
def test_unknown_host_is_refused_also_on_loopback(local: FastAPI, host: str) -> None:
    answer = browser(local, LOCAL).get("/overview", headers={"host": host})
    assert answer.status_code == 400
    assert "weekly" not in answer.text


@pytest.mark.parametrize("host", ["localhost:8600", "127.0.0.1", "[::1]:8600", "LOCALHOST"])
def test_own_names_pass_on_loopback(local: FastAPI, host: str) -> None:
    assert browser(local, LOCAL).get("/overview", headers={"host": host}).status_code == 200


def test_proxied_dashboard_answers_to_its_name_by_https_alone(proxied: FastAPI) -> None:
    assert browser(proxied).get("/login").status_code == 200
    past = browser(proxied, f"http://{HOST}").get("/login")
    assert past.status_code == 403
    assert "proxy" in past.text
    assert browser(proxied).get("/login", headers={"host": "other.org"}).status_code == 400


@pytest.mark.parametrize(
    ("peer", "status"), [("127.0.0.1", 200), ("192.0.2.9", 403)], ids=["proxy", "somebody"]
)
def test_only_a_trusted_proxy_is_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, peer: str, status: int
) -> None:
    settings = guarded(with_users(tmp_path))
    config = configuration(made(settings), settings)
    config.load()
    client = TestClient(config.loaded_app, base_url=f"http://{HOST}", client=(peer, 5000))
    told = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"}
    with caplog.at_level("INFO", logger="fedinterest.dashboard.access"):
        assert client.get("/login", headers=told).status_code == status
    seen = "203.0.113.7" if status == 200 else peer
    assert [r.getMessage().split()[0] for r in caplog.records if "GET /login" in r.message] == [
        seen
    ]


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-forwarded-host"])
def test_proxy_that_nobody_named_is_refused_where_nobody_logs_in(
    local: FastAPI, header: str
) -> None:
    answer = browser(local, LOCAL).get("/overview", headers={header: "192.0.2.7"})
    assert answer.status_code == 403
    assert "trusted-proxies" in answer.text


@pytest.mark.parametrize(
    "path", ["/overview", "/no-such", "/overview/broken", "/healthz", "/api/v1/sample", "/metrics"]
)
def test_every_answer_has_the_headers(local: FastAPI, path: str) -> None:
    headers = browser(local, LOCAL).get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["permissions-policy"].startswith("camera=()")
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_https_is_asked_for_from_then_on(proxied: FastAPI) -> None:
    for path in ("/login", "/overview", "/nothing"):
        assert "max-age" in browser(proxied).get(path).headers["strict-transport-security"]


def test_pages_have_nothing_inline(local: FastAPI) -> None:
    for path in ("/overview", "/no-such", "/overview/away"):
        text = browser(local, LOCAL).get(path).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=[^>]*>(?<!&gt;)|javascript:", _own(text))
        for kind in re.findall(r"<script([^>]*)>", _own(text)):
            assert "src=" in kind or 'type="application/json"' in kind


def _own(text: str) -> str:
    """Return the page without the attack that it quotes, escaped."""
    from markupsafe import escape

    assert ATTACK not in text
    return text.replace(str(escape(ATTACK)), "")


def test_markup_in_a_label_stays_text(local: FastAPI) -> None:
    text = browser(local, LOCAL).get("/overview").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    api = browser(local, LOCAL).get("/api/v1/sample")
    assert api.headers["content-type"] == "application/json"


def test_errors_say_what_to_do_and_not_what_failed(local: FastAPI) -> None:
    client = browser(local, LOCAL)
    for path, status, words in (
        ("/no-such", 404, "Choose a page above"),
        ("/overview/broken", 500, "not touched"),
        ("/overview/number?n=x", 422, "Something in the address"),
        ("/overview/away", 503, "run store does not answer"),
    ):
        answer = client.get(path)
        assert answer.status_code == status
        assert words in answer.text
        assert "a secret of the machine" not in answer.text
        assert "Traceback" not in answer.text
    told = client.get("/overview/broken", headers={"accept": "application/json"}).json()
    assert told["error"] == "500"
    assert client.post("/overview", headers={"accept": "text/html"}).status_code == 405


def test_requests_that_are_too_large_are_refused(proxied: FastAPI) -> None:
    client = browser(proxied)
    large = b"x" * (MOST_BODY + 1)
    assert client.post("/login", content=large).status_code == 413
    in_pieces = client.post(
        "/login",
        content=iter([large]),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert in_pieces.status_code == 413
    assert client.post("/login", headers={"content-length": "-1"}).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../settings.py",
        "/assets/..%2fsettings.py",
        "/assets/%2e%2e/settings.py",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/README.md",
        "/assets/styles.css",
        "/assets/..%5c..%5csettings.py",
        "/assets/styles.css%00.css",
        "/assets/",
    ],
)
def test_no_path_leads_out_of_the_assets(local: FastAPI, path: str) -> None:
    answer = browser(local, LOCAL).get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_languages_and_themes_are_none_but_the_known(local: FastAPI) -> None:
    client = browser(local, LOCAL)
    evil = '"><script>alert(1)</script>'
    cookies = f"fedinterest-8600-theme={evil}; fedinterest-8600-language=../../etc/passwd"
    text = client.get("/overview", headers={"cookie": cookies}).text
    assert 'data-theme="auto"' in text
    assert '<html lang="en"' in text


def test_logged_in_pages_are_kept_by_no_cache(proxied: FastAPI) -> None:
    client = browser(proxied)
    log_in(client)
    assert client.get("/overview").headers["cache-control"] == "no-store"
