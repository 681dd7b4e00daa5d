"""Make a server's folder: settings, certificates and the key that signs requests.

The folder appears whole or not at all, and nothing is ever written over.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from deployment.errors import HostError
from deployment.hosting.secret_files import private_folder, write_once
from deployment.server.certificates import (
    Certificate,
    make_certificates,
    now,
    read_certificate,
    renew_certificate,
)
from deployment.server.settings import SETTINGS_FILE, ServerSettings, read_server_settings
from privacy.configuration import describe
from privacy.signing import SigningKey

_TEMPLATE = """\
# The settings of one server. Relative paths start at this folder.
hosts = [{hosts}]   # how regions reach this server; after a change renew the certificate
listen = "{listen}"   # this machine's address to listen at; 0.0.0.0: all of them
port = {port}   # nginx, with TLS: the only port that regions need to reach

# On loopback only, never to be opened to others: whoever reaches Flower's Control API starts runs.
superlink-port = {superlink_port}
enrolment-port = {enrolment_port}

# largest-body-mb = 64        # of one request
# requests-per-second = 200   # of one address
# store = "dashboard.sqlite"  # what pages are made of: a file, or a URL of PostgreSQL
# heartbeat-seconds = 30      # so often is noted there how agents fare
# nginx = "nginx"             # its command or path
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServer:
    """What the operator of a new server has to pass on.

    Attributes
    ----------
    public_key : str
        Of the key that signs requests; regions pin it in their policies.
    authority : Certificate
        Regions get ``ca.crt`` and compare this one's fingerprint.
    """

    settings: ServerSettings
    public_key: str
    authority: Certificate


def make_server(
    folder: Path,
    hosts: Sequence[str],
    *,
    listen: str = "0.0.0.0",  # noqa: S104  (a server's public port)
    port: int = 8443,
    superlink_port: int = 9443,
    enrolment_port: int = 9444,
) -> NewServer:
    """Make the folder of a new server.

    Parameters
    ----------
    folder : Path
        Must not exist yet, or be empty.
    hosts : sequence of str
        Names and addresses by which regions will reach it.
    listen : str
        Address of this machine that nginx listens at.
    port, superlink_port, enrolment_port : int
        nginx' port, and two on loopback.

    Raises
    ------
    HostError
        If a value is unusable or the folder has something in it; nothing was made then.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise HostError(
            f"{folder} is there already, and not empty. Nothing was changed. Name a new folder, "
            "or start the server that is in this one."
        )
    values = {
        "hosts": list(hosts),
        "listen": listen,
        "port": port,
        "superlink-port": superlink_port,
        "enrolment-port": enrolment_port,
    }
    try:
        checked = ServerSettings.model_validate({**values, "folder": folder})
    except ValidationError as error:
        raise HostError(f"No server was made: {describe(error)}.") from error
    # Beside its place, so that what was interrupted is no server.
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        public_key = _fill(draft, checked)
        _move(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    settings = read_server_settings(folder)
    authority = read_certificate(settings.ca_certificate, now())
    return NewServer(settings=settings, public_key=public_key, authority=authority)


def renew(folder: Path) -> Certificate:
    """Renew the public certificate, for the hosts that the settings name now."""
    settings = read_server_settings(folder)
    return renew_certificate(settings.certificates, settings.hosts, now())


def _fill(draft: Path, settings: ServerSettings) -> str:
    private_folder(draft)
    make_certificates(private_folder(draft / settings.certificates), settings.hosts, now())
    public_key = SigningKey.create(draft / settings.signing_key).public
    content = _TEMPLATE.format(
        hosts=", ".join(f'"{host}"' for host in settings.hosts),
        listen=settings.listen,
        port=settings.port,
        superlink_port=settings.superlink_port,
        enrolment_port=settings.enrolment_port,
    )
    write_once(draft / SETTINGS_FILE, content.encode())
    return public_key


def _move(draft: Path, folder: Path) -> None:
    try:
        # Replaces an empty folder, and no other.
        os.rename(draft, folder)
    except OSError as error:
        full = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        reason = "something was put into it meanwhile" if full else error.strerror
        raise HostError(f"{folder} cannot be made ({reason}). Nothing was made.") from error
