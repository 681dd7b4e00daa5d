"""Where a server keeps what enrolment needs, and how it reaches its own SuperLink."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployment.server.settings import KNOWN_REGIONS


def record_of(folder: Path) -> Path:
    """Return where the record of tokens, requests and decisions lies."""
    return folder / "enrolment.sqlite"


@dataclass(frozen=True)
class EnrollingServer:
    """What a server's settings say, as far as enrolment is concerned.

    Attributes
    ----------
    folder : Path
        The server's.
    control : str
        ``host:port`` of the SuperLink's Control API, reachable from this machine alone.
    control_ca : Path, optional
        The certificate authority that vouches for it; without one the API is on loopback,
        in the clear.
    signing_key : Path
        The key that signs the server's requests, and the record of known regions.
    nginx_log : Path, optional
        Which nodes spoke from where.
    """

    folder: Path
    control: str
    control_ca: Path | None
    signing_key: Path
    nginx_log: Path | None = None

    @property
    def record(self) -> Path:
        """Tokens, requests and decisions."""
        return record_of(self.folder)

    @property
    def known_regions(self) -> Path:
        """The signed record of enrolled regions, for runs."""
        return self.folder / KNOWN_REGIONS
