"""Windows follow each other without gaps and without overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.window import Window, is_window_name, window_of

MOMENTS = st.datetimes(
    min_value=datetime(2001, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)
)


@given(
    start=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=9999)), days=st.integers(1, 400)
)
def test_every_moment_lies_in_its_window(start: datetime, later: timedelta, days: int) -> None:
    window = window_of(start + later, start=start, days=days)
    assert start + later in window
    assert window.end - window.start == timedelta(days=days)
    assert (window.start - start) % timedelta(days=days) == timedelta(0)


@given(
    start=MOMENTS, later=st.timedeltas(timedelta(0), timedelta(days=9999)), days=st.integers(1, 400)
)
def test_next_window_begins_where_one_ends(start: datetime, later: timedelta, days: int) -> None:
    window = window_of(start + later, start=start, days=days)
    following = window_of(window.end, start=start, days=days)
    assert following.start == window.end
    assert window.end not in window


def test_moments_are_compared_across_time_zones() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    tokyo = datetime(2026, 1, 11, 8, tzinfo=timezone(timedelta(hours=9)))  # the 10th, 23:00 UTC
    assert window_of(tokyo, start=start, days=10).name == "2026-01-01/2026-01-11"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01/2026-01-02"),
        (datetime(2026, 1, 1, 6, tzinfo=UTC), "2026-01-01T06:00:00Z/2026-01-02T06:00:00Z"),
    ],
)
def test_name_is_an_interval(start: datetime, name: str) -> None:
    assert Window(start, start + timedelta(days=1)).name == name


@given(start=MOMENTS, days=st.integers(1, 400))
def test_every_windows_name_is_one(start: datetime, days: int) -> None:
    whole = start.replace(microsecond=0)
    assert is_window_name(window_of(whole, start=whole, days=days).name)


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-01-02/2026-01-01", "2026-01-01/<b>", "a/b", "2026-01-01/2026-01-02/x"],
)
def test_other_texts_are_no_windows_name(text: str) -> None:
    assert not is_window_name(text)
