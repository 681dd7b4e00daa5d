"""Both databases, for tests that hold for either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.run_store.opening import Store, open_store
from tests.server.run_store.postgres import Postgres, is_installed, postgres


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    if not is_installed():
        pytest.skip("PostgreSQL 15 is not installed")
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where a new store may lie."""
    if request.param == "sqlite":
        return str(tmp_path / "store.sqlite")
    running: Postgres = request.getfixturevalue("server")
    return running.new_database()


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    opened = open_store(place, busy_seconds=2.0)
    yield opened
    opened.close()
