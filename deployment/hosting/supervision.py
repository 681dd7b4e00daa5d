"""Keep a few processes of one folder running, by supervisord.

A program that ends is started again, after a pause that grows while it keeps failing;
it is never given up, unless it says itself that somebody has to act
(``hosting.standing_still``). A program's process group is ended as a whole, and so is what
left the group (``hosting.leftovers``). One folder has one supervisor at a time.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import psutil

from deployment.errors import SupervisionError
from deployment.hosting.leftovers import FOLDER_MARK, PROGRAM_MARK, end, is_alive, processes_of
from deployment.hosting.secret_files import PRIVATE, private_folder
from deployment.hosting.standing_still import forget_reason, reason_of
from deployment.hosting.supervisor_files import (
    CONFIGURATION_FILE,
    LOG_FILE,
    LOG_FOLDER,
    SOCKET_FILE,
    Program,
    check_programs,
    write_files,
)
from deployment.hosting.supervisor_remote import ProgramState, SupervisorRemote

__all__ = ["Program", "ProgramState", "Supervisor"]

_log = logging.getLogger(__name__)
# Addresses of unix sockets end at 107 bytes; supervisord first binds a name with its pid in it.
_LONGEST_SOCKET_PATH = 107 - len(".4194304")
_START_SECONDS = 30.0
# A program that cannot start at all has failed by then.
_SETTLE_SECONDS = 2
_PACKAGES = Path(__file__).resolve().parents[2]
_SUPERVISORD = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", CONFIGURATION_FILE]


class Supervisor:
    """The processes of one folder.

    Parameters
    ----------
    folder : Path
        Holds configuration, socket and logs; made with mode 0700 if it is missing. Its
        path must be short (about 80 bytes): unix sockets want that.
    programs : sequence of Program
        Started in this order, ended in the opposite one.
    """

    def __init__(self, folder: Path, programs: Sequence[Program]) -> None:
        check_programs(programs)
        self._folder = folder.resolve()
        self._programs = tuple(programs)
        self._socket = self._folder / SOCKET_FILE
        self._remote = SupervisorRemote(self._socket)

    def start(self) -> None:
        """Start all programs, and return once each has been up for two seconds.

        That is not yet that they answer: whoever needs that waits for it. A program
        that fails at first may succeed within half a minute.

        Raises
        ------
        SupervisionError
            If they run already, or a program does not come up; nothing is left running then.
        """
        self._check()
        with self._alone():
            self._prepare(foreground=False)
            try:
                self._run_supervisord()
                self._wait_until_up()
            except BaseException:
                self._stop()
                raise

    def run(self) -> NoReturn:
        """Become the supervisor: this process keeps all programs running until it is told to end.

        For whoever starts this as a service. SIGTERM ends the programs, then the supervisor.

        Raises
        ------
        SupervisionError
            If they run already, or cannot be started; nothing is left running then.
        """
        self._check()
        with self._alone():  # until this process is another
            self._prepare(foreground=True)
            os.chdir(self._folder)
            os.umask(0o077)
            os.execve(sys.executable, _SUPERVISORD, self._environment())  # noqa: S606

    @property
    def patience(self) -> float:
        """Seconds that ending all programs may take: they end one after the other."""
        return 5.0 + sum(program.stop_seconds + 2.0 for program in self._programs)

    def states(self) -> list[ProgramState]:
        """Return how each program fares; empty if nothing runs."""
        order = {program.name: place for place, program in enumerate(self._programs)}
        found = sorted(self._remote.states(), key=lambda state: order.get(state.name, len(order)))
        return [
            state if state.pid else replace(state, reason=reason_of(self._folder, state.name))
            for state in found
        ]

    def stop(self) -> None:
        """End all programs and what they started; nothing happens if nothing runs.

        What outlives its program is ended too, with a warning in the log.

        Raises
        ------
        SupervisionError
            If something could not be ended; it is named with its process id.
        """
        if not self._folder.is_dir():
            return
        with self._alone():
            self._stop()

    def _stop(self) -> None:
        pid = self._remote.pid()
        if pid is not None:
            self._remote.shutdown()
            # From then on supervisord answers nobody: its process tells when all has ended.
            _wait_for_end(pid, self.patience)
        self._end_leftovers()
        self._socket.unlink(missing_ok=True)

    def _end_leftovers(self) -> None:
        left = processes_of(self._folder)
        if not left:
            return
        _log.warning("Left behind and now ended: processes %s.", [process.pid for process in left])
        alive = end(left)
        if alive:
            raise SupervisionError(
                f"Processes {[process.pid for process in alive]} of {self._folder} cannot be "
                "ended. End them by hand before anything is started here."
            )

    def _check(self) -> None:
        self._check_path()
        self._check_commands()
        private_folder(self._folder)

    def _prepare(self, *, foreground: bool) -> None:
        pid = self._remote.pid()
        if pid is not None:
            raise SupervisionError(
                f"The processes of {self._folder} run already (supervisord is {pid}). "
                "Nothing was started."
            )
        self._end_leftovers()  # of a supervisord that was killed
        for program in self._programs:
            forget_reason(self._folder, program.name)
        write_files(self._folder, self._programs, foreground=foreground)

    def _environment(self) -> dict[str, str]:
        environment = {
            key: value
            for key, value in os.environ.items()
            if key != PROGRAM_MARK and not key.startswith("SUPERVISOR_")
        }
        inherited = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
        environment["PYTHONPATH"] = os.pathsep.join(
            # What is launched is this very code, and paths hold from another working folder.
            [str(_PACKAGES), *(str(Path(path).resolve()) for path in inherited)]
        )
        environment[FOLDER_MARK] = str(self._folder)
        return environment

    def _run_supervisord(self) -> None:
        try:
            # It puts itself into the background once it has read its configuration.
            subprocess.run(
                _SUPERVISORD,
                cwd=self._folder,
                env=self._environment(),
                umask=0o077,
                check=True,
                capture_output=True,
                timeout=_START_SECONDS,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise SupervisionError(
                f"supervisord did not start ({type(error).__name__}); "
                f"{self._folder / LOG_FILE} may say why. Nothing runs."
            ) from error

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            states = self.states()
            down = [state.name for state in states if not _is_up(state)]
            if states and not down:
                return
            if held := [state for state in states if state.reason]:
                raise SupervisionError(
                    f"{held[0].name} does not start: {held[0].reason} All was stopped again."
                )
            if time.monotonic() > deadline:
                names = ", ".join(down) or "supervisord"
                raise SupervisionError(
                    f"{names} did not come up within {_START_SECONDS:g} seconds. All was stopped "
                    f"again; the logs in {self._folder / LOG_FOLDER} say why."
                )
            time.sleep(0.2)

    def _check_path(self) -> None:
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET_PATH:
            raise SupervisionError(
                f"The path of {self._folder} is too long: with {SOCKET_FILE} it has to fit into "
                f"{_LONGEST_SOCKET_PATH} bytes. Nothing was started. Use a folder nearer the root."
            )

    def _check_commands(self) -> None:
        for program in self._programs:
            path = program.environment.get("PATH", os.environ.get("PATH"))
            if shutil.which(program.command[0], path=path) is None:
                raise SupervisionError(
                    f"Program {program.name} is to run {program.command[0]}, which is not there "
                    "or cannot be run. Nothing was started. Install it, or say where it is."
                )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else start or stop the folder's processes meanwhile."""
        descriptor = os.open(self._folder / "supervisor.lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        with os.fdopen(descriptor, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SupervisionError(
                    f"Somebody else is starting or stopping the processes of {self._folder}. "
                    "Nothing was done. Try again in a minute."
                ) from error
            yield


def _is_up(state: ProgramState) -> bool:
    if state.state == "RUNNING":
        return True
    return (
        state.state == "STARTING" and state.seconds is not None and state.seconds > _SETTLE_SECONDS
    )


def _wait_for_end(pid: int, seconds: float) -> None:
    """Wait until a process that is no child of this one has gone, or only waits to be reaped."""
    deadline = time.monotonic() + seconds
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.1)
