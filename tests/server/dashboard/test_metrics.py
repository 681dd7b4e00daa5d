"""How the dashboard does is told without telling what was asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from server.dashboard.roles import Role
from server.dashboard.settings import Settings
from server.dashboard.tokens import Tokens
from tests.server.dashboard.site import browser, guarded, log_in, made, with_users

LOCAL = "http://127.0.0.1:8600"


def test_requests_are_counted_by_route_never_by_address(tmp_path: Path) -> None:
    client = browser(made(Settings(data=tmp_path)), LOCAL)
    for n in range(30):
        client.get(f"/made-up-{n}")
        client.request(f"MADEUP{n}", "/overview")
    client.get("/overview?secret=1")
    text = client.get("/metrics").text
    assert "made-up" not in text
    assert "secret" not in text
    samples = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "fedinterest_dashboard_requests_total"
    }
    assert samples["GET", "unmatched", "404"] == 30
    assert samples["GET", "/overview", "200"] == 1
    assert {method for method, _, _ in samples} == {"GET", "other"}


def test_others_figures_join_in(tmp_path: Path) -> None:
    class Runs(Collector):
        def collect(self) -> Iterable[Metric]:
            yield GaugeMetricFamily("fedinterest_runs", "Runs.", value=3)

    client = browser(made(Settings(data=tmp_path), collectors=[Runs()]), LOCAL)
    assert "fedinterest_runs 3.0" in client.get("/metrics").text


def raising() -> bool:
    raise OSError("gone")


@pytest.mark.parametrize("is_ready", [lambda: False, raising], ids=["no", "raises"])
def test_health_tells_when_the_store_is_away(tmp_path: Path, is_ready: object) -> None:
    answer = browser(made(Settings(data=tmp_path), is_ready=is_ready), LOCAL).get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "store away"})


def test_log_has_no_query_no_token_no_password_and_no_forged_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = browser(made(guarded(with_users(tmp_path))))
    token = Tokens(tmp_path).make("log", Role.VIEWER, 1)
    with caplog.at_level(logging.INFO):
        client.get("/overview?secret=1", headers={"authorization": f"Bearer {token}"})
        client.get("/a%0aGET%20/forged%0d%1b%5B31m")
        log_in(client)
    ours = [record for record in caplog.records if record.name.startswith("fedinterest")]
    lines = [record.getMessage() for record in ours]
    text = "\n".join(lines)
    for hidden in ("secret", token, "correct horse", "form-token"):
        assert hidden not in text
    assert not any("\n" in line or "\r" in line or "\x1b" in line for line in lines)
    assert any("GET /overview 200" in line for line in lines)
