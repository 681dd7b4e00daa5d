"""Stores to look at: a finished run, one under way, one that fell silent, and names that bite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update
from starlette.testclient import TestClient

from server.dashboard.settings import Settings
from server.dashboard.site import create_site
from server.run_store.opening import open_store
from server.run_store.schema import Cluster, Refusal, Run
from tests.server.dashboard.site import ATTACK, browser
from tests.server.run_store.examples import MadeUp

LOCAL = "http://127.0.0.1:8600"
BITING = (ATTACK, "'; DROP TABLE run; --", "../../etc/passwd", "%2e%2e%2f{0.__class__}", "=1+1")
"""Labels, sentences and names that others sent."""


def filled(folder: Path) -> str:
    """Return a store of three runs: ``spring-1`` completed, ``summer-1`` alive, ``autumn-1`` not.

    One region refused in the run that is alive.
    """
    place, now = str(folder / "store.sqlite"), datetime.now(UTC)
    spring = MadeUp(place, run="spring-1", name="spring", started=now - timedelta(days=2))
    recorder = spring.recorder(beat_seconds=600)
    recorder.begin()
    spring.play(13, recorder)
    recorder.complete(spring.report())
    recorder.stop()
    for name, hours in (("summer", 1), ("autumn", 24)):
        run = MadeUp(place, run=f"{name}-1", name=name, started=now - timedelta(hours=hours))
        recorder = run.recorder(beat_seconds=600)
        recorder.begin()
        run.play(2, recorder)
        run.ask()
        run.answer("north", refusing=("south",))
        recorder.keep()
        recorder.stop()
    change(place, Run, {"updated": now + timedelta(hours=1), "status": "running"}, id="summer-1")
    change(place, Run, {"updated": now - timedelta(hours=23), "status": "running"}, id="autumn-1")
    return place


def change(place: str, model: Any, values: dict[str, Any], **which: Any) -> None:
    """Change rows of a store behind everybody's back."""
    store = open_store(place)
    chosen = [getattr(model, name) == value for name, value in which.items()]
    with store.write() as connection:
        connection.execute(update(model).where(*chosen).values(**values))
    store.close()


def poisoned(folder: Path, words: str) -> str:
    """Return a store in which all that others send is ``words``."""
    place = filled(folder)
    change(place, Cluster, {"label": words, "terms": [words], "items": [words]})
    change(place, Refusal, {"sentence": words, "reason": words})
    change(place, Run, {"failure": words, "failure_type": words, "status": "failed"}, id="autumn-1")
    change(place, Run, {"name": words}, id="summer-1")
    return place


def at(place: str, folder: Path) -> TestClient:
    """Return a browser on this machine that looks at a store."""
    return browser(create_site(Settings(store=place, data=folder)), LOCAL)
