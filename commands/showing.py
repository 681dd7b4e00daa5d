"""A dashboard beside another command, as long as that runs."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from commands.dashboard import require_extra

USUAL_PORT = 8600
_END_SECONDS = 10


@contextmanager
def dashboard_on(store: str) -> Iterator[str]:
    """Show ``store`` in a dashboard of its own process; yield its address, and end it after.

    Raises
    ------
    DashboardError
        If its packages are missing, or it could not be started.
    """
    require_extra()
    from server.dashboard.errors import DashboardError

    port = _port()
    words = ["--store", store, "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "fedinterest", "dashboard", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # its access log would run through what is told here
        text=True,
        cwd=Path.cwd(),
    )
    try:
        told = process.stdout.readline() if process.stdout else ""
        if not told.startswith("Dashboard: "):
            raise DashboardError(
                f"The dashboard could not be started on {store}. Nothing was run. To see why: "
                f"fedinterest dashboard {' '.join(words)}"
            )
        yield told.split()[1]
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def shown_live(store: str, *, opens: bool = True) -> Iterator[None]:
    """Show ``store`` while something is recorded in it, and afterwards until Ctrl-C.

    Raises
    ------
    DashboardError
        If the dashboard could not be started.
    StoreError
        If the store can neither be opened nor made.
    """
    from server.run_store.opening import open_store

    open_store(store).close()  # so that the page is there before the first run
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else the dashboard would stay
    with dashboard_on(store) as address:
        typer.echo(f"Dashboard: {address}")
        if opens:
            webbrowser.open(address)
        yield
        typer.echo(f"The dashboard stays at {address}. Ctrl-C ends it.")
        _wait_for_interrupt()


def _wait_for_interrupt() -> None:
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _port() -> int:
    """Return the usual port, or a free one where that is taken."""
    for port in (USUAL_PORT, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    return USUAL_PORT
