"""Starts the dashboard and ends it: one process, one port."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
import webbrowser

import uvicorn
from fastapi import FastAPI

from server.dashboard.errors import DashboardError
from server.dashboard.settings import Settings

GRACE = 3
"""Seconds that answers under way get once the end was asked for."""


def serve(app: FastAPI, settings: Settings, *, opens: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Parameters
    ----------
    app : FastAPI
    settings : Settings
    opens : bool
        Show it in this machine's browser.

    Raises
    ------
    DashboardError
        If the port is taken, or certificate and key do not fit.
    """
    _check_certificate(settings)
    listening = _listen(settings)
    _log_to_stderr()
    server = uvicorn.Server(configuration(app, settings))
    sys.stdout.write(f"Dashboard: {settings.address}\n")
    if not settings.needs_login:
        sys.stdout.write("Whoever has an account on this machine can see it. Ctrl-C ends it.\n")
    sys.stdout.flush()
    if opens:
        webbrowser.open(settings.address)
    with listening:
        server.run(sockets=[listening])


def configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn is run."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # it would log queries; ours does not
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        ws="none",
        http="h11",
        h11_max_incomplete_event_size=32 * 1024,
        limit_concurrency=settings.most_streams + 200,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE,
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        raise DashboardError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}). Nothing "
            "was started. Is a dashboard running already? Else choose another with --port."
        ) from error


def _check_certificate(settings: Settings) -> None:
    if settings.certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise DashboardError(
            f"Certificate {settings.certificate} and key {settings.key} cannot be used "
            f"({error.strerror or error}). Nothing was started."
        ) from error


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
