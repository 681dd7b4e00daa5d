"""Sessions end: by time, by logout, by a change of the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.dashboard.accounts import Accounts
from server.dashboard.roles import Role
from server.dashboard.sessions import Sessions
from tests.server.dashboard.site import PASSWORD
from tests.server.dashboard.test_accounts import CHEAP


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path, CHEAP)
    made.add("maria", Role.VIEWER, PASSWORD)
    return made


def begun(accounts: Accounts, clock: Clock, most: int = 10) -> tuple[Sessions, str]:
    sessions = Sessions(accounts, idle=100, longest=1000, most=most, clock=clock)
    user = accounts.find("maria")
    assert user
    return sessions, sessions.begin(user)


def test_idle_session_ends_and_a_used_one_lasts_until_the_longest(accounts: Accounts) -> None:
    clock = Clock()
    sessions, secret = begun(accounts, clock)
    for _ in range(11):
        assert sessions.user(secret)
        clock.now += 90
    clock.now += 20
    assert sessions.user(secret) is None
    sessions, secret = begun(accounts, clock)
    clock.now += 101
    assert sessions.user(secret) is None
    assert sessions.user(secret) is None


def test_what_a_page_fetches_itself_keeps_nobody_logged_in(accounts: Accounts) -> None:
    clock = Clock()
    sessions, secret = begun(accounts, clock)
    clock.now = 60
    assert sessions.user(secret, acts=False)
    clock.now = 120
    assert sessions.user(secret, acts=False) is None


@pytest.mark.parametrize("change", ["removed", "password"])
def test_changed_user_loses_sessions(accounts: Accounts, change: str) -> None:
    sessions, secret = begun(accounts, Clock())
    assert sessions.user(secret)
    # As a verb in another process does it.
    other = Accounts(accounts.file.parent, CHEAP)
    if change == "removed":
        other.remove("maria")
    else:
        other.change_password("maria", PASSWORD + " again")
    assert sessions.user(secret) is None


def test_logout_ends_it_and_an_invented_one_is_none(accounts: Accounts) -> None:
    sessions, secret = begun(accounts, Clock())
    assert sessions.user("A" * 43) is None
    sessions.end(secret)
    assert sessions.user(secret) is None


def test_there_are_never_more_than_so_many(accounts: Accounts) -> None:
    sessions, first = begun(accounts, Clock(), most=3)
    user = accounts.find("maria")
    assert user
    others = [sessions.begin(user) for _ in range(3)]
    assert sessions.user(first) is None
    assert all(sessions.user(other) for other in others)
