"""The verbs for users and tokens, in this process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

import commands.dashboard
from commands.dashboard import app
from server.dashboard.accounts import Accounts
from server.dashboard.errors import DashboardError
from server.dashboard.roles import Role
from server.dashboard.tokens import Tokens
from tests.server.dashboard.site import PASSWORD


def call(folder: Path, *words: str, given: str = "") -> str:
    result = CliRunner().invoke(app, [*words, "--data", str(folder)], input=given)
    if result.exception:
        raise result.exception
    return result.output


def test_users_come_change_and_go(tmp_path: Path) -> None:
    assert "nobody" in call(tmp_path, "user", "list")
    call(tmp_path, "user", "add", "maria", "--role", "auditor", given=f"{PASSWORD}\n")
    assert "maria\tauditor" in call(tmp_path, "user", "list")
    call(tmp_path, "user", "password", "maria", given=f"{PASSWORD} new\n")
    found = Accounts(tmp_path).verified("maria", f"{PASSWORD} new")
    assert found
    assert found.role is Role.AUDITOR
    call(tmp_path, "user", "remove", "maria")
    assert Accounts(tmp_path).users() == []


def test_unknown_role_and_missing_password_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DashboardError, match="no role 'king'"):
        call(tmp_path, "user", "add", "maria", "--role", "king", given=f"{PASSWORD}\n")
    with pytest.raises(DashboardError, match="has 0"):
        call(tmp_path, "user", "add", "maria")
    assert not list(tmp_path.glob("*.toml"))


def test_password_is_no_argument(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["user", "add", "maria", PASSWORD, "--data", str(tmp_path)], input=""
    )
    assert result.exit_code == 2
    assert not list(tmp_path.glob("*.toml"))


def test_removed_token_is_of_no_use(tmp_path: Path) -> None:
    token = call(tmp_path, "token", "add", "scripts").splitlines()[-1]
    listed = call(tmp_path, "token", "list")
    assert "scripts" in listed
    assert token.split("_", 2)[2] not in listed  # it is shown once
    assert stat.S_IMODE((tmp_path / "tokens.toml").stat().st_mode) == 0o600
    tokens = Tokens(tmp_path)
    found = tokens.verified(token)
    assert found
    call(tmp_path, "token", "remove", found.id)
    assert tokens.verified(token) is None
    assert "none" in call(tmp_path, "token", "list")


def test_missing_packages_are_named_with_what_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "argon2" else 1)
    with pytest.raises(DashboardError, match=r"\(argon2\).*pip install 'fedinterest\[dashboard\]'"):
        call(tmp_path, "user", "list")


def test_command_starts_without_the_dashboards_packages() -> None:
    """Each verb imports what it needs: others work where the extra is not installed."""
    text = Path(commands.dashboard.__file__).read_text(encoding="utf-8")
    head = text.partition("def ")[0]
    assert "server." not in head
    assert "fastapi" not in text
