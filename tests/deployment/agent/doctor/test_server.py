"""Name, port, TLS, HTTP and clock are told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from deployment.agent.doctor.finding import Finding, State
from deployment.agent.doctor.server import STEPS, clock, look_at_server
from deployment.hosting.ports import free_port
from tests.deployment.agent.doctor.examples import by_name, lay_out, patient
from tests.deployment.enrolment.certificates import Authority, Certificate
from tests.deployment.enrolment.test_transport import Listener


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def answering(status: int, seconds: float = 0.0) -> bytes:
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds), usegmt=True)
    return f"HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode()


class Answering(Listener):
    """Answers the first piece of a request."""

    def _talk(self, connection: object) -> None:
        self.received += connection.recv(4096)  # type: ignore[attr-defined]
        connection.sendall(self._answer)  # type: ignore[attr-defined]


def look(
    folder: Path,
    authority: Authority,
    certificate: Certificate | None,
    answer: bytes,
    *,
    host: str = "localhost",
    **deployment: object,
) -> dict[str, Finding]:
    listener = Answering(certificate, answer)
    try:
        where = {"server": f"{host}:{listener.port}", "certificate": str(authority.file)}
        settings = lay_out(folder, policy=None, **({"insecure": False} | where | deployment))
        return by_name(look_at_server(patient(settings)))
    finally:
        listener.close()


def states(found: dict[str, Finding]) -> list[State]:
    return [found[name].state for name in STEPS]


UNKNOWN = State.NOT_CHECKED


def test_server_that_is_well(tmp_path: Path, authority: Authority) -> None:
    found = look(tmp_path / "r", authority, authority.issue(ends=8), answering(415))
    assert states(found) == [State.WELL, State.WELL, State.WARNING, State.WELL, State.WELL]
    assert "lasts 8.0 days more" in found["server-tls"].found  # of a certificate for 8 days
    assert found["certificate-authority"].state is State.WARNING  # of one for 9


@pytest.mark.parametrize(
    ("name", "begins", "ends", "sentence"),
    [
        ("elsewhere.example", -2.0, 2.0, "is for another name than 'localhost'"),
        ("localhost", -3.0, -1.0, "has expired"),
        ("localhost", 1.0, 2.0, "is not valid yet"),
    ],
)
def test_certificate_that_is_not_the_servers_own(
    tmp_path: Path, authority: Authority, name: str, begins: float, ends: float, sentence: str
) -> None:
    certificate = authority.issue(name, begins=begins, ends=ends)
    found = look(tmp_path / "r", authority, certificate, answering(415))
    assert states(found) == [State.WELL, State.WELL, State.WRONG, UNKNOWN, UNKNOWN]
    assert sentence in found["server-tls"].found


def test_another_authority(tmp_path: Path, authority: Authority) -> None:
    other = Authority(tmp_path / "other")
    found = look(tmp_path / "r", authority, other.issue(), answering(415))
    assert "is not one of the authority" in found["server-tls"].found


def test_server_in_the_clear_is_called_so(tmp_path: Path, authority: Authority) -> None:
    found = look(tmp_path / "r", authority, None, answering(400))
    assert found["server-tls"].state is State.WRONG
    assert "answer without TLS" in found["server-tls"].found


def test_agent_without_tls_is_told_that_the_server_wants_it(
    tmp_path: Path, authority: Authority
) -> None:
    found = look(tmp_path / "r", authority, None, answering(400), host="127.0.0.1", insecure=True)
    assert found["server-tls"].state is UNKNOWN
    assert found["server-answers"].state is State.WRONG
    assert "insecure" in found["server-answers"].remedy


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(502, "what is behind it is not"), (403, "does not let"), (404, "does not let")],
)
def test_server_that_does_not_let_nodes_through(
    tmp_path: Path, authority: Authority, status: int, sentence: str
) -> None:
    found = look(tmp_path / "r", authority, authority.issue(), answering(status))
    assert found["server-answers"].state is State.WRONG
    assert sentence in found["server-answers"].found


def test_what_speaks_no_http(tmp_path: Path, authority: Authority) -> None:
    found = look(tmp_path / "r", authority, authority.issue(), b"220 mail.example ESMTP\r\n")
    assert found["server-answers"].state is State.WRONG
    assert found["clock"].state is UNKNOWN


def test_closed_port_and_unknown_name(tmp_path: Path) -> None:
    closed = lay_out(tmp_path / "closed", server=f"127.0.0.1:{free_port()}")
    found = by_name(look_at_server(patient(closed)))
    assert states(found) == [State.WELL, State.WRONG, UNKNOWN, UNKNOWN, UNKNOWN]
    assert "nobody listens there" in found["server-port"].found
    unknown = lay_out(tmp_path / "unknown", server="no-such-host.invalid:443", insecure=False)
    found = by_name(look_at_server(patient(unknown)))
    assert states(found) == [State.WRONG, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]
    assert found["certificate-authority"].state is State.WRONG  # there is none


def test_no_server_or_one_elsewhere_without_tls(tmp_path: Path) -> None:
    for number, server in enumerate(("192.0.2.1:443", None)):
        settings = lay_out(tmp_path / str(number))
        text = settings.read_text().replace(
            'server = "127.0.0.1:1"', f'server = "{server}"' if server else ""
        )
        settings.write_text(text)
        found = by_name(look_at_server(patient(settings)))
        assert states(found) == [State.WRONG, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(
    ("ahead", "tolerance", "state"),
    [
        (0, 300.0, State.WELL),
        (5, 300.0, State.WARNING),
        (60, 300.0, State.WRONG),  # Flower lets no node in from the future
        (60, 9000.0, State.WRONG),
        (4, 0.0, State.WRONG),  # ahead by more than the policy bears
        (-100, 0.0, State.WELL),
        (-200, 300.0, State.WARNING),
        (-400, 300.0, State.WRONG),
    ],
)
def test_clock_is_judged_by_policy_and_enrolment(
    tmp_path: Path, ahead: float, tolerance: float, state: State
) -> None:
    rules = {"noise-kinds": ["discrete"], "clock-tolerance-seconds": tolerance}
    settings = lay_out(tmp_path / "r", policy={"answers": rules})
    told = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead), usegmt=True)
    assert clock(patient(settings), told).state is state
    assert clock(patient(settings), "yesterday").state is UNKNOWN
    assert clock(patient(settings), None).state is UNKNOWN


def test_proxies_are_told_by_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy:3128")
    found = by_name(look_at_server(patient(lay_out(tmp_path / "r"))))["proxies"]
    assert found.state is State.WARNING
    assert "HTTPS_PROXY" in found.found
    assert "secret" not in str(found)
