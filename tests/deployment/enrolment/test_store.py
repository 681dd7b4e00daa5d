from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from deployment.enrolment.errors import StoreError, TokenError
from deployment.enrolment.store import EnrolmentStore
from deployment.enrolment.tokens import make_token
from tests.deployment.enrolment.examples import NOON, Setting, an_agent


def test_the_record_is_its_owners_alone_and_holds_no_token(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    token = setting.token()
    setting.ask(an_agent(), token)
    assert [path.name for path in tmp_path.iterdir()] == ["enrolment.sqlite"]
    assert setting.store.path.stat().st_mode & 0o777 == 0o600
    content = setting.store.path.read_bytes()
    assert token.verifier.encode() in content
    assert token.secret not in content
    assert token.secret.hex().encode() not in content


def test_what_is_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "enrolment.sqlite"
    path.write_bytes(b"something else, and long enough to be looked at" * 40)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="Nothing was changed"), EnrolmentStore(path).writing():
        pytest.fail("was opened")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE nonces (x)")
    connection.close()
    with (
        pytest.raises(StoreError, match="no record of enrolments"),
        EnrolmentStore(other).reading(),
    ):
        pytest.fail("was opened")
    assert path.read_bytes() == before


def test_a_newer_format_is_not_touched(tmp_path: Path) -> None:
    store = EnrolmentStore(tmp_path / "enrolment.sqlite")
    with store.writing() as db:
        db.execute("SELECT 1")
    with sqlite3.connect(store.path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(StoreError, match="has format 2, this program reads 1"), store.reading():
        pytest.fail("was opened")


def test_what_fails_half_way_is_undone(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    setting.token()
    with pytest.raises(StoreError):
        _change_and_fail(setting.store)
    assert setting.unused_tokens() == 1


@pytest.mark.parametrize("hours", [0.0, -1.0, 745.0, float("inf"), float("nan")])
def test_tokens_are_good_for_a_month_at_most(tmp_path: Path, hours: float) -> None:
    with pytest.raises(TokenError, match="No token was made"):
        Setting(tmp_path).token(hours=hours)


@pytest.mark.parametrize("region", ["", "a\nb", "x" * 129])
def test_tokens_are_for_names_that_can_be_ones(tmp_path: Path, region: str) -> None:
    with pytest.raises(TokenError, match="No token was made"):
        Setting(tmp_path).token(region)


def test_a_region_that_waits_gets_no_other_token(tmp_path: Path) -> None:
    setting = Setting(tmp_path)
    setting.ask(an_agent(), setting.token())
    with pytest.raises(TokenError, match="has a request waiting"):
        make_token(setting.store, "north", hours=1, who="anna", moment=NOON)


def _change_and_fail(store: EnrolmentStore) -> None:
    with store.writing() as db:
        db.execute("DELETE FROM tokens")
        db.execute("DELETE FROM nothing")
