"""The one connection to a server's enrolment service: TLS, by the CA that was named, or none.

The standard library's client says exactly what is wrong with a certificate, takes no proxies from
the environment and follows no redirects.
"""

from __future__ import annotations

import http.client
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from deployment.enrolment.errors import UnreachableError
from deployment.enrolment.request import ROUTE
from deployment.hosting.tls import fault_of, reason_of, trusting

SECONDS = 30.0
_LONGEST_ANSWER = 4096
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[^:/@\s\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes
    ----------
    status : int
        Of HTTP.
    body : bytes
    server_time : datetime, optional
        By the server's clock.
    """

    status: int
    body: bytes
    server_time: datetime | None


def post(server: str, ca: Path, body: bytes) -> Answer:
    """Send ``body`` to a server's enrolment service.

    Parameters
    ----------
    server : str
        ``host:port``; the host's name is what the certificate must be for.
    ca : Path
        The certificate authority that alone is believed.

    Raises
    ------
    UnreachableError
        If nobody is there, or whoever is there cannot prove to be the server.
    """
    found = _ADDRESS.fullmatch(server)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise UnreachableError(
            f"{server!r} is no address such as interests.example.org:443. Nothing was sent."
        )
    host = found["host"].strip("[]")
    connection = http.client.HTTPSConnection(
        host, int(found["port"]), timeout=SECONDS, context=_context(ca)
    )
    try:
        connection.connect()  # nothing is sent before the server has proved who it is
    except (OSError, UnicodeError) as error:
        fault = fault_of(server, host, ca, error)
        raise UnreachableError(f"{fault.what}. Nothing was sent. {fault.remedy}") from error
    try:
        connection.request("POST", ROUTE, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(
            response.status, response.read(_LONGEST_ANSWER), _time(response.getheader("Date"))
        )
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(
            f"The request was sent to {server}, and no answer came ({type(error).__name__}). "
            "It may have arrived. Say the same again: that tells how it stands."
        ) from error
    finally:
        connection.close()


def _context(ca: Path) -> ssl.SSLContext:
    try:
        return trusting(ca)
    except OSError as error:
        raise UnreachableError(
            f"The certificate authority {ca} cannot be read ({reason_of(error)}). Nothing was "
            "sent. Name the file (PEM) that the server's operator gave you."
        ) from error


def _time(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except ValueError:
        return None
