"""The way to the server, step by step: name, port, TLS, HTTP; and its clock and certificate.

The first step that fails is told, and what lies behind it is not checked.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from cryptography import x509

from deployment.agent.doctor.finding import Finding, not_checked, warning, well, wrong
from deployment.agent.doctor.patient import Patient
from deployment.agent.errors import AgentError
from deployment.agent.settings import server_of
from deployment.hosting.tls import fault_of, reason_of, trusting

SECONDS = 10.0
FLEET = "/v1/fleet/get-run"
"""An empty request there is nobody's: Flower refuses it, which shows that it arrived."""
CLOCK_SECONDS = 300.0
"""So far behind the server's a clock may be: enrolment and Flower refuse what is further away."""
AHEAD_SECONDS = 5.0
"""So far ahead: Flower lets nobody in from a later future. A policy may bear less: by the clock of
a region that is ahead, requests are over before they are."""
TOLD_SECONDS = 1.5
"""By so much an answer's time may seem old: it has no fractions, and was under way."""
FEW_DAYS = 14.0
"""A certificate that lasts no longer should be renewed."""
STEPS = ("server-name", "server-port", "server-tls", "server-answers", "clock")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def look_at_server(patient: Patient) -> Iterator[Finding]:
    """Go the way to the server as the node does."""
    yield proxies()
    if not patient.agent.deployment.insecure:
        yield authority(patient.agent.deployment.certificate, patient.moment)
    reached = 0
    for finding in _steps(patient):
        yield finding
        reached += finding.name in STEPS
    for name in STEPS[reached:]:
        yield not_checked(name, "The step before it failed.")


def proxies() -> Finding:
    """Look whether the environment sends the node's requests by a proxy."""
    found = [name for name in PROXIES if os.environ.get(name)]
    if found:
        return warning(
            "proxies",
            f"{', '.join(found)} is set: a node that is started here speaks through that proxy.",
            "If the server is reached directly, unset it before `fedinterest agent up`.",
        )
    return well("proxies", "No proxy is set in this environment.")


def authority(path: Path, moment: datetime) -> Finding:
    """Look at the file with the certificate of the server's authority."""
    name = "certificate-authority"
    remedy = "Copy ca.crt from the server's operator, and compare its SHA-256 by telephone."
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        return wrong(name, f"{path} cannot be read ({error.strerror}).", remedy)
    except ValueError:
        return wrong(name, f"{path} holds no certificate in PEM.", remedy)
    days = min((one.not_valid_after_utc - moment) / timedelta(days=1) for one in certificates)
    return _lasts(name, f"The authority in {path}", days, remedy)


def _steps(patient: Patient) -> Iterator[Finding]:
    deployment = patient.agent.deployment
    try:
        server = server_of(patient.agent)
    except AgentError as error:
        yield wrong("server-name", str(error), "Put agent.toml right.")
        return
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        yield wrong(
            "server-name",
            f"The name {host!r} cannot be looked up ({reason_of(error)}).",
            "Look at `server` in agent.toml, and at this machine's DNS.",
        )
        return
    yield well("server-name", f"{host} is {found[0][4][0]}.")
    try:
        plain = socket.create_connection((host, int(port)), timeout=SECONDS)
    except OSError as error:
        yield _unreachable(server, error)
        return
    yield well("server-port", f"{server} takes connections.")
    with plain:
        if deployment.insecure:
            yield not_checked("server-tls", "insecure = true: without TLS, on this machine alone.")
            yield from _answers(patient, plain, host, server)
            return
        try:
            secure = trusting(deployment.certificate).wrap_socket(plain, server_hostname=host)
        except (OSError, UnicodeError) as error:
            fault = fault_of(server, host, deployment.certificate, error)
            yield wrong("server-tls", f"{fault.what}.", fault.remedy)
            return
        with secure:
            yield _certificate(secure, server, patient.moment)
            yield from _answers(patient, secure, host, server)


