"""How the dashboard is run: ``dashboard.toml``, and options of the command that go before it."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from privacy.configuration import describe, kebab, read_toml
from server.dashboard.errors import DashboardError
from server.dashboard.private_files import refuse_open_file

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_NOTHING = "Nothing was started."
_PATHS = ("data", "certificate", "key")


class Settings(BaseModel):
    """Settings of the dashboard; keys in the file are in kebab-case, nothing unknown."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=kebab, populate_by_name=True
    )

    store: str = "runs/dashboard.sqlite"
    """The run store: a file, or the URL of a database."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen at."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 8600
    allowed_hosts: tuple[str, ...] = ()
    """Names by which browsers reach it, without port. Others are refused."""
    certificate: Path | None = None
    """TLS certificate with its chain (PEM)."""
    key: Path | None = None
    """Its private key (PEM), which only its owner may read."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses of proxies that end TLS: their word is taken for who asks."""
    data: Path = Path("runs/dashboard")
    """Folder of users and tokens."""
    language: Literal["en", "zh"] = "en"
    """For who asks for neither."""
    login: Literal["beyond-loopback", "always"] = "beyond-loopback"
    idle_minutes: Annotated[float, Field(gt=0, le=24 * 60)] = 30.0
    """A session without a request ends after so long."""
    session_hours: Annotated[float, Field(gt=0, le=7 * 24)] = 12.0
    """Any session ends after so long."""
    most_streams: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 64
    """Pages at once that are told of changes."""
    poll_seconds: Annotated[float, Field(ge=0.05, le=600)] = 2.0
    """How often the store is asked for changes."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ipaddress.ip_network(one)) for one in given)
        except ValueError as error:
            raise ValueError(f"key 'trusted-proxies': {error}") from error

    @field_validator("allowed_hosts")
    @classmethod
    def _names(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for name in given:
            if not name or any(character in name for character in "*/ "):
                raise ValueError(f"key 'allowed-hosts': {name!r} is no name of a host")
        return tuple(name.lower() for name in given)

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Settings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together, and one is missing")
        if self.certificate and self.trusted_proxies:
            raise ValueError("either the dashboard has a certificate, or a proxy ends TLS for it")
        return self

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can ask: on loopback, with no proxy before it."""
        return _is_loopback(self.host) and not self.trusted_proxies

    @property
    def needs_login(self) -> bool:
        """Whether nothing is shown without login."""
        return not self.is_local or self.login == "always"

    @property
    def https(self) -> bool:
        """Whether browsers reach it by https, be it by a proxy."""
        return bool(self.certificate or self.trusted_proxies)

    @property
    def address(self) -> str:
        """Where to point a browser."""
        if self.allowed_hosts:
            name = self.allowed_hosts[0]
        else:
            name = f"[{self.host}]" if ":" in self.host else self.host
        if self.trusted_proxies:  # at the proxy's port
            return f"https://{name}"
        return f"{'https' if self.https else 'http'}://{name}:{self.port}"

    @property
    def accepted_hosts(self) -> frozenset[str]:
        """Names in the Host header that are answered.

        On loopback only its own names: else a website could have its name point here and
        read along (DNS rebinding).
        """
        own = set() if _is_unspecified(self.host) else {self.host.lower()}
        return LOOPBACK_NAMES | own | set(self.allowed_hosts)

    def cookie(self, name: str) -> str:
        """Return the full name of a cookie.

        Under https the prefix makes browsers refuse one that was set for a whole domain;
        on loopback the port tells two dashboards apart, for cookies know no ports.
        """
        return f"__Host-fedinterest-{name}" if self.https else f"fedinterest-{self.port}-{name}"


def read_settings(path: Path | None = None, **options: Any) -> Settings:
    """Return the settings of a file, with the options that were given in their place.

    Parameters
    ----------
    path : Path, optional
        Relative paths in it start at its folder.
    **options
        Fields; None is not given.

    Raises
    ------
    DashboardError
        If the file cannot be read, or a key or value is wrong.
    """
    content = read_toml(path, "Settings", DashboardError, _NOTHING) if path else {}
    if path:
        for name in (*_PATHS, "store"):
            if isinstance(content.get(name), str) and "://" not in content[name]:
                content[name] = str(path.parent / content[name])
    given = {kebab(name): value for name, value in options.items() if value is not None}
    try:
        return Settings.model_validate(content | given)
    except ValidationError as error:
        raise DashboardError(f"Settings: {describe(error)}. {_NOTHING}") from error


def refuse_unsafe(settings: Settings, n_users: int) -> None:
    """Refuse to start where strangers could look in.

    Raises
    ------
    DashboardError
        Without users where a login is needed, without TLS beyond loopback, without a name
        beyond loopback, with names where nobody logs in, or with a key open to others.
    """
    where = f"The dashboard would listen at {settings.host}, beyond this machine"
    if not _is_loopback(settings.host) and not settings.https:
        raise DashboardError(
            f"{where}, without TLS: passwords could be read on their way. {_NOTHING} Set "
            "certificate and key, or trusted-proxies if a proxy ends TLS."
        )
    if _is_unspecified(settings.host) and not settings.allowed_hosts:
        raise DashboardError(
            f"{where}, at every address. {_NOTHING} Say in allowed-hosts by which names "
            "browsers reach it, for example allowed-hosts = ['fed.example.org']."
        )
    if settings.trusted_proxies and not settings.allowed_hosts:
        raise DashboardError(
            f"A proxy would speak for this dashboard. {_NOTHING} Say in allowed-hosts by which "
            "names browsers reach it, for example allowed-hosts = ['fed.example.org']."
        )
    if settings.needs_login and n_users == 0:
        raise DashboardError(
            f"A login is needed here, and there is no user in {settings.data}. {_NOTHING} "
            "Add one: fedinterest dashboard user add NAME"
        )
    if settings.is_local and settings.allowed_hosts and not settings.needs_login:
        raise DashboardError(
            f"allowed-hosts names {', '.join(settings.allowed_hosts)}, but on loopback nobody "
            f"logs in. {_NOTHING} Leave it out, or set login = 'always'."
        )
    if settings.key:
        refuse_open_file(settings.key, "Key")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
