"""The dashboard as it is served: all pages, on one run store."""

from __future__ import annotations

from fastapi import FastAPI

from server.dashboard.application import create_app
from server.dashboard.pages import clusters, overview, privacy, quality, regions, runs
from server.dashboard.run_figures import RunCollector
from server.dashboard.settings import Settings
from server.dashboard.stored import Stored

PAGES = (overview.PAGE, clusters.PAGE, runs.PAGE, regions.PAGE, privacy.PAGE, quality.PAGE)
"""In the order of the navigation."""


def create_site(settings: Settings) -> FastAPI:
    """Return the application with all pages, which read the store that ``settings`` names.

    Raises
    ------
    DashboardError
        If strangers could look in.
    """
    stored = Stored(settings.store)
    app = create_app(
        settings,
        PAGES,
        changes=stored.changes,
        is_ready=stored.is_ready,
        collectors=[RunCollector(stored)],
    )
    app.state.stored = stored
    return app
