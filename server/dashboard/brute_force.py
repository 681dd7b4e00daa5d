"""Guessing passwords takes ever longer: by account, and by the address it comes from.

An attempt counts before its password is looked at, so that guessing side by side gains
nothing. Unknown names count as known ones do: waiting tells nobody who has an account.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How much guessing is put up with.

    Attributes
    ----------
    free : int
        Failures without a delay.
    longest : float
        Seconds of the longest delay; the first is one second, each further one twice as long.
    """

    free: int
    longest: float


BY_ADDRESS = Patience(free=5, longest=900.0)
BY_ACCOUNT = Patience(free=10, longest=60.0)
"""Shorter: or somebody could shut a user out by guessing wrongly all day."""
FORGOTTEN = 3600.0
"""Seconds without an attempt after which failures are forgotten."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0


class Guard:
    """Counts attempts to log in.

    Parameters
    ----------
    most : int
        Accounts and addresses that are remembered, each; the oldest are forgotten first.
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, most: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._accounts: OrderedDict[str, _Failures] = OrderedDict()
        self._addresses: OrderedDict[str, _Failures] = OrderedDict()

    def attempt(self, account: str, address: str) -> float:
        """Count an attempt, or return the seconds to wait before there may be one.

        Returns
        -------
        float
            0 if the password may be looked at now; else it must not be, and nothing counts.
        """
        mine = [
            (self._accounts, _account_key(account), BY_ACCOUNT),
            (self._addresses, _network(address), BY_ADDRESS),
        ]
        wait = max(self._wait(*place) for place in mine)
        if wait > 0:
            return wait
        for table, key, _ in mine:
            failures = table.setdefault(key, _Failures())
            failures.count += 1
            failures.last = self._clock()
            table.move_to_end(key)
            while len(table) > self._most:
                table.popitem(last=False)
        return 0.0

    def succeeded(self, account: str, address: str) -> None:
        """Take back the attempt that was counted, since the password was right.

        The address keeps its other failures: an account of one's own is no way to guess on.
        """
        self._accounts.pop(_account_key(account), None)
        failures = self._addresses.get(_network(address))
        if failures:
            failures.count = max(failures.count - 1, 0)

    def _wait(self, table: OrderedDict[str, _Failures], key: str, patience: Patience) -> float:
        failures = table.get(key)
        if failures is None:
            return 0.0
        ago = self._clock() - failures.last
        if ago > FORGOTTEN:
            del table[key]
            return 0.0
        beyond = failures.count - patience.free
        if beyond < 0:
            return 0.0
        # Capped before the power: a million failures are no number of 300,000 digits.
        delay = min(2.0 ** min(beyond, 20), patience.longest)
        return max(delay - ago, 0.0)


def _account_key(account: str) -> str:
    """Return what is remembered of a name: short, however long a name was sent."""
    return hashlib.sha256(account.casefold().encode("utf-8", "replace")).hexdigest()


def _network(address: str) -> str:
    """Return whom an address stands for: of IPv6, one customer has a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
