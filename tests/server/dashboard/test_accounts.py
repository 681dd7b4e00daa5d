"""Passwords are kept as Argon2id hashes, in a file that only its owner reads."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from server.dashboard.accounts import Accounts
from server.dashboard.errors import DashboardError
from server.dashboard.roles import Role
from tests.server.dashboard.site import PASSWORD

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def some(folder: Path, hasher: PasswordHasher = CHEAP) -> Accounts:
    return Accounts(folder, hasher)


def test_file_is_private_and_holds_no_password(tmp_path: Path) -> None:
    accounts = some(tmp_path / "data")
    accounts.add("maria", Role.VIEWER, PASSWORD)
    assert stat.S_IMODE(accounts.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(accounts.file.parent.stat().st_mode) == 0o700
    assert "$argon2id$" in accounts.file.read_text()
    assert PASSWORD not in accounts.file.read_text()
    assert [path.name for path in accounts.file.parent.glob("*.toml")] == ["users.toml"]


def test_open_file_is_refused(tmp_path: Path) -> None:
    accounts = some(tmp_path)
    accounts.add("maria", Role.VIEWER, PASSWORD)
    accounts.file.chmod(0o644)
    with pytest.raises(DashboardError, match="open to others"):
        some(tmp_path).users()


@pytest.mark.parametrize("name", ["", "Maria", "../maria", "a b", "a" * 65, "maria\n", "<b>"])
def test_unfit_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DashboardError, match="no name for a user"):
        some(tmp_path).add(name, Role.VIEWER, PASSWORD)
    assert not (tmp_path / "users.toml").exists()


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 300, "aaaaaaaaaaaaaaaa"], ids=["none", "short", "long", "easy"]
)
def test_weak_passwords_are_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(DashboardError, match="Nothing was changed"):
        some(tmp_path).add("maria", Role.VIEWER, password)
    assert some(tmp_path).users() == []


def test_only_the_right_password_opens(tmp_path: Path) -> None:
    accounts = some(tmp_path)
    accounts.add("maria", Role.AUDITOR, PASSWORD)
    found = accounts.verified("maria", PASSWORD)
    assert found
    assert found.role is Role.AUDITOR
    assert accounts.verified("maria", PASSWORD + "x") is None
    assert accounts.verified("nobody", PASSWORD) is None


def test_one_spelling_of_a_password_whatever_keyboard(tmp_path: Path) -> None:
    accounts = some(tmp_path)
    accounts.add("maria", Role.VIEWER, "Zürich im Winter")
    assert accounts.verified("maria", "Zu\N{COMBINING DIAERESIS}rich im Winter")


def test_changed_parameters_hash_anew_and_end_no_session(tmp_path: Path) -> None:
    some(tmp_path).add("maria", Role.VIEWER, PASSWORD)
    before = some(tmp_path).find("maria")
    stronger = PasswordHasher(time_cost=2, memory_cost=128, parallelism=1)
    assert some(tmp_path, stronger).verified("maria", PASSWORD)
    after = some(tmp_path).find("maria")
    assert before
    assert after
    assert "m=128,t=2" in after.password
    assert before.password != after.password
    assert before.stamp == after.stamp


def test_nobody_is_added_twice_and_who_is_missing_is_told(tmp_path: Path) -> None:
    accounts = some(tmp_path)
    accounts.add("maria", Role.VIEWER, PASSWORD)
    with pytest.raises(DashboardError, match="already"):
        accounts.add("maria", Role.AUDITOR, PASSWORD)
    with pytest.raises(DashboardError, match="There is no user 'chen'"):
        accounts.remove("chen")
    with pytest.raises(DashboardError, match="There is no user 'chen'"):
        accounts.change_password("chen", PASSWORD)
    assert [user.role for user in accounts.users()] == [Role.VIEWER]


def test_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    accounts = some(tmp_path)
    accounts.add("maria", Role.VIEWER, PASSWORD)
    accounts.file.write_text('[users.maria]\nrole = "king"\n')
    with pytest.raises(DashboardError, match="no role"):
        accounts.verified("maria", PASSWORD)
