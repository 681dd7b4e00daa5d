"""Sessions of who has logged in: in this process's memory, so that a restart ends them all.

A browser holds 256 random bits; here only their hash is kept. Each login makes a new
session, so that one which was planted before it is worth nothing (session fixation).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from server.dashboard.accounts import Accounts, User


@dataclass(slots=True)
class _Session:
    name: str
    stamp: str
    made: float
    seen: float


class Sessions:
    """Who is logged in.

    Parameters
    ----------
    accounts : Accounts
        Asked at each request: who was removed or changed since is logged in no more.
    idle : float
        Seconds without a request after which a session ends.
    longest : float
        Seconds after which it ends in any case.
    most : int
        Sessions at once; beyond it the one that was quiet longest ends.
    clock : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        accounts: Accounts,
        idle: float,
        longest: float,
        most: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._idle, self._longest, self._most = idle, longest, most
        self._clock = clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, user: User) -> str:
        """Return the secret of a new session, for the browser's cookie."""
        secret = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[_key(secret)] = _Session(user.name, user.stamp, now, now)
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return secret

    def user(self, secret: str, *, acts: bool = True) -> User | None:
        """Return who is logged in by that session, or None.

        Parameters
        ----------
        secret : str
        acts : bool
            Whether the person does something now. What a page fetches by itself is no
            reason to stay logged in.
        """
        key = _key(secret)
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        user = self._accounts.find(session.name)
        too_old = now - session.seen > self._idle or now - session.made > self._longest
        if too_old or user is None or user.stamp != session.stamp:
            self._sessions.pop(key, None)
            return None
        if acts:
            session.seen = now
            self._sessions.move_to_end(key)
        return user

    def end(self, secret: str) -> None:
        """Log out."""
        self._sessions.pop(_key(secret), None)


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
