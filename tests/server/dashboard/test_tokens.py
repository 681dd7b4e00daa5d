"""Tokens: shown once, kept as hashes, with an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.dashboard.errors import DashboardError
from server.dashboard.roles import Role
from server.dashboard.tokens import Tokens
from tests.server.dashboard.site import browser, guarded, made, with_users

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_secret_is_kept_nowhere(tmp_path: Path) -> None:
    token = Tokens(tmp_path).make("prometheus", Role.VIEWER, 30)
    assert token.split("_", 2)[2] not in (tmp_path / "tokens.toml").read_text()


def test_expired_and_removed_and_invented_tokens_are_nothing(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path, lambda: NOW)
    token = tokens.make("prometheus", Role.VIEWER, 30)
    found = tokens.verified(token)
    assert found
    assert Tokens(tmp_path, lambda: NOW + timedelta(days=30)).verified(token) is None
    for invented in ("", "x", token[:-1] + ("A" if token[-1] != "A" else "B"), token + "\n"):
        assert tokens.verified(invented) is None
    tokens.remove(found.id)
    assert tokens.verified(token) is None
    with pytest.raises(DashboardError, match="no token"):
        tokens.remove(found.id)


@pytest.mark.parametrize(("purpose", "days"), [("a", 0), ("a", 367), ("", 1), ("a\nb", 1)])
def test_tokens_without_end_or_purpose_are_refused(tmp_path: Path, purpose: str, days: int) -> None:
    with pytest.raises(DashboardError, match="made"):
        Tokens(tmp_path).make(purpose, Role.VIEWER, days)


def test_token_opens_the_api_in_the_header_only(tmp_path: Path) -> None:
    app = made(guarded(with_users(tmp_path)))
    token = Tokens(tmp_path).make("prometheus", Role.VIEWER, 30)
    client = browser(app)
    assert client.get("/api/v1/sample").status_code == 401
    assert (
        client.get(f"/api/v1/sample?token={token}&authorization=Bearer+{token}").status_code == 401
    )
    opened = client.get("/api/v1/sample", headers={"authorization": f"Bearer {token}"})
    assert opened.status_code == 200
    assert "set-cookie" not in opened.headers
    refused = client.get("/api/v1/sample", headers={"authorization": "Bearer nonsense"})
    assert (refused.status_code, refused.json()["error"]) == (401, "token")


def test_viewers_token_is_no_auditors(tmp_path: Path) -> None:
    client = browser(made(guarded(with_users(tmp_path))))
    tokens = Tokens(tmp_path)
    for role, status in ((Role.VIEWER, 403), (Role.AUDITOR, 200)):
        given = {"authorization": f"Bearer {tokens.make('audit', role, 1)}"}
        assert client.get("/privacy", headers=given).status_code == status


def test_wrong_token_is_refused_even_on_loopback(tmp_path: Path) -> None:
    from server.dashboard.settings import Settings

    client = browser(made(Settings(data=tmp_path)), "http://127.0.0.1:8600")
    assert client.get("/overview").status_code == 200
    assert client.get("/overview", headers={"authorization": "Bearer x"}).status_code == 401
