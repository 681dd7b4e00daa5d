"""Pages are told of changes, as long as somebody is logged in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import pytest

from server.dashboard.errors import VisitError
from server.dashboard.live import Live
from tests.server.dashboard.site import browser, guarded, log_in, made, with_users


def events_of(
    live: Live,
    is_welcome: Callable[[], bool],
    until: int = 10,
    seen: Mapping[str, str] | None = None,
) -> list[tuple[str | None, str]]:
    async def listen() -> list[tuple[str | None, str]]:
        found = []
        with anyio.fail_after(5):
            async for event in live.events(is_welcome, seen or {}):
                found.append((event.event, str(event.data)))
                if len(found) == until:
                    break
        return found

    return anyio.run(listen)


def rounds(count: int) -> Callable[[], bool]:
    left = iter([True] * count)
    return lambda: next(left, False)


def test_a_change_is_told_once_by_its_name() -> None:
    versions = iter(
        [{"runs": "1", "audits": "a"}, {"runs": "2", "audits": "a"}]
        + [{"runs": "2", "audits": "b"}] * 10
    )
    live = Live(lambda: next(versions), 0.0, 5)
    assert events_of(live, rounds(4)) == [("runs", "2"), ("audits", "b"), ("over", "")]


def test_what_changed_before_the_page_listened_is_told() -> None:
    live = Live(lambda: {"runs": "2", "audits": "a"}, 0.0, 5)
    made_with = {"runs": "1", "audits": "a", "unknown": "x"}
    assert events_of(live, rounds(3), seen=made_with) == [("runs", "2"), ("over", "")]


def test_store_that_is_away_ends_no_stream() -> None:
    answers: list[Mapping[str, str] | None] = [{"runs": "1"}, None, None, {"runs": "2"}]

    def changes() -> Mapping[str, str]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            raise OSError("the database is gone")
        return answer

    assert events_of(Live(changes, 0.0, 5), rounds(5)) == [("runs", "2"), ("over", "")]


def test_store_is_asked_once_for_all_pages() -> None:
    asked: list[int] = []

    def changes() -> Mapping[str, str]:
        asked.append(1)
        return {}

    live = Live(changes, 0.2, 50)

    async def listen_all() -> None:
        async def one() -> None:
            async for _ in live.events(rounds(2), {}):
                pass

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)

    anyio.run(listen_all)
    assert 1 <= len(asked) <= 4


def test_streams_are_bounded_and_places_come_back() -> None:
    live = Live(dict, 1, 2)
    live.enter()
    live.enter()
    with pytest.raises(VisitError) as caught:
        live.enter()
    assert caught.value.status == 503
    live.leave()
    live.enter()
    assert live.streams == 2


def test_stream_ends_with_its_session(tmp_path: Path) -> None:
    app = made(guarded(with_users(tmp_path), poll_seconds=0.05))
    client = browser(app)
    log_in(client)
    secret = client.cookies["__Host-fedinterest-session"]
    sessions = app.state.frame.sessions

    def logs_out_soon() -> Mapping[str, str]:
        if time.monotonic() > soon:
            sessions.end(secret)
        return {"runs": str(time.monotonic())}

    soon = time.monotonic() + 0.5
    app.state.frame.live._changes = logs_out_soon
    answer = client.get("/live")  # returns since the stream ends
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    assert "event: runs" in answer.text
    assert "event: over" in answer.text
    assert app.state.frame.live.streams == 0
    assert client.get("/live").status_code == 401


def test_too_many_streams_are_refused_in_words(tmp_path: Path) -> None:
    app = made(guarded(with_users(tmp_path), most_streams=1))
    client = browser(app)
    log_in(client)
    app.state.frame.live.enter()
    answer = client.get("/live")
    assert (answer.status_code, answer.json()["error"]) == (503, "streams")
