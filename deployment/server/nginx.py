"""nginx in front of the SuperLink: lets nodes through, and nobody to anything else.

Flower serves Fleet (nodes), Control (operators) and Runtime (apps) at one port, and
asks nobody at Control who he is. Only the Fleet requests of a running node pass, and
``POST /v1/enrol``; registering a node is left to the operator.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from deployment.errors import HostError
from deployment.hosting.secret_files import private_folder, replace
from deployment.server.settings import ServerSettings

FLEET_ROUTES = (
    "activate-node",
    "deactivate-node",
    "send-node-heartbeat",
    "pull-messages",
    "push-messages",
    "get-run",
    "get-fab",
    "push-object",
    "pull-object",
    "confirm-message-received",
)
"""What a node calls while it runs; without ``register-node`` and ``unregister-node``."""
CONFIGURATION_FILE = "nginx.conf"
_SYSTEM_PATH = "/usr/sbin:/usr/local/sbin"
# In nginx' quoted strings all others stand for themselves.
_PLAIN_PATH = re.compile(r"[^\x00-\x1f\x7f\"'\\$]+")


def nginx_folder(settings: ServerSettings) -> Path:
    """Return the folder of nginx' own files."""
    return settings.folder / "nginx"


def nginx_configuration(settings: ServerSettings) -> str:
    """Return nginx' configuration.

    Raises
    ------
    HostError
        If a path has a character that means something to nginx.
    """
    folder = nginx_folder(settings)
    text = (files("deployment.server") / "nginx.conf.jinja").read_text(encoding="utf-8")
    # It is no HTML: nothing is to be escaped, and every value was checked.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    return environment.from_string(text).render(
        # Unless told otherwise, root's workers run as nobody, who can enter none of the folders.
        user=pwd.getpwuid(0).pw_name if os.geteuid() == 0 else "",
        place=lambda name: _quoted(folder / name),
        certificate=lambda name: _quoted(settings.certificates / name),
        fleet_routes=FLEET_ROUTES,
        listen=f"{_bracketed(settings.listen)}:{settings.port}",
        server_names=[_bracketed(host) for host in settings.hosts],
        superlink_port=settings.superlink_port,
        enrolment_port=settings.enrolment_port,
        largest_body_mb=settings.largest_body_mb,
        requests_per_second=settings.requests_per_second,
    )


def nginx_command(settings: ServerSettings) -> tuple[str, ...]:
    """Return the command that runs nginx in the foreground, in its own folder."""
    # Where packages put it, which is not on everybody's path.
    command = shutil.which(settings.nginx) or shutil.which(settings.nginx, path=_SYSTEM_PATH)
    folder = str(nginx_folder(settings))
    arguments = ("-p", folder, "-c", f"{folder}/{CONFIGURATION_FILE}", "-e", "stderr")
    return (command or settings.nginx, *arguments)


def write_nginx_configuration(settings: ServerSettings) -> None:
    """Write the configuration, and have nginx check it.

    Raises
    ------
    HostError
        If nginx is missing or does not like what it finds; its words are in the message.
    """
    command = nginx_command(settings)
    folder = private_folder(nginx_folder(settings))
    private_folder(folder / "temporary")
    replace(folder / CONFIGURATION_FILE, nginx_configuration(settings).encode())
    try:
        found = subprocess.run(
            [*command, "-t", "-q"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(
            f"{command[0]} cannot be run ({error}). Nothing was started. Install nginx, or say "
            "where it is (key 'nginx' of server.toml)."
        ) from error
    if found.returncode != 0:
        raise HostError(
            f"nginx refuses its configuration: {found.stderr.strip()} Nothing was started."
        )


def _quoted(path: Path) -> str:
    if not _PLAIN_PATH.fullmatch(str(path)):
        raise HostError(
            f"The path {str(path)!r} has a quote, a backslash, a dollar sign or a control "
            "character, which nginx cannot take. Nothing was started. Use another folder."
        )
    return f'"{path}"'


def _bracketed(host: str) -> str:
    try:
        is_long = ipaddress.ip_address(host).version == 6
    except ValueError:
        return host
    return f"[{host}]" if is_long else host
