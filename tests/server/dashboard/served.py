"""A dashboard over a store, served to a browser: small steps that several tests take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from server.dashboard.serving import configuration
from server.dashboard.settings import Settings
from server.dashboard.site import create_site
from tests.server.dashboard.test_process import free_port


@contextmanager
def served(place: str, folder: Path) -> Iterator[str]:
    """Serve the store at ``place`` on this machine, and yield the address."""
    settings = Settings(store=place, data=folder, port=free_port(), poll_seconds=0.1)
    server = uvicorn.Server(configuration(create_site(settings), settings))
    server.config.timeout_graceful_shutdown = 1
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield settings.address
    finally:
        server.should_exit = True
        thread.join(timeout=20)
    assert not thread.is_alive()
