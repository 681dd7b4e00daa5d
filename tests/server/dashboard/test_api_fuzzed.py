"""Whatever is asked of the API, it answers as its own description says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.dashboard.api import API
from server.dashboard.settings import Settings
from server.dashboard.site import PAGES, create_site
from server.run_store.opening import open_store
from server.run_store.putting import put
from server.run_store.schema import Audit
from tests.server.run_store.examples import MadeUp

LOCAL = {"host": "127.0.0.1:8600"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ROUTES = [
    route.path
    for page in PAGES
    for route in page.router.routes
    if isinstance(route, APIRoute) and route.path.startswith(API)
]
KNOWN = {
    "run_id": "spring-1",
    "run": "spring-1",
    "against": "spring-1",
    "region": "north",
    "figure": "clustering.silhouette",
    "name": "spring",
    "audit_id": "a" * 64,
}
"""What parameters of these names may be to find something."""
OF_REGIONS = {"name": "north"}
"""The same, where names are those of regions."""
FEW = settings(
    max_examples=4,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Return a site on a store with a finished run and one under way."""
    folder = tmp_path_factory.mktemp("fuzzed")
    place = str(folder / "store.sqlite")
    made_up = MadeUp(place)
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    made_up.play(2, recorder)
    recorder.complete(made_up.report())
    recorder.stop()
    other = MadeUp(place, run="summer/1 & <b>", name="summer")
    begun = other.recorder(beat_seconds=60)
    begun.begin()
    other.play(1, begun)
    begun.stop()
    store = open_store(place)
    audit = {
        "id": KNOWN["audit_id"],
        "made": datetime.now(UTC),
        "signed_by": "",
        "paths": ["runs/spring"],
        "verdict": "PASS",
        "simulated": False,
        "document": "{}",
    }
    with store.write() as connection:
        put(connection, Audit, [audit])
    store.close()
    return create_site(Settings(store=place, data=folder / "data"))


@pytest.fixture(scope="module")
def schema(app: FastAPI) -> Any:
    return schemathesis.openapi.from_asgi(f"{API}/openapi.json", app, headers=LOCAL)


def test_there_are_routes_to_ask() -> None:
    assert len(ROUTES) >= 8


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", ROUTES)
def test_no_question_breaks_it(schema: Any, path: str, mode: GenerationMode) -> None:
    operation = schema[path.replace(":path}", "}")]["GET"]
    if mode is GenerationMode.NEGATIVE and "{" not in path and not operation.query:
        pytest.skip("nothing can be asked wrongly")

    @FEW
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(headers=LOCAL, checks=CHECKS)

    ask()


@pytest.mark.parametrize("path", ROUTES)
def test_what_is_found_is_as_described(schema: Any, path: str) -> None:
    operation = schema[path.replace(":path}", "}")]["GET"]
    known = KNOWN | (OF_REGIONS if "/regions" in path else {})
    given_values = {
        one.name: known[one.name] for one in operation.path_parameters if one.name in known
    }
    asked = {one.name: known[one.name] for one in operation.query if one.name in known}
    case = operation.Case(path_parameters=given_values, query=asked)
    answer = case.call_and_validate(headers=LOCAL, checks=CHECKS)
    if len(given_values) == path.count("{"):
        assert answer.status_code == 200
