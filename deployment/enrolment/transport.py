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

SECONDS = 30.0
_LONGEST_ANSWER = 4096
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:]+\]|[^:/@\s\[\]]+):(?P<port>[0-9]{1,5})")
# Of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64


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
        raise UnreachableError(_why(server, host, ca, error)) from error
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
        context = ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise UnreachableError(
            f"The certificate authority {ca} cannot be read ({_reason(error)}). Nothing was sent. "
            "Name the file (PEM) that the server's operator gave you."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _why(server: str, host: str, ca: Path, error: Exception) -> str:
    """Say what kept the connection from being made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        match error.verify_code:
            case code if code == _EXPIRED:
                what = f"The certificate of {server} has expired"
                remedy = "The server's operator has to renew it; look at this machine's date, too."
            case code if code == _NOT_YET_VALID:
                what = f"The certificate of {server} is not valid yet"
                remedy = "Look at this machine's date."
            case code if code in (_OTHER_NAME, _OTHER_ADDRESS):
                what = f"The certificate of {server} is for another name than {host!r}"
                remedy = "Use the name that the server's operator gave you."
            case _:
                what = f"The certificate of {server} is not one of the authority in {ca}"
                remedy = (
                    "Either the file is another server's, or somebody stands in between: "
                    "ask the server's operator."
                )
        return f"{what} ({error.verify_message}). Nothing was sent. {remedy}"
    if isinstance(error, ssl.SSLError):
        return (
            f"{server} does not speak TLS as it should ({_reason(error)}). Nothing was sent. "
            "Look whether the port is the server's public one."
        )
    return (
        f"{server} cannot be reached ({_reason(error)}). Nothing was sent. "
        "Look at the address and at the network's rules."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _time(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except ValueError:
        return None
