"""What the server says to this node's key, and when asking again is of no use.

answer of the server's  ->  let in | ask again | stand still until somebody acts

A node that was let in and gets "unauthorized" has been revoked, or its clock has gone wrong. Before
it is let in, Flower says the same to a key that it does not know and to a node that it still takes
for connected (for a minute after one was killed), and a machine that has just started may not have
the time yet: so that is asked again for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
from flwr.supercore.error import ApiErrorCode, FlowerError

from deployment.errors import SecretFileError
from deployment.hosting.secret_files import replace
from deployment.hosting.standing_still import stand_still

PATIENCE = 15 * 60.0
"""Seconds for which a node that is not let in asks again."""
ACTIVATION = "/ActivateNode"
UNAUTHORIZED = (
    "The server no longer takes this node's key (HTTP 401). Nothing is asked of it until you act. "
    "Either the region was revoked: ask the server's operator, and enrol anew with a new node key; "
    "or this machine's clock is wrong (over 5 s ahead, or 5 minutes behind): `fedinterest agent "
    "doctor` tells. Then: fedinterest agent down, fedinterest agent up."
)
NOT_LET_IN = (
    "The server has not let this node in for {minutes:.0f} minutes. It was given up. Either its "
    "key is not approved there, or no longer: `fedinterest agent enroll` with the region's token "
    "tells how that stands; or another process uses this node's key; or this machine's clock is "
    "wrong: `fedinterest agent doctor` tells. Then: fedinterest agent down, fedinterest agent up."
)
ANOTHER_FLOWER = (
    "The server runs a Flower that does not go with this one ({detail}). Nothing is asked of it "
    "until you act. Install at the server and here what constraints.txt of one release of "
    "fedinterest names. Then: fedinterest agent down, fedinterest agent up."
)


class Admission:
    """Looks at each answer that the server gives to the node.

    Parameters
    ----------
    since : Path
        Where it is kept when the node was first not let in; a restarted node goes on from there.
    end : callable
        Called with a sentence when asking again is of no use.
    clock : callable
        Seconds since 1970.
    """

    def __init__(
        self,
        since: Path,
        end: Callable[[str], object] = stand_still,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._since, self._end, self._clock = since, end, clock

    def look_at(self, method: str, response: httpx.Response) -> None:
        """Look at the answer to a call of ``method``."""
        if response.status_code == httpx.codes.UNAUTHORIZED:
            if method.endswith(ACTIVATION):
                self._wait_a_while()
            else:
                self._end(UNAUTHORIZED)
            return
        error = FlowerError.from_json(response.text) if response.is_error else None
        if error is not None and error.code == ApiErrorCode.RUNTIME_VERSION_INCOMPATIBLE:
            self._end(ANOTHER_FLOWER.format(detail=_one_line(error)))
        elif not method.endswith(ACTIVATION):
            return
        elif response.is_success:
            self._since.unlink(missing_ok=True)
        elif error is not None and error.code == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED:
            self._wait_a_while()

    def _wait_a_while(self) -> None:
        now = self._clock()
        waited = now - self._first_time(now)
        if waited > PATIENCE:
            self._since.unlink(missing_ok=True)
            self._end(NOT_LET_IN.format(minutes=waited / 60))

    def _first_time(self, now: float) -> float:
        try:
            first = float(self._since.read_text())
        except (OSError, ValueError):
            first = None
        if first is not None and first <= now:  # else the clock was set back
            return first
        with suppress(SecretFileError):  # on a full disk the next time is the first again
            replace(self._since, f"{now:.0f}".encode())
        return now


def _one_line(error: FlowerError) -> str:
    told = " ".join(f"{error.message} {error.public_details or ''}".split())
    return told[:300].rstrip(".")
