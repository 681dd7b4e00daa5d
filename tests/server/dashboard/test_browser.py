"""In a real browser: what is drawn, what is refused, what can be done by keyboard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from server.dashboard.settings import Settings
from tests.server.dashboard.site import PASSWORD, made, with_users
from tests.server.dashboard.test_process import free_port

CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip(f"there is no {CHROMIUM}", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
COLOURS = """
Array.from(document.querySelectorAll(".drawing canvas"), (canvas) => new Set(
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size)
"""
SERIOUS = {"serious", "critical"}
PHONE = {"width": 375, "height": 720}
DESK = {"width": 1280, "height": 900}


class Versions:
    """What the store would tell of changes."""

    runs = 1

    def __call__(self) -> Mapping[str, str]:
        return {"runs": str(self.runs)}


@pytest.fixture(scope="module")
def versions() -> Versions:
    return Versions()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, versions: Versions) -> Iterator[str]:
    settings = Settings(
        port=free_port(),
        login="always",
        data=with_users(tmp_path_factory.mktemp("people")),
        poll_seconds=0.1,
    )
    app = made(settings, changes=versions)
    server = uvicorn.Server(
        uvicorn.Config(app, port=settings.port, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield settings.address
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A page, with all that the browser has complained about."""

    def __init__(self, browser: Any, base: str, **options: Any) -> None:
        self.context = browser.new_context(base_url=base, **{"viewport": DESK} | options)
        self.page = self.context.new_page()
        self.page.add_init_script(VIOLATIONS)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self._host = urlsplit(base).netloc

    def _console(self, message: Any) -> None:
        # The browser itself reports an answer of 401 or 404 as an error.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def log_in(self) -> Any:
        self.page.goto("/overview")
        self.page.fill("#name", "chen")
        self.page.fill("#password", PASSWORD)
        self.page.click("main button[type=submit]")
        self.page.wait_for_url("**/overview")
        return self.page

    def close(self) -> None:
        """End it; nothing may have been complained about, nor asked of another host."""
        violations = self.page.evaluate("window.violations")
        self.context.close()
        assert violations == []
        assert self.complaints == []
        assert self.hosts <= {self._host}


def serious(page: Any) -> list[str]:
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in SERIOUS
    ]


def test_sample_page_light_and_dark(chromium: Any, base: str, tmp_path: Path) -> None:
    watched = Watched(chromium, base, color_scheme="light", reduced_motion="reduce")
    dialogs: list[str] = []
    watched.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page = watched.log_in()
    page.wait_for_selector("figure.chart canvas")
    assert page.locator("figure.chart canvas").count() == 4
    # A label that is markup is shown, and does nothing.
    assert page.get_by_text("<script>alert(1)</script>").count() >= 1
    assert dialogs == []
    pictures = []
    for theme in ("light", "dark"):  # the charts follow a change of the system's theme
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(200)
        assert min(page.evaluate(COLOURS)) > 8, "nothing was drawn"
        page.locator(".drawing.intervals").hover(position={"x": 300, "y": 60})
        assert serious(page) == []
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=tmp_path / f"sample-{theme}.png", full_page=True)
        pictures.append(page.locator(".drawing.intervals").screenshot())
    assert pictures[0] != pictures[1]
    watched.close()


def test_phone_scrolls_in_one_direction(chromium: Any, base: str, tmp_path: Path) -> None:
    watched = Watched(chromium, base, viewport=PHONE, locale="zh-CN", reduced_motion="reduce")
    watched.page.goto("/login")
    watched.page.screenshot(path=tmp_path / "login-phone.png")
    page = watched.log_in()
    page.wait_for_selector("figure.chart canvas")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    assert page.get_by_role("link", name="总览").is_visible()
    assert serious(page) == []
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=tmp_path / "sample-phone.png", full_page=True)
    watched.close()


def test_login_and_errors_have_no_serious_finding(chromium: Any, base: str, tmp_path: Path) -> None:
    watched = Watched(chromium, base)
    page = watched.page
    for path in ("login", "no-such-page"):
        page.goto(f"/{path}")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            assert serious(page) == []
            page.screenshot(path=tmp_path / f"{path}-{theme}.png")
        if path == "login":
            watched.log_in()
    assert page.get_by_role("link", name="Overview").is_visible()
    watched.close()


def test_wrong_password_is_told_beside_the_form(chromium: Any, base: str) -> None:
    watched = Watched(chromium, base)
    page = watched.page
    page.goto("/login")
    page.fill("#name", "chen")
    page.fill("#password", "wrong password 123")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert page.locator("#name").input_value() == "chen"
    assert page.evaluate("document.activeElement.id") == "password"
    watched.close()


def test_language_and_theme_without_javascript(chromium: Any, base: str) -> None:
    watched = Watched(chromium, base, java_script_enabled=False)
    page = watched.log_in()
    page.get_by_role("button", name="中文").click()
    page.get_by_role("button", name="深色").click()
    assert page.url == f"{base}/overview"
    assert page.get_by_role("heading", level=1).inner_text() == "总览"
    assert page.locator("html").get_attribute("data-theme") == "dark"
    background = page.locator("body").evaluate("b => getComputedStyle(b).backgroundColor")
    assert background == "rgb(18, 22, 29)"
    # The charts' tables are there without a script.
    page.locator("figure.chart details summary").first.click()
    assert page.locator("figure.chart table").first.is_visible()
    page.get_by_role("button", name="退出").click()
    page.wait_for_url("**/login")
    page.goto("/overview")
    assert page.url.startswith(f"{base}/login")
    watched.context.close()


def test_all_can_be_reached_by_keyboard(chromium: Any, base: str) -> None:
    watched = Watched(chromium, base)
    page = watched.page
    page.goto("/overview")
    page.keyboard.type("chen")  # the name has the focus
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.outerHTML"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    for part in ("<summary", 'class="switch"', "sort=name", 'rel="next"', "/clusters", "Log out"):
        assert any(part in element for element in reached), part
    watched.close()


def test_change_comes_to_an_open_page(chromium: Any, base: str, versions: Versions) -> None:
    watched = Watched(chromium, base)
    page = watched.log_in()
    assert page.locator("#live").inner_text() == "not yet"
    page.wait_for_timeout(400)
    versions.runs += 1
    page.wait_for_selector("#live >> text=changed", timeout=5000)
    watched.close()
