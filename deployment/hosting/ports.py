"""Ports of this host: find a free one, wait until somebody listens, see who is there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

from deployment.errors import PortError

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return so many different TCP ports of loopback that nobody listens at now.

    Another process may take one before its user does; what starts there has to say so.
    """
    with ExitStack() as held:
        # All are held until the last is found, or one would be given out twice.
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens at now."""
    return free_ports(1)[0]


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a TCP connection to the port is accepted within a second."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def wait_until_listening(
    port: int, what: str, seconds: float, gone: Callable[[], str | None], host: str = LOOPBACK
) -> None:
    """Wait until a TCP connection to the port is accepted.

    Parameters
    ----------
    port : int
    what : str
        Who should be listening, for the error.
    seconds : float
        How long to wait at most.
    gone : callable
        Returns why waiting longer is of no use, or None.
    host : str
        Address to connect to.

    Raises
    ------
    PortError
        If nobody listens when the time is over, or ``gone`` says why nobody will.
    """
    deadline = time.monotonic() + seconds
    while not is_listening(port, host):
        reason = gone()
        if reason is not None:
            raise PortError(f"{what} does not listen at {host}:{port}: {reason}")
        if time.monotonic() > deadline:
            raise PortError(f"{what} did not listen at {host}:{port} within {seconds:g} seconds.")
        time.sleep(0.1)
