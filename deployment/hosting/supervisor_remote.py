"""Talk to a running supervisord, by XML-RPC over the socket in its folder."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Error, ServerProxy, Transport

_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramState:
    """How a program fares.

    Attributes
    ----------
    name : str
    state : str
        supervisord's word: ``RUNNING``, ``STARTING`` (up for less than 15 seconds),
        ``BACKOFF`` (failed, waits to be started again), ``STOPPING``, ``STOPPED``, ``EXITED``.
    pid : int or None
    seconds : int or None
        How long it has been up; None if it is not.
    exit_status : int or None
        Of the last end, where supervisord kept it; -1 after a signal.
    reason : str
        Why it stands still until somebody acts; empty if it does not.
    """

    name: str
    state: str
    pid: int | None
    seconds: int | None
    exit_status: int | None
    reason: str = ""

    def line(self) -> str:
        """Return it for people."""
        line = f"{self.name:<12}{self.state.lower():<10}"
        if self.reason:
            line += f"waits for you: {self.reason}"
        elif self.pid is not None:
            line += f"process {self.pid}, up {self.seconds} s"
        elif self.exit_status is not None:
            line += f"ended with status {self.exit_status}"
        return line


class SupervisorRemote:
    """A supervisord that may run or not.

    Parameters
    ----------
    path : Path
        Its socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def pid(self) -> int | None:
        """Return supervisord's process id; None if it does not answer within ten seconds."""
        answer = self._ask("getPID")
        return None if answer is None else int(answer)

    def states(self) -> list[ProgramState]:
        """Return how each program fares, by name; empty if supervisord does not answer."""
        answers = cast("Sequence[dict[str, Any]]", self._ask("getAllProcessInfo") or [])
        return [_state(answer) for answer in answers]

    def hold(self, program: str) -> bool:
        """Ask supervisord to end a program and not to start it again; tell whether it will."""
        return bool(self._ask("stopProcess", program, False))

    def shutdown(self) -> None:
        """Ask supervisord to end all programs and itself; it does so after its answer."""
        self._ask("shutdown")

    def _ask(self, verb: str, *arguments: str | bool) -> Any:
        # The address is a formality: the transport opens the socket.
        remote = ServerProxy("http://localhost", transport=_SocketTransport(self._path))
        try:
            with remote:
                return getattr(remote.supervisor, verb)(*arguments)
        except (OSError, HTTPException, Error):
            return None


class _SocketTransport(Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> HTTPConnection:
        connection = HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        # A supervisord that hangs must not hang whoever looks.
        connection.sock.settimeout(_SECONDS)
        self._connection = "localhost", connection  # closed with the transport
        connection.sock.connect(str(self._path))
        return connection


def _state(answer: dict[str, Any]) -> ProgramState:
    up = answer["pid"] > 0
    ended = answer["statename"] in ("EXITED", "STOPPED") and answer["stop"] > 0
    return ProgramState(
        name=answer["name"],
        state=answer["statename"],
        pid=answer["pid"] if up else None,
        seconds=max(0, answer["now"] - answer["start"]) if up else None,
        exit_status=answer["exitstatus"] if ended else None,
    )
