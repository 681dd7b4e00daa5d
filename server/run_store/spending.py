"""What regions have spent, as a server knows it: counted as answers come in.

new releases  ->  equal ones counted (``spending``)  ->  epsilon by the accountant  ->  ``budget``

A lower bound of what a region has spent: answers that were lost, came late or went to another
server are charged in the region's own ledger, and nobody tells. The limit is the region's own.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, insert, select, tuple_

from privacy.accountant import GaussianEvent, epsilon_of
from server.run_store.putting import Row, insert_into, put
from server.run_store.schema import LIFETIME, Budget, Release, Spending

RELEASES = "releases"
"""Source of budgets that are computed here."""
_AT_ONCE = 400
_EVENT = ("region", "public_key", "window", "sensitivity", "sigma", "step")

Account = tuple[str, str]
"""A ledger: its region's name and its key. One that was begun anew has another key."""


def put_releases(
    connection: Connection, run: str, releases: Sequence[Row], *, delta: float, now: datetime
) -> None:
    """Add releases of one run that are not there yet, and count what they cost.

    Parameters
    ----------
    connection : Connection
        In a transaction that other writers wait for.
    run : str
    releases : sequence of dict
        Rows of :class:`Release`; a region's name as it is stored.
    delta : float
        The run's; a budget is told at the smallest delta of all.
    now : datetime
    """
    if not releases:
        return
    rounds = {row["round"] for row in releases}
    known = select(Release.round, Release.region).where(
        Release.run_id == run, Release.round.in_(rounds)
    )
    there = {(row.round, row.region) for row in connection.execute(known)}
    new = {(row["round"], row["region"]): row for row in releases}
    fresh = [row for place, row in new.items() if place not in there]
    if not fresh:
        return
    connection.execute(insert(Release), [dict(row) for row in fresh])
    _count(connection, fresh)
    recompute(connection, {(row["region"], row["public_key"]) for row in fresh}, delta, now)


def _count(connection: Connection, releases: Iterable[Row]) -> None:
    counts = Counter(tuple(row[name] for name in _EVENT) for row in releases)
    statement = insert_into(connection, Spending)
    total = Spending.__table__.c.releases + statement.excluded.releases
    connection.execute(
        statement.on_conflict_do_update(index_elements=_EVENT, set_={"releases": total}),
        [
            dict(zip(_EVENT, event, strict=True), releases=count)
            for event, count in sorted(counts.items())
        ],
    )


def recompute(
    connection: Connection, accounts: Iterable[Account], delta: float, now: datetime
) -> None:
    """Compute anew what ``accounts`` have spent, in each window and ever."""
    ordered = sorted(accounts)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        spent = _events(connection, some)
        least = _deltas(connection, some)
        put(
            connection,
            Budget,
            [
                _budget(account, window, events, min(delta, least.get(account, delta)), now)
                for account, windows in spent.items()
                for window, events in windows.items()
            ],
        )


def _events(
    connection: Connection, accounts: Sequence[Account]
) -> dict[Account, dict[str, Counter[float]]]:
    """Return how many releases of each mu there are, by account and window."""
    found: dict[Account, dict[str, Counter[float]]] = defaultdict(lambda: defaultdict(Counter))
    rows = connection.execute(
        select(*(getattr(Spending, name) for name in _EVENT), Spending.releases).where(
            tuple_(Spending.region, Spending.public_key).in_(accounts)
        )
    )
    for row in rows:
        mu = GaussianEvent(row.sensitivity, row.sigma, row.step).mu
        for span in (row.window, LIFETIME):
            found[row.region, row.public_key][span][mu] += row.releases
    return found


def _deltas(connection: Connection, accounts: Sequence[Account]) -> dict[Account, float]:
    rows = connection.execute(
        select(Budget.region, Budget.public_key, Budget.delta).where(
            tuple_(Budget.region, Budget.public_key).in_(accounts), Budget.source == RELEASES
        )
    )
    found: dict[Account, float] = {}
    for region, key, delta in rows:
        found[region, key] = min(delta, found.get((region, key), delta))
    return found


def _budget(
    account: Account, window: str, events: Counter[float], delta: float, now: datetime
) -> dict[str, Any]:
    mu = math.sqrt(math.fsum(count * mu**2 for mu, count in sorted(events.items())))
    return {
        "region": account[0],
        "public_key": account[1],
        "window": window,
        "source": RELEASES,
        "spent": _epsilon(mu, delta),
        "limit": None,
        "delta": delta,
        "releases": events.total(),
        "computed": now,
    }


@lru_cache(maxsize=4096)
def _epsilon(mu: float, delta: float) -> float:
    """Return the accountant's epsilon; regions that answered the same runs have the same."""
    return epsilon_of(mu, delta)
