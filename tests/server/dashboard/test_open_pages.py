"""A page that is open in a real browser, while the store goes on: it never says what is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.run_store.opening import Store, open_store
from server.run_store.putting import put
from server.run_store.records import SILENT_AFTER
from server.run_store.schema import Figure, Run
from tests.server.dashboard.served import served
from tests.server.dashboard.stores import change
from tests.server.dashboard.test_browser import (  # noqa: F401  (a fixture is found by its name)
    DESK,
    PHONE,
    Watched,
    chromium,
    serious,
)
from tests.server.dashboard.test_clusters_page import a_line, add_map, add_run

SOON = 8000
"""Milliseconds in which a change reaches a page, on a busy machine."""
LINES = [a_line(0, 50.0), a_line(1, 60.0), a_line(2, 30.0)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(str(tmp_path / "runs.sqlite"))
    yield made
    made.close()


@pytest.fixture
def watched(store: Store, tmp_path: Path, chromium: Any) -> Iterator[Watched]:  # noqa: F811
    with served(store.place, tmp_path / "people") as base:
        found = Watched(chromium, base, reduced_motion="reduce", locale="en-GB")
        yield found
        found.close()


def opened(watched: Watched, path: str) -> Any:
    """Open a page, and mark it: what is loaded anew has no mark."""
    watched.page.goto(path)
    watched.page.evaluate("window.untouched = true")
    return watched.page


def judge(store: Store, run: str, **figures: float) -> None:
    """Add figures of a run."""
    with store.write() as connection:
        rows = [
            {"run_id": run, "name": f"clustering.{name}", "value": value, "noise": 0.01}
            for name, value in figures.items()
        ]
        put(connection, Figure, [row | {"kind": "released"} for row in rows])
    change(store.place, Run, {"updated": datetime.now(UTC)}, id=run)


def test_newer_map_is_told_and_what_is_read_stays(store: Store, watched: Watched) -> None:
    add_map(store, "old", LINES)
    page = opened(watched, "/clusters?sort=label&order=up&page=1")
    page.locator("#all details summary").first.click()
    add_map(store, "new", LINES, days=1)
    page.wait_for_selector("[role=status] a", timeout=SOON)
    assert page.locator("[role=status]").inner_text() == "A newer map has arrived: show it"
    assert page.evaluate("window.untouched") is True
    assert page.locator("select[name=run]").input_value() == "old"
    assert page.locator("#all details[open]").count() == 1
    assert page.locator("figure.chart canvas").count() == 3
    assert serious(page) == []
    for size in (DESK, PHONE):  # it stays in sight of who reads further down
        page.set_viewport_size(size)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        assert page.locator("[role=status] a").bounding_box()["y"] >= 0
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.click("[role=status] a")
    page.wait_for_url("**/clusters?sort=label&order=up")
    assert page.locator("select[name=run]").input_value() == "new"
    assert page.locator(".news .note").count() == 0


def test_first_map_is_told_on_a_page_without_one(store: Store, watched: Watched) -> None:
    page = opened(watched, "/clusters")
    add_run(store, "without-map")
    with page.expect_response(lambda answer: "/news?" in answer.url) as told:
        change(store.place, Run, {"updated": datetime.now(UTC)}, id="without-map")
    assert told.value.status == 204
    add_map(store, "first", LINES, days=1)
    page.wait_for_selector("[role=status] a", timeout=SOON)


def test_page_of_a_chosen_map_is_left_alone(store: Store, watched: Watched) -> None:
    for day, run in enumerate(("old", "new")):
        add_map(store, run, LINES, days=day)
    for path in ("/clusters?run=old", "/clusters/compare?left=old&right=new"):
        watched.page.goto(path)
        assert watched.page.locator(".news").count() == 0


def test_comparison_with_the_latest_map_is_told(store: Store, watched: Watched) -> None:
    for day, run in enumerate(("first", "second")):
        add_map(store, run, LINES, days=day)
    page = opened(watched, "/clusters/compare")
    add_map(store, "third", LINES, days=2)
    page.wait_for_selector("[role=status] a", timeout=SOON)
    assert page.locator("select[name=right]").input_value() == "second"
    page.click("[role=status] a")
    page.wait_for_function("document.querySelector('select[name=right]').value === 'third'")
    assert page.locator("select[name=left]").input_value() == "second"


def test_newer_figures_are_told(store: Store, watched: Watched) -> None:
    add_run(store, "old")
    judge(store, "old", silhouette=0.25)
    page = opened(watched, "/quality?run=old")
    judge(store, "old", silhouette=0.25, normalized_cost=1.0625)  # a judge's come after the run's
    page.wait_for_selector("[role=status] a", timeout=SOON)
    assert page.get_by_text("1.062").count() == 0
    page.click("[role=status] a")
    page.wait_for_selector("text=1.062")
    page = opened(watched, "/quality")
    add_run(store, "new", days=1)
    judge(store, "new", silhouette=0.5)
    page.wait_for_selector("[role=status] a", timeout=SOON)
    assert page.locator("select[name=run]").input_value() == "old"


def test_map_that_came_before_the_stream_is_told(store: Store, watched: Watched) -> None:
    add_map(store, "old", LINES)

    def late(route: Any) -> None:
        add_map(store, "new", LINES, days=1)
        route.continue_()

    watched.page.route("**/live?*", late, times=1)
    watched.page.goto("/clusters")
    watched.page.wait_for_selector("[role=status] a", timeout=SOON)


@pytest.mark.parametrize("path", ["/overview", "/runs", "/runs/weekly-1"])
def test_run_that_falls_silent_is_called_interrupted_without_reload(
    store: Store, watched: Watched, path: str
) -> None:
    still = timedelta(seconds=3)
    started = datetime.now(UTC) - timedelta(minutes=5)
    last = datetime.now(UTC) - SILENT_AFTER + still
    add_run(store, "weekly-1", status="running", started=started, updated=last)
    page = watched.page
    page.goto(path)
    assert page.locator(".status-interrupted").count() == 0
    assert page.get_by_text("gives no sign of life").count() == 0
    page.evaluate("window.untouched = true")
    page.wait_for_selector(".status-interrupted", timeout=SOON)
    assert datetime.now(UTC) - last > SILENT_AFTER
    assert page.evaluate("window.untouched") is True
