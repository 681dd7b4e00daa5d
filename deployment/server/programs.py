"""Which processes a server's host runs, in the order of their start."""

from __future__ import annotations

import sys

from deployment.hosting.flower_environment import flower_environment
from deployment.hosting.ports import LOOPBACK
from deployment.hosting.supervision import Program, Supervisor
from deployment.server.certificates import AUTHORITY, INTERNAL
from deployment.server.nginx import nginx_command
from deployment.server.settings import ServerSettings

SUPERLINK = "superlink"
ENROLMENT = "enrolment"
HEARTBEATS = "heartbeats"
NGINX = "nginx"


def server_programs(settings: ServerSettings) -> list[Program]:
    """Return the server's programs; nginx comes last and goes first."""
    programs = [
        Program(
            name=SUPERLINK,
            command=_superlink_command(settings),
            environment=flower_environment(settings.flower_home),
            stop_seconds=20.0,
        ),
        Program(
            name=ENROLMENT,
            command=_enrolment_command(settings),
            environment={"PYTHONUNBUFFERED": "1"},
        ),
    ]
    if settings.store:
        # Of its own: whatever a database does to it, enrolment goes on; and what the outside
        # speaks with has no way to the database and to Flower.
        programs.append(
            Program(
                name=HEARTBEATS,
                command=(
                    *(sys.executable, "-m", "deployment.enrolment.heartbeats"),
                    str(settings.folder),
                ),
                environment=flower_environment(settings.flower_home),
            )
        )
    programs.append(Program(name=NGINX, command=nginx_command(settings), environment={}))
    return programs


def server_supervisor(settings: ServerSettings) -> Supervisor:
    """Return the supervisor of the server's programs."""
    return Supervisor(settings.supervision, server_programs(settings))


def _enrolment_command(settings: ServerSettings) -> tuple[str, ...]:
    service = (sys.executable, "-m", "deployment.enrolment.service", str(settings.folder))
    return (*service, "--port", str(settings.enrolment_port))


def _superlink_command(settings: ServerSettings) -> tuple[str, ...]:
    certificates = settings.certificates
    return (
        *(sys.executable, "-m", "deployment.server.superlink"),
        "--host",
        LOOPBACK,
        "--port",
        str(settings.superlink_port),
        "--ssl-ca-certfile",
        str(certificates / f"{AUTHORITY}.crt"),
        "--ssl-certfile",
        str(certificates / f"{INTERNAL}.crt"),
        "--ssl-keyfile",
        str(certificates / f"{INTERNAL}.key"),
        "--enable-supernode-auth",
        "--database",
        str(settings.database),
        "--disable-runtime-dependency-installation",
    )
