"""The unit of systemd that keeps a server's host running."""

from __future__ import annotations

from pathlib import Path

from deployment.hosting.systemd import LOW_PORTS, Service, write_unit
from deployment.server.programs import server_supervisor
from deployment.server.settings import read_server_settings


def server_unit(folder: Path, user: str | None = None) -> str:
    """Return the unit of the server in ``folder``; may raise HostError.

    Parameters
    ----------
    folder : Path
    user : str, optional
        Left out, the owner of the folder.
    """
    settings = read_server_settings(folder)
    return write_unit(
        Service(
            what=f"fedinterest server {settings.hosts[0]}",
            verb="server unit",
            name=f"fedinterest-server-{settings.hosts[0]}",
            arguments=("server", "up", "--foreground", str(settings.folder)),
            folder=settings.folder,
            patience=server_supervisor(settings).patience,
            written=[settings.database.parent, settings.flower_home, settings.supervision],
            read=[settings.certificates, settings.signing_key],
            user=user,
            has_low_port=settings.port < LOW_PORTS,
        )
    )
