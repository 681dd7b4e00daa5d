"""Ask the server's own processes whether they answer, over TLS as others will."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from pathlib import Path

from deployment.hosting.ports import LOOPBACK, is_listening
from deployment.server.certificates import INTERNAL_HOSTS
from deployment.server.settings import ServerSettings

_SECONDS = 10.0
_FORBIDDEN = 403
_FAILED = 500


def superlink_answers(settings: ServerSettings) -> bool:
    """Tell whether the SuperLink says that it is well."""
    status = _status(
        LOOPBACK, settings.superlink_port, INTERNAL_HOSTS[0], settings.ca_certificate, "GET /health"
    )
    return status == http.client.OK


def enrolment_answers(settings: ServerSettings) -> bool:
    """Tell whether somebody listens where the enrolment service should."""
    return is_listening(settings.enrolment_port)


def nginx_answers(settings: ServerSettings) -> bool:
    """Tell whether nginx lets a Fleet request through to the SuperLink, and nothing else."""
    address = local_address(settings)
    name = settings.hosts[0]
    ask = (address, settings.port, name, settings.ca_certificate)
    if _status(*ask, "GET /health") != _FORBIDDEN:
        return False
    # An empty request of nobody's: Flower refuses it, which shows that it arrived.
    status = _status(*ask, "POST /v1/fleet/get-run")
    return status is not None and status != _FORBIDDEN and status < _FAILED


def local_address(settings: ServerSettings) -> str:
    """Return an address of this machine at which nginx listens."""
    address = ipaddress.ip_address(settings.listen)
    if not address.is_unspecified:
        return str(address)
    return LOOPBACK if address.version == 4 else "::1"


def _status(address: str, port: int, name: str, ca: Path, request: str) -> int | None:
    """Return the status of the answer to a request without a body; None if there is none."""
    method, path = request.split()
    try:
        context = ssl.create_default_context(cafile=str(ca))
        plain = socket.create_connection((address, port), timeout=_SECONDS)
        with plain, context.wrap_socket(plain, server_hostname=name) as secure:
            connection = http.client.HTTPConnection(name, port)
            connection.sock = secure
            connection.request(method, path, headers={"Content-Length": "0"})
            return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
