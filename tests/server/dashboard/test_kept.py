"""Made once for all who ask, and anew when its state has changed."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.dashboard.kept import Kept


def test_made_anew_in_another_state_only() -> None:
    kept, made = Kept(4), iter(range(10))
    asked = [kept.value("page", state, lambda: next(made)) for state in "aabba"]
    assert asked == [0, 0, 1, 1, 2]


def test_keys_do_not_share() -> None:
    kept = Kept(4)
    assert kept.value(("page", 1), "a", lambda: "one") == "one"
    assert kept.value(("page", 2), "a", lambda: "two") == "two"
    assert kept.value(("page", 1), "a", lambda: "else") == "one"


def test_nothing_is_a_value_too() -> None:
    kept, made = Kept(4), iter([None, "later"])
    assert [kept.value("page", "a", lambda: next(made)) for _ in range(2)] == [None, None]


def test_of_many_at_once_one_makes_it() -> None:
    kept, made = Kept(4), []

    def make() -> str:
        time.sleep(0.1)
        made.append(threading.get_ident())
        return "page"

    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: kept.value("page", "a", make), range(8)))
    assert asked == ["page"] * 8
    assert len(made) == 1


def test_failure_is_raised_and_not_kept() -> None:
    kept = Kept(4)

    def fail() -> str:
        raise OSError("gone")

    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            kept.value("page", "a", fail)
    assert kept._making == {}
    assert kept.value("page", "a", lambda: "back") == "back"


def test_the_longest_unasked_goes_first() -> None:
    kept = Kept(2)
    for key in ("one", "two", "one", "three"):
        kept.value(key, "a", lambda key=key: key)  # type: ignore[misc]
    assert kept.value("one", "a", lambda: "anew") == "one"
    assert kept.value("two", "a", lambda: "anew") == "anew"
    assert len(kept._making) == 2
