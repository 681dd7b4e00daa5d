"""Start a server's host, look at it, and end it.

settings -> checks -> nginx' configuration -> supervisor -> wait until all answer

The checks come first: what cannot work is told before anything runs.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from deployment.errors import HostError
from deployment.hosting.ports import LOOPBACK, is_listening
from deployment.hosting.secret_files import private_folder, read_secret
from deployment.hosting.supervision import ProgramState, Supervisor
from deployment.server.certificates import (
    PUBLIC,
    Certificate,
    check_certificates,
    now,
    read_certificate,
)
from deployment.server.flower_check import check_flower
from deployment.server.nginx import write_nginx_configuration
from deployment.server.probing import (
    enrolment_answers,
    local_address,
    nginx_answers,
    superlink_answers,
)
from deployment.server.programs import ENROLMENT, NGINX, SUPERLINK, server_supervisor
from deployment.server.settings import ServerSettings, read_server_settings

if TYPE_CHECKING:
    from deployment.server.nodes import Nodes

_ANSWER_SECONDS = 90.0
_GIVEN_UP = ("BACKOFF", "FATAL", "EXITED", "STOPPED")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """How a server's host fares.

    Attributes
    ----------
    programs : tuple of ProgramState
        Empty if no supervisor runs.
    superlink_answers, enrolment_answers, nginx_answers : bool
    certificate : Certificate
        nginx'.
    nodes : Nodes or None
        None if the SuperLink did not tell.
    """

    programs: tuple[ProgramState, ...]
    superlink_answers: bool
    enrolment_answers: bool
    nginx_answers: bool
    certificate: Certificate
    nodes: Nodes | None

    @property
    def is_well(self) -> bool:
        """Whether regions can reach the server, and what is killed comes back."""
        answers = self.superlink_answers and self.enrolment_answers and self.nginx_answers
        return bool(self.programs) and answers and self.certificate.days_left > 0


def up(folder: Path) -> Certificate:
    """Start the server in ``folder``, and return once it answers; tells nginx' certificate.

    Raises
    ------
    DeploymentError
        If something is wrong with the settings, the files, Flower or the ports, or if a
        process does not answer in time; nothing is left running then.
    """
    settings = read_server_settings(folder)
    certificate = _check(settings)
    supervisor = server_supervisor(settings)
    supervisor.start()
    try:
        _wait(supervisor, SUPERLINK, settings, superlink_answers)
        _wait(supervisor, ENROLMENT, settings, enrolment_answers)
        _wait(supervisor, NGINX, settings, nginx_answers)
    except BaseException:
        supervisor.stop()
        raise
    return certificate


def run(folder: Path) -> NoReturn:
    """Become the supervisor of the server in ``folder``; does not wait until it answers.

    Raises
    ------
    DeploymentError
        If something is wrong beforehand; nothing was started then.
    """
    settings = read_server_settings(folder)
    _check(settings)
    server_supervisor(settings).run()


def _check(settings: ServerSettings) -> Certificate:
    """Tell now what would keep the server from working, and write what its processes read."""
    check_flower()
    private_folder(settings.folder)
    read_secret(settings.signing_key)
    certificate = check_certificates(settings.certificates, settings.hosts, now())
    supervisor = server_supervisor(settings)
    if supervisor.states():
        raise HostError(
            f"The server in {settings.folder} runs already. Nothing was started. "
            "`fedinterest server status` tells how it fares."
        )
    supervisor.stop()  # what a killed supervisor left behind has the ports
    _check_ports(settings)
    write_nginx_configuration(settings)
    private_folder(settings.flower_home)
    return certificate


def status(folder: Path) -> ServerStatus:
    """Tell how the server in ``folder`` fares, without changing anything."""
    # What of Flower it needs, `up` compares before anything starts.
    from deployment.server.nodes import count_nodes

    settings = read_server_settings(folder)
    superlink = superlink_answers(settings)
    return ServerStatus(
        programs=tuple(server_supervisor(settings).states()),
        superlink_answers=superlink,
        enrolment_answers=enrolment_answers(settings),
        nginx_answers=nginx_answers(settings),
        certificate=read_certificate(settings.certificates / f"{PUBLIC}.crt", now()),
        nodes=count_nodes(settings) if superlink else None,
    )


def down(folder: Path) -> bool:
    """End the server in ``folder``; tell whether it ran.

    Raises
    ------
    SupervisionError
        If a process could not be ended.
    """
    supervisor = server_supervisor(read_server_settings(folder))
    ran = bool(supervisor.states())
    supervisor.stop()
    return ran


def reload_certificate(folder: Path) -> bool:
    """Have a running nginx take the certificate that lies there now; tell whether one runs.

    Connections under way are not cut.
    """
    settings = read_server_settings(folder)
    for program in server_supervisor(settings).states():
        if program.name == NGINX and program.pid is not None:
            os.kill(program.pid, signal.SIGHUP)
            return True
    return False


def _check_ports(settings: ServerSettings) -> None:
    for key, port, address in (
        ("superlink-port", settings.superlink_port, LOOPBACK),
        ("enrolment-port", settings.enrolment_port, LOOPBACK),
        ("port", settings.port, local_address(settings)),
    ):
        if is_listening(port, address):
            raise HostError(
                f"Another program listens at {address}:{port} ({key} of server.toml). Nothing "
                "was started. End it, or choose another port."
            )


def _wait(
    supervisor: Supervisor,
    name: str,
    settings: ServerSettings,
    answers: Callable[[ServerSettings], bool],
) -> None:
    log = settings.supervision / "logs" / f"{name}.log"
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not answers(settings):
        program = next((state for state in supervisor.states() if state.name == name), None)
        if program is None or program.state in _GIVEN_UP:
            raise HostError(f"{name} ended. The server was stopped again; {log} says why.")
        if time.monotonic() > deadline:
            raise HostError(
                f"{name} did not answer within {_ANSWER_SECONDS:g} seconds. The server was "
                f"stopped again; {log} may say why."
            )
        time.sleep(0.2)
