"""What a server's host knows about itself: names, ports, and where its files lie.

``server.toml`` in the server's folder, in kebab-case. Relative paths start there.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from deployment.errors import HostError
from privacy.configuration import describe, kebab, read_toml
from server.store_place import absolute, objection_to

SETTINGS_FILE = "server.toml"
KNOWN_REGIONS = "known-regions.json"
"""In the server's folder; whose answers count, signed with its key."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")


def check_host(value: object) -> str:
    """Return a public name or address, in small letters."""
    text = str(value).lower()
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        # What ends in a number is an address that went wrong.
        if not _NAME.fullmatch(text) or text.rpartition(".")[2].isdigit():
            raise PydanticCustomError("host", "not a host name or an IP address") from None
        return text


def check_address(value: object) -> str:
    """Return an IP address in its usual form."""
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise PydanticCustomError("address", "not an IP address of this machine") from None


def check_store(store: str) -> str:
    """Return where runs are recorded; nothing in it may be secret."""
    if objection := objection_to(store):
        # Not a custom error: that would tell the value, and a password in it.
        raise ValueError(f"store: {objection}")
    return store


Host = Annotated[str, BeforeValidator(check_host)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]


class ServerSettings(BaseModel):
    """One server's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=kebab)

    folder: Path = Field(exclude=True)
    """The server's folder; not a key of the file."""
    hosts: tuple[Host, ...]
    """The names and addresses by which regions reach this server; the certificate has them."""
    listen: Annotated[str, BeforeValidator(check_address)] = "0.0.0.0"  # noqa: S104  (it is public)
    """The address of this machine that nginx listens at: ``0.0.0.0`` is all, ``::`` all of IPv6."""
    port: Port = 8443
    """nginx' port: the only one that regions need to reach."""
    superlink_port: Port = 9443
    """On loopback: Flower serves Fleet, Control and Runtime there, all at one port."""
    enrolment_port: Port = 9444
    """On loopback: the enrolment service."""
    largest_body_mb: Annotated[int, Field(strict=True, ge=1, le=2048)] = 64
    """Nobody may send more in one request."""
    requests_per_second: Annotated[int, Field(strict=True, ge=1, le=100_000)] = 200
    """From one address, in the long run; nodes that ask often, or share an address, need more."""
    database: Path = Path("superlink.sqlite")
    """Flower's nodes, runs and messages."""
    certificates: Path = Path("certificates")
    """Folder of the certificate authority and the certificates."""
    signing_key: Path = Path("signing.key")
    """Signs requests to regions."""
    flower_home: Path = Path("flower")
    """Flower's own files."""
    supervision: Path = Path("supervision")
    """Logs and the supervisor's socket; the path must be short."""
    store: Annotated[str, AfterValidator(check_store)] = "dashboard.sqlite"
    """Runs are recorded there: a file (SQLite), or a PostgreSQL URL without a password; left
    empty, nowhere."""
    heartbeat_seconds: Annotated[int, Field(strict=True, ge=1, le=60)] = 30
    """So often is noted there how regions' agents fare; pages call what is older unknown."""
    nginx: str = "nginx"
    """nginx' command, or its path."""

    @model_validator(mode="after")
    def _nothing_is_there_twice(self) -> ServerSettings:
        ports = [self.port, self.superlink_port, self.enrolment_port]
        if len(set(ports)) < len(ports):
            raise ValueError(f"port, superlink-port and enrolment-port must differ, found {ports}")
        if not self.hosts or len(set(self.hosts)) < len(self.hosts):
            raise ValueError(f"hosts must name at least one, and none twice: {list(self.hosts)}")
        return self

    @property
    def ca_certificate(self) -> Path:
        """The certificate that regions and nginx trust; public."""
        return self.certificates / "ca.crt"

    @property
    def known_regions(self) -> Path:
        """The signed record of the regions whose answers count."""
        return self.folder / KNOWN_REGIONS

    @property
    def control(self) -> str:
        """Where Flower's Control API answers, on this machine alone."""
        return f"127.0.0.1:{self.superlink_port}"


_PATHS = ("database", "certificates", "signing-key", "flower-home", "supervision")


def read_server_settings(folder: Path) -> ServerSettings:
    """Read the settings of the server in ``folder``.

    Raises
    ------
    HostError
        If the file is missing, is not TOML, or has an unknown key or a value
        out of range; the message names the key and the value.
    """
    path = folder / SETTINGS_FILE
    content = read_toml(path, "Server settings", HostError, "Nothing was started.")
    root = folder.resolve()
    try:
        if "folder" in content:
            raise HostError(
                f"Server settings {path} are not usable: unknown key 'folder' (found "
                f"{content['folder']!r}). Nothing was started."
            )
        settings = ServerSettings.model_validate({**content, "folder": root})
    except ValidationError as error:
        raise HostError(
            f"Server settings {path} are not usable: {describe(error)}. Nothing was started."
        ) from error
    places = {
        key.replace("-", "_"): root / getattr(settings, key.replace("-", "_")) for key in _PATHS
    }
    store = absolute(settings.store, root)
    return settings.model_copy(update={**places, "store": store})
