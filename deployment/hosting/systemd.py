"""A hardened unit of systemd for a supervisor in the foreground, with the right paths in it.

Written for one folder rather than as a template of systemd's: what may be written to, and whether
homes have to be seen, depends on where that folder's files lie.
"""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from deployment.errors import HostError

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
LOW_PORTS = 1024
MARGIN_SECONDS = 30
"""More than the supervisor takes to end all programs."""
_UNFIT = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a unit is for.

    Attributes
    ----------
    what : str
        For people.
    verb : str
        The words of the command after ``fedinterest`` that wrote it.
    name : str
        Of the unit, without ``.service``.
    arguments : sequence of str
        The command after ``fedinterest``; stays in the foreground.
    folder : Path
    written, read : sequence of Path
        Other places that are written to, and read.
    patience : float
        Seconds that the supervisor takes to end its programs, at most.
    user : str, optional
        Left out, the folder's owner.
    environment : mapping
    has_low_port : bool
        It listens at a port that is root's otherwise.
    has_graphics_card : bool
    """

    what: str
    verb: str
    name: str
    arguments: Sequence[str]
    folder: Path
    patience: float
    written: Sequence[Path] = ()
    read: Sequence[Path] = ()
    user: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    has_low_port: bool = False
    has_graphics_card: bool = False


def write_unit(service: Service) -> str:
    """Return the unit's text.

    Raises
    ------
    HostError
        If the user would be root or does not exist, or a path cannot be written in a unit.
    """
    text = (files("deployment.hosting") / "service.unit.jinja").read_text(encoding="utf-8")
    # It is no HTML, and every value is quoted for systemd.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    environment.filters["quoted"] = _quoted
    folder = service.folder.resolve()
    written = sorted({folder, *(_existing(path) for path in service.written)})
    command = [sys.executable, "-P", "-m", "fedinterest", *service.arguments]
    return environment.from_string(text).render(
        what=_plain(service.what),
        verb=_plain(service.verb),
        install=f"/etc/systemd/system/{unit_name(service.name)}.service",
        user=_user(service),
        folder=_plain(str(folder)).replace("%", "%%"),
        command=" ".join(_quoted(word).replace("$", "$$") for word in command),
        stop_seconds=round(service.patience) + MARGIN_SECONDS,
        environment=service.environment,
        quoted=_quoted,
        capabilities="CAP_NET_BIND_SERVICE" if service.has_low_port else "",
        protect_home="read-only" if _sees_homes(folder, written, service.read) else "yes",
        # A path within another is there with it.
        written=[str(path) for path in written if not any(o in path.parents for o in written)],
        private_devices=not service.has_graphics_card,
    )


def unit_name(name: str) -> str:
    """Return a name that a unit's file can have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "fedinterest"


def _existing(path: Path) -> Path:
    """Return the nearest folder that is there: systemd binds no other."""
    path = path.resolve()
    while not path.is_dir():
        path = path.parent
    if path == Path(path.anchor):
        raise HostError(
            f"No folder of {path} that could be written to is there. No unit was written. "
            "Make the folders that the settings name."
        )
    return path


def _sees_homes(folder: Path, written: Sequence[Path], read: Sequence[Path]) -> bool:
    program = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__))
    places = [path.resolve() for path in (folder, *written, *read, *program)]
    return any(path.is_relative_to(home) for path in places for home in HOMES)


def _user(service: Service) -> str:
    try:
        if service.user is not None:
            user = pwd.getpwnam(service.user)
        else:
            user = pwd.getpwuid(os.stat(service.folder).st_uid)
    except (KeyError, OSError) as error:
        raise HostError(
            f"There is no user {service.user or service.folder}. No unit was written. "
            "Make one: useradd --system --shell /usr/sbin/nologin NAME."
        ) from error
    if user.pw_uid == 0:
        raise HostError(
            f"{service.folder} is root's, and this is not to run as root. No unit was written. "
            "Make a user of its own, give it the folder (chown -R NAME FOLDER), and say this again."
        )
    return user.pw_name


def _quoted(text: str) -> str:
    """Quote for a unit; a dollar sign means something in commands alone."""
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    if _UNFIT.search(text):
        raise HostError(f"{text!r} has a character that no unit can hold. No unit was written.")
    return text
