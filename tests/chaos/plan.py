"""Which fault strikes whom, and when: drawn from one seed, so that a run can be had again.

seed  ->  Trial: kind, region, after which phase, how long after it
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

REGIONS = ("north", "south", "west")
PHASES = 13
"""Of a run without taste."""
LATEST_PHASE = 10
LONGEST_DELAY = 3.0
"""Seconds after the end of a phase; about as long as the next one takes."""


class Kind(StrEnum):
    """What goes wrong."""

    NOTHING = "nothing"
    NODE_KILLED = "node-killed"
    EXECUTOR_KILLED = "executor-killed"
    AGENT_SUPERVISOR_KILLED = "agent-supervisor-killed"
    AGENT_KILLED = "agent-killed"
    AGENT_GONE = "agent-gone"
    SERVER_APP_KILLED = "server-app-killed"
    SUPERLINK_KILLED = "superlink-killed"
    NGINX_KILLED = "nginx-killed"
    SERVER_KILLED = "server-killed"
    NETWORK_CUT_5 = "network-cut-5"
    NETWORK_CUT_30 = "network-cut-30"
    NETWORK_SLOW = "network-slow"
    REGION_DISK_FULL = "region-disk-full"
    SERVER_DISK_FULL = "server-disk-full"
    CLOCK_AHEAD = "clock-ahead"
    CLOCK_BEHIND = "clock-behind"
    LEDGER_LOCKED = "ledger-locked"
    SUPERLINK_DATABASE_LOCKED = "superlink-database-locked"


MEANING = {
    Kind.NOTHING: "nothing, to compare with",
    Kind.NODE_KILLED: "a region's node killed",
    Kind.EXECUTOR_KILLED: "a region's executor killed",
    Kind.AGENT_SUPERVISOR_KILLED: "a region's supervisor killed, then `agent up`",
    Kind.AGENT_KILLED: "all processes of a region killed, then `agent up`",
    Kind.AGENT_GONE: "all processes of a region killed for good",
    Kind.SERVER_APP_KILLED: "the run's own process killed",
    Kind.SUPERLINK_KILLED: "SuperLink killed",
    Kind.NGINX_KILLED: "nginx killed",
    Kind.SERVER_KILLED: "all processes of the server killed, then `server up`",
    Kind.NETWORK_CUT_5: "a region's network cut for 5 s",
    Kind.NETWORK_CUT_30: "a region's network cut for 30 s",
    Kind.NETWORK_SLOW: "a region's link slow: 200 ms, 256 kbit/s, 5% of pieces held up",
    Kind.REGION_DISK_FULL: "a region's disk full for 15 s",
    Kind.SERVER_DISK_FULL: "the server's disk full for 15 s",
    Kind.CLOCK_AHEAD: "a region restarted with its clock an hour ahead",
    Kind.CLOCK_BEHIND: "a region restarted with its clock an hour behind",
    Kind.LEDGER_LOCKED: "a region's ledger locked for 15 s by another program",
    Kind.SUPERLINK_DATABASE_LOCKED: "SuperLink's database locked for 15 s by another program",
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run, and what strikes it.

    Attributes
    ----------
    number : int
    kind : Kind
    region : str
        Whom it strikes, where it strikes a region.
    phase : int
        It strikes after so many phases are done,
    delay : float
        so many seconds later.
    """

    number: int
    kind: Kind
    region: str
    phase: int
    delay: float


def draw(seed: int, runs: int, kinds: Sequence[Kind]) -> list[Trial]:
    """Draw trials; every kind comes about equally often, in an order of chance."""
    chance = random.Random(seed)  # noqa: S311  (nothing secret)
    order: list[Kind] = []
    while len(order) < runs:
        order += chance.sample(list(kinds), len(kinds))
    return [
        Trial(
            number=number,
            kind=kind,
            region=chance.choice(REGIONS),
            phase=chance.randint(0, LATEST_PHASE),
            delay=round(chance.uniform(0, LONGEST_DELAY), 2),
        )
        for number, kind in enumerate(order[:runs], start=1)
    ]
