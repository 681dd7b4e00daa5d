"""A link between a region and its server that can be cut or slow: a relay of TCP connections.

region's node  ->  relay on 127.0.0.1  ->  nginx

Where the network is cut, nothing more is passed on and nobody is told, as with a pulled cable:
whoever waits, waits until the link is whole or patience ends.
"""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

PIECE, LARGE_PIECE = 1448, 65536
"""Bytes of a TCP segment on an ordinary link, and of what a whole link passes on at a time."""
RETRANSMISSION = 0.4
"""Seconds that a lost segment holds up what comes after it."""


@dataclass(frozen=True)
class Link:
    """How a link is.

    Attributes
    ----------
    delay : float
        Seconds, each way.
    rate : float
        Bytes per second.
    loss : float
        Part of the segments that come a retransmission later.
    is_cut : bool
    """

    delay: float = 0.0
    rate: float = float("inf")
    loss: float = 0.0
    is_cut: bool = False


WHOLE, CUT = Link(), Link(is_cut=True)
SLOW = Link(delay=0.2, rate=256_000 / 8, loss=0.05)


class Relay:
    """Passes connections on to a port of this machine.

    Parameters
    ----------
    target : int
    seed : int
        Of the losses.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.link = WHOLE
        self._target = target
        self._chance = random.Random(seed)  # noqa: S311  (nothing secret)
        self._open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let go of the port and of all connections."""
        self._open = False
        self._listener.close()

    def _accept(self) -> None:
        while self._open:
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near:
            self._wait_until_whole()
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                return
            with far:
                back = threading.Thread(target=self._pass_on, args=(far, near), daemon=True)
                back.start()
                self._pass_on(near, far)
                back.join()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while self._open:
                if not select.select([source], [], [], 0.2)[0]:
                    continue
                piece = source.recv(LARGE_PIECE if self.link == WHOLE else PIECE)
                if not piece:  # the other direction may still have something to say
                    sink.shutdown(socket.SHUT_WR)
                    return
                self._travel(len(piece))
                sink.sendall(piece)
        except OSError:
            for one in (source, sink):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _travel(self, size: int) -> None:
        link = self.link
        seconds = size / link.rate + link.delay
        if link.loss and self._chance.random() < link.loss:
            seconds += RETRANSMISSION
        time.sleep(seconds)
        self._wait_until_whole()

    def _wait_until_whole(self) -> None:
        while self.link.is_cut and self._open:
            time.sleep(0.05)
