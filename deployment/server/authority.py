"""Another certificate authority, without a moment in which regions cannot reach the server.

certificates.next  ->  regions trust both authorities  ->  takes the place of certificates

Also the answer to a TLS key that leaked: authorities of ours keep no lists of revoked certificates.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from deployment.errors import HostError
from deployment.hosting.secret_files import private_folder
from deployment.server.certificates import (
    AUTHORITY,
    Certificate,
    check_certificates,
    make_certificates,
    now,
    read_certificate,
)
from deployment.server.programs import server_supervisor
from deployment.server.settings import ServerSettings, read_server_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAuthority:
    """An authority that regions are to trust beside the one in force.

    Attributes
    ----------
    file : Path
        Its certificate.
    certificate : Certificate
    """

    file: Path
    certificate: Certificate


def prepare_authority(folder: Path) -> NewAuthority:
    """Make another authority and its certificates; the server goes on with those it has.

    Raises
    ------
    HostError
        If one was prepared before.
    """
    settings = read_server_settings(folder)
    prepared = next_folder(settings)
    if os.path.lexists(prepared):
        raise HostError(
            f"{prepared} is there already. Nothing was made. Go on with it (--switch), or remove "
            "it if no region has its ca.crt yet."
        )
    draft = prepared.with_name(f".{prepared.name}.unfinished")
    shutil.rmtree(draft, ignore_errors=True)
    make_certificates(private_folder(draft), settings.hosts, now())
    draft.rename(prepared)
    return _read(prepared)


def switch_authority(folder: Path) -> tuple[NewAuthority, Path]:
    """Put the prepared authority in place of the one in force; the server must be down.

    Returns
    -------
    NewAuthority
        Now in force.
    Path
        Where the old one lies.

    Raises
    ------
    HostError
        If none was prepared, it is not usable, or the server runs; nothing was changed then.
    """
    settings = read_server_settings(folder)
    prepared, current = next_folder(settings), settings.certificates
    if not prepared.is_dir():
        raise HostError(
            f"{prepared} is not there. Nothing was changed. Prepare an authority first: the same "
            "without --switch."
        )
    if server_supervisor(settings).states():
        raise HostError(
            f"The server in {folder} runs. Nothing was changed. Let runs come to their end, then "
            "`fedinterest server down`, and say this again."
        )
    check_certificates(prepared, settings.hosts, now())
    old = current.with_name(f"{current.name}.old-{now():%Y%m%dT%H%M%S}")
    if current.is_dir():  # else a switch was killed between its two steps
        current.rename(old)
    prepared.rename(current)
    return _read(current), old


def next_folder(settings: ServerSettings) -> Path:
    """Return where a prepared authority lies."""
    return settings.certificates.with_name(f"{settings.certificates.name}.next")


def _read(folder: Path) -> NewAuthority:
    file = folder / f"{AUTHORITY}.crt"
    return NewAuthority(file=file, certificate=read_certificate(file, now()))
