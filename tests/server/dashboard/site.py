"""A dashboard to try: with users, a proxy that ends TLS, and a page of every component."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from jinja2 import ChoiceLoader, DictLoader
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from server.dashboard.accounts import Accounts
from server.dashboard.application import create_app
from server.dashboard.charts import Chart
from server.dashboard.errors import StoreAwayError
from server.dashboard.listing import asked_listing
from server.dashboard.navigation import Page
from server.dashboard.rendering import show
from server.dashboard.roles import Role
from server.dashboard.settings import Settings
from server.dashboard.visitors import RoleNeeded

PASSWORD = "correct horse battery staple"
HOST = "fed.example.org"
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'</script>"
TEMPLATES = Path(__file__).parent / "templates"


def with_users(folder: Path) -> Path:
    accounts = Accounts(folder)
    accounts.add("maria", Role.VIEWER, PASSWORD)
    accounts.add("chen", Role.AUDITOR, PASSWORD)
    return folder


def guarded(folder: Path, **others: Any) -> Settings:
    """Return settings behind a proxy, where everybody logs in."""
    values: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "allowed_hosts": [HOST]} | others
    return Settings(data=folder, **values)


def made(settings: Settings, **others: Any) -> FastAPI:
    app = create_app(settings, sample_pages(), **others)
    frame = app.state.frame
    sample = {"sample.html": (TEMPLATES / "sample.html").read_text(encoding="utf-8")}
    frame.templates.loader = ChoiceLoader([frame.templates.loader, DictLoader(sample)])
    return app


def browser(app: FastAPI, base: str = f"https://{HOST}") -> TestClient:
    client = TestClient(app, base_url=base, follow_redirects=False)
    client.headers.update({"accept": "text/html"})
    return client


def form_token(client: TestClient, path: str = "/login") -> str:
    found = re.search(r'name="form-token" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def log_in(client: TestClient, name: str = "maria", password: str = PASSWORD, **fields: str) -> Any:
    form = {"form-token": form_token(client), "name": name, "password": password} | fields
    return client.post("/login", data=form)


def sample_pages() -> list[Page]:
    overview, audits = APIRouter(), APIRouter()

    @overview.get("/overview")
    def sample(request: Request) -> Response:
        listing = asked_listing(request, ("started", "name"), descending=True, size=4)
        return show(request, "sample.html", charts=charts(), listing=listing, attack=ATTACK)

    @overview.get("/overview/part")
    def part() -> Response:
        return Response("<p>changed</p>", media_type="text/html")

    @overview.get("/overview/broken")
    def broken() -> Response:
        raise RuntimeError("a secret of the machine")

    @overview.get("/overview/away")
    def away() -> Response:
        raise StoreAwayError

    @overview.get("/overview/number")
    def number(n: int) -> Mapping[str, int]:
        return {"n": n}

    @overview.get("/api/v1/sample")
    def api() -> Mapping[str, str]:
        return {"label": ATTACK}

    @audits.get("/privacy", dependencies=[Depends(RoleNeeded(Role.AUDITOR))])
    def privacy(request: Request) -> Response:
        return show(request, "error.html", reason="404", status=200)

    others = [
        Page(key=key, path=f"/{key}", router=APIRouter())
        for key in ("clusters", "runs", "regions", "quality")
    ]
    return [
        Page(key="overview", path="/overview", router=overview),
        *others,
        Page(key="privacy", path="/privacy", router=audits, role=Role.AUDITOR),
    ]


def charts() -> dict[str, Chart]:
    names = ["baking & coffee", "pet care", "barbecue", "baby & toddler", "ready meals", "wine"]
    places = [(0.2, 0.5), (0.7, -0.3), (-0.5, 0.2), (-0.1, -0.6), (0.4, 0.1), (-0.6, 0.7)]
    sizes = [612.0, 340.0, 505.0, 198.0, 431.0, 240.0]
    scatter = tuple(
        (name, x, y, 0.06, 0.09, size)
        for name, (x, y), size in zip(names, places, sizes, strict=True)
    )
    treemap = tuple(
        (name, "kitchen" if at % 2 else "home", size, 24.0)
        for at, (name, size) in enumerate(zip(names, sizes, strict=True))
    )
    lines = tuple(
        (series, float(week), base + 0.012 * week, 0.01)
        for series, base in (("hit rate", 0.41), ("popularity", 0.44))
        for week in range(1, 9)
    )
    return {
        "scatter": Chart(
            id="places",
            kind="scatter",
            title="Where clusters lie",
            rows=scatter,
            columns=("cluster", "x", "y", "noise of x", "noise of y", "users"),
            x_label="first direction",
            y_label="second direction",
        ),
        "treemap": Chart(
            id="sizes",
            kind="treemap",
            title="How many users each cluster has",
            rows=treemap,
            columns=("cluster", "group", "users", "noise"),
        ),
        "intervals": Chart(
            id="bars",
            kind="intervals",
            title="Users by cluster, with noise",
            rows=tuple((row[0], row[2], row[3]) for row in treemap),
            columns=("cluster", "users", "noise"),
            x_label="users",
        ),
        "lines": Chart(
            id="weeks",
            kind="lines",
            title="Hit rate by week",
            rows=lines,
            columns=("series", "week", "rate", "noise"),
            x_label="week",
            y_label="rate",
        ),
    }
