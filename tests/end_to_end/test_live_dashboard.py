"""The dashboard as an operator has it: started by its command, in a browser, as a run goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.dashboard.site import PAGES
from server.dashboard.stored import FRESH_SECONDS
from server.run_store import reading
from server.run_store.opening import open_store
from server.run_store.reading_budgets import budget_states
from server.run_store.schema import Run
from simulations.scenario import SAMPLE
from tests.server.dashboard.site import PASSWORD, with_users
from tests.server.dashboard.stores import change
from tests.server.dashboard.test_browser import (  # noqa: F401  (a fixture is found by its name)
    PHONE,
    Watched,
    chromium,
    serious,
)
from tests.server.dashboard.test_process import address, free_port, started
from tests.server.run_store.examples import latest_map

PROJECT = Path(__file__).parents[2]
PICTURES = PROJECT / "runs" / "screenshots"
"""Each page as it looked, for people to look at."""
LONGEST = 240_000
"""Milliseconds that the run may take on a busy machine."""
SEEN = """
window.seen = [];
window.setInterval(() => {
  const bar = document.querySelector("#progress progress");
  if (bar && window.seen.at(-1) !== bar.value) window.seen.push(bar.value);
}, 20);
"""


@dataclass(frozen=True)
class Site:
    """A dashboard that runs, and the store that it shows."""

    base: str
    store: str
    folder: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("live")
    people, store = with_users(folder / "people"), str(folder / "store.sqlite")
    settings = folder / "dashboard.toml"
    settings.write_text(
        f'store = "{store}"\nport = {free_port()}\ndata = "{people}"\n'
        'login = "always"\npoll-seconds = 0.1\n'
    )
    with started(folder, "--settings", str(settings)) as process:
        yield Site(address(process), store, folder)


@pytest.fixture(scope="module")
def finished(site: Site, chromium: Any) -> list[float]:  # noqa: F811
    """Watch a run from before it begins to its end; return the values that its bar had."""
    watched = Watched(chromium, site.base)
    page = watched.page
    answer = page.goto("/overview")
    page.fill("#name", "chen")
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("text=The run store does not answer")
    assert answer.status == 200
    open_store(site.store).close()
    time.sleep(2 * FRESH_SECONDS)  # so long what went wrong is told to whoever asks
    page.goto("/overview")
    page.wait_for_selector("text=There is no run yet")
    page.evaluate("window.untouched = true")
    command = [sys.executable, "-m", "fedinterest", "simulate", str(SAMPLE)]
    places = ["--store", site.store, "--out", str(site.folder / "out")]
    with (site.folder / "simulate.log").open("w") as log:
        run = subprocess.Popen([*command, *places], cwd=PROJECT, stdout=log, stderr=log)
        try:
            page.wait_for_selector("#overview progress", timeout=LONGEST)
            assert page.evaluate("window.untouched") is True
            page.click("#overview .row a")
            page.wait_for_url("**/runs/sample-*")
            page.evaluate(SEEN)
            assert run.wait(LONGEST / 1000) == 0, (site.folder / "simulate.log").read_text()[-3000:]
            page.wait_for_selector("#progress .status-completed", timeout=10_000)
            seen: list[float] = page.evaluate("window.seen")
        finally:
            run.kill()
            run.wait()
    watched.close()
    return seen


@contextmanager
def a_client(site: Site, name: str = "chen") -> Iterator[httpx.Client]:
    headers = {"accept": "*/*", "origin": site.base}
    with httpx.Client(base_url=site.base, follow_redirects=True, headers=headers) as client:
        form = client.get("/login").text.partition('name="form-token" value="')[2]
        fields = {"form-token": form.partition('"')[0], "name": name, "password": PASSWORD}
        assert client.post("/login", data=fields).status_code == 200
        yield client


def test_progress_comes_without_reload(finished: list[float]) -> None:
    assert len(finished) >= 4, finished
    assert finished == sorted(finished)
    assert finished[-1] == 13


def test_page_api_and_store_agree(site: Site, finished: list[float]) -> None:
    report = json.loads((site.folder / "out" / "report.json").read_text())
    store = open_store(site.store)
    found = latest_map(store)
    budgets = budget_states(store)
    store.close()
    assert found is not None
    with a_client(site) as client:
        told = client.get("/api/v1/overview").json()
        page = client.get("/overview").text
        run = client.get(f"/api/v1/runs/{found.run_id}").json()
        sent = client.get(f"/api/v1/runs/{found.run_id}/report").json()
    sizes = [cluster["noisy_size"] for cluster in report["clustering"]["clusters"]]
    assert [line["noisy_size"] for line in told["map"]["clusters"]] == sizes
    assert [line.noisy_size for line in found.clusters] == sizes
    for cluster in report["clustering"]["clusters"]:
        assert f"{cluster['noisy_size']:,.0f}" in page
    assert report["clustering"] == sent["clustering"]
    assert run["answered"] == report["privacy"]["releases"]
    assert told["n_budgets"] == len({line.region for line in budgets}) == 8
    spent = max(line.told or 0 for line in budgets)
    assert f"{spent:.2f} of" in page


@pytest.mark.parametrize("number", range(len(PAGES)))
def test_each_page_in_each_light(
    site: Site,
    finished: list[float],
    chromium: Any,  # noqa: F811
    number: int,
) -> None:
    page_key, path = PAGES[number].key, PAGES[number].path
    PICTURES.mkdir(parents=True, exist_ok=True)
    ways: dict[str, dict[str, Any]] = {
        "light": {"color_scheme": "light"},
        "dark": {"color_scheme": "dark"},
        "phone": {"viewport": PHONE},
        "chinese": {"locale": "zh-CN"},
    }
    for way, options in ways.items():
        watched = Watched(chromium, site.base, reduced_motion="reduce", **options)
        page = watched.log_in()
        answer = page.goto(path)
        assert answer.status == 200
        page.wait_for_load_state("load")
        page.wait_for_timeout(300)
        assert serious(page) == []
        if way == "phone":
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        language = "zh-Hans" if way == "chinese" else "en"
        assert page.locator("html").get_attribute("lang") == language
        page.screenshot(path=PICTURES / f"{page_key}-{way}.png", full_page=True)
        watched.close()


def test_run_page_is_as_good(site: Site, finished: list[float], chromium: Any) -> None:  # noqa: F811
    watched = Watched(chromium, site.base, reduced_motion="reduce")
    page = watched.log_in()
    page.goto("/runs")
    page.click("tbody a")
    page.wait_for_url("**/runs/sample-*")
    assert serious(page) == []
    page.screenshot(path=PICTURES / "run-light.png", full_page=True)
    watched.close()


def test_viewer_and_auditor(site: Site, finished: list[float]) -> None:
    with a_client(site, "maria") as viewer, a_client(site, "chen") as auditor:
        for page in PAGES:
            assert viewer.get(page.path).status_code in (200, 403)
            assert auditor.get(page.path).status_code == 200
    with httpx.Client(base_url=site.base) as stranger:
        for page in PAGES:
            assert stranger.get(page.path).status_code == 303
        assert stranger.get("/api/v1/overview").status_code == 401


def test_killed_run_is_called_interrupted(site: Site, finished: list[float]) -> None:
    """What is said of a run whose process was killed, once a minute has gone by."""
    store = open_store(site.store)
    (run,) = reading.runs(store, limit=1)
    store.close()
    silent = datetime.now(UTC) - timedelta(seconds=61)
    change(site.store, Run, {"status": "running", "updated": silent}, id=run.id)
    time.sleep(2 * FRESH_SECONDS)
    with a_client(site) as client:
        assert client.get("/api/v1/runs").json()["runs"][0]["status"] == "interrupted"
        assert "gives no sign of life" in client.get("/overview").text