def _unreachable(server: str, error: OSError) -> Finding:
    if isinstance(error, ConnectionRefusedError):
        found, remedy = "nobody listens there", "Look at the port; ask whether the server is up."
    elif isinstance(error, TimeoutError):
        found = f"no answer within {SECONDS:g} s, as where a firewall drops what it does not know"
        remedy = "Let this machine reach that port; nothing has to reach this machine."
    else:
        found, remedy = reason_of(error), "Look at this machine's network."
    return wrong("server-port", f"{server} cannot be reached: {found}.", remedy)


def _certificate(secure: ssl.SSLSocket, server: str, moment: datetime) -> Finding:
    told = secure.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(told["notAfter"]))
    days = (ends - moment.timestamp()) / 86400
    return _lasts(
        "server-tls",
        f"{server} proves by {secure.version()} to be itself; its certificate",
        days,
        "The server's operator renews it: server init FOLDER --renew-certificate.",
    )


def _lasts(name: str, what: str, days: float, remedy: str) -> Finding:
    if days <= 0:
        return wrong(name, f"{what} ended {-days:.0f} days ago.", remedy)
    if days < FEW_DAYS:
        return warning(name, f"{what} lasts {days:.1f} days more.", remedy)
    return well(name, f"{what} lasts {days:.0f} days more.")


def _answers(
    patient: Patient, connected: socket.socket, host: str, server: str
) -> Iterator[Finding]:
    connection = http.client.HTTPConnection(host)
    connected.settimeout(SECONDS)
    connection.sock = connected
    try:
        connection.request("POST", FLEET, headers={"Content-Length": "0"})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        yield wrong(
            "server-answers",
            f"{server} took the connection, and did not answer in HTTP ({type(error).__name__}).",
            "Look whether this is the server's public port, and whether it speaks TLS.",
        )
        return
    yield _judge(server, answer.status)
    yield clock(patient, answer.getheader("Date"))


def _judge(server: str, status: int) -> Finding:
    name = "server-answers"
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return wrong(
            name,
            f"{server} is there, but what is behind it is not (HTTP {status}).",
            "The server's operator looks at `fedinterest server status`.",
        )
    if status in (http.client.FORBIDDEN, http.client.NOT_FOUND):
        return wrong(
            name,
            f"{server} does not let a node's request through (HTTP {status}).",
            "Look whether the port is that of a fedinterest server, and what stands in between.",
        )
    if status == http.client.BAD_REQUEST:
        return wrong(
            name,
            f"{server} does not understand the request (HTTP 400): it may want TLS.",
            "Leave insecure out of agent.toml, and name the certificate of its authority.",
        )
    return well(name, f"Requests of nodes arrive at {server} (HTTP {status} to an empty one).")


def clock(patient: Patient, date: str | None) -> Finding:
    """Compare this machine's clock with the server's, which tells whole seconds."""
    try:
        told = parsedate_to_datetime(date or "").astimezone(UTC)
    except ValueError:
        return not_checked("clock", "The server did not tell its time.")
    ahead = (datetime.now(UTC) - told).total_seconds()
    tolerance = patient.policy.answers.clock_tolerance_seconds if patient.policy else CLOCK_SECONDS
    most = min(AHEAD_SECONDS, tolerance)
    side = "ahead of" if ahead > 0 else "behind"
    found = (
        f"This machine's clock is {abs(ahead):.0f} s {side} the server's; it may be {most:g} s "
        f"ahead and {CLOCK_SECONDS:g} s behind"
    )
    remedy = "Set the clock (chrony or systemd-timesyncd keep it so)."
    if ahead > most + TOLD_SECONDS or ahead < -CLOCK_SECONDS:
        return wrong("clock", f"{found}: beyond, nodes and requests are refused.", remedy)
    if ahead > most / 2 + TOLD_SECONDS or ahead < -CLOCK_SECONDS / 2:
        return warning("clock", f"{found}.", remedy)
    return well("clock", f"{found}.")
