"""The files that supervisord reads: its configuration and the programs, both mode 0600.

All paths in them are relative to the supervised folder, which is supervisord's working
folder: what the folder is called cannot break the configuration's syntax.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployment.errors import SupervisionError
from deployment.hosting.secret_files import private_folder, replace

CONFIGURATION_FILE = "supervisord.conf"
PROGRAMS_FILE = "programs.json"
SOCKET_FILE = "supervisor.sock"
LOG_FOLDER = "logs"
LOG_FILE = f"{LOG_FOLDER}/supervisord.log"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")

# The pause before the n-th restart in a row is n seconds, so this never gives up: after a day of
# failures it tries every seven minutes, after a month every half hour.
_RETRIES = 1_000_000
# A program that ends sooner than this after its start is restarted after a pause, else at once.
STEADY_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process to keep running.

    Attributes
    ----------
    name : str
        Small letters, digits and hyphens; also the log's name.
    command : tuple of str
        The program and its arguments, run as they are, without a shell. It stays in the
        foreground. No secrets here: command lines are for all to see.
    environment : mapping
        Added to what is inherited, without Flower's variables.
    stop_seconds : float
        How long it has between being asked to end and being killed.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_seconds: float = 10.0


def check_programs(programs: Sequence[Program]) -> None:
    """Refuse programs that cannot be told apart or named.

    Raises
    ------
    SupervisionError
        If there is none, a name is unusable or there twice, or a command is empty.
    """
    names = [program.name for program in programs]
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if not programs or wrong or len(set(names)) < len(names):
        raise SupervisionError(
            f"Programs called {names} cannot be supervised: there must be at least one, each with "
            "a name of its own of small letters, digits and hyphens. Nothing was started."
        )
    for program in programs:
        if not program.command:
            raise SupervisionError(f"Program {program.name} has no command. Nothing was started.")


def write_files(folder: Path, programs: Sequence[Program], *, foreground: bool = False) -> None:
    """Write supervisord's configuration and the programs for their launcher."""
    private_folder(folder / LOG_FOLDER)
    content = {
        program.name: {"command": program.command, "environment": dict(program.environment)}
        for program in programs
    }
    replace(folder / PROGRAMS_FILE, json.dumps(content).encode())
    replace(folder / CONFIGURATION_FILE, _configuration(programs, foreground=foreground).encode())


def _configuration(programs: Sequence[Program], *, foreground: bool) -> str:
    sections = [
        f"""[supervisord]
nodaemon = {str(foreground).lower()}
logfile = {LOG_FILE}
logfile_maxbytes = 5MB
logfile_backups = 3
pidfile = supervisord.pid
umask = 077
strip_ansi = true

[unix_http_server]
file = {SOCKET_FILE}
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
    ]
    sections += [_section(program, order) for order, program in enumerate(programs, start=1)]
    return "\n".join(sections)


def _section(program: Program, order: int) -> str:
    python = shlex.quote(sys.executable).replace("%", "%%")
    return f"""[program:{program.name}]
command = {python} -P -m deployment.hosting.launch {program.name}
priority = {order}
autorestart = true
startsecs = {STEADY_SECONDS}
startretries = {_RETRIES}
stopwaitsecs = {max(1, round(program.stop_seconds))}
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = {LOG_FOLDER}/{program.name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 5
"""
