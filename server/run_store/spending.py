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
TOLD = ("audit", "receipt")
"""Other sources of budgets, from ledgers themselves. Whose word counts before whose: an audit looks
at a ledger from outside."""
_AT_ONCE = 400
_EVENT = ("region", "public_key", "window", "sensitivity", "sigma", "step")

Account = tuple[str, str]
"""A ledger: its region's name and its key. One that was begun anew has another key."""
_Deltas = dict[tuple[str, str, bool, str], float]


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
        The run's; a budget is told at the ledger's own delta where that is known, else at the
        smallest of its runs'.
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
    recompute(connection, {(row["region"], row["public_key"]) for row in fresh}, now, delta=delta)


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
    connection: Connection, accounts: Iterable[Account], now: datetime, *, delta: float = 1.0
) -> None:
    """Compute anew what ``accounts`` have spent, in each window and ever.

    Parameters
    ----------
    connection : Connection
    accounts : iterable of pairs of str
    now : datetime
    delta : float
        Of the run that has just answered; left out, what is told of the ledgers has changed.
    """
    ordered = sorted(accounts)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        spent = _events(connection, some)
        deltas = _deltas(connection, some)
        put(
            connection,
            Budget,
            [
                _budget(account, window, events, _delta(deltas, account, window, delta), now)
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


def _deltas(connection: Connection, accounts: Sequence[Account]) -> _Deltas:
    """Return the smallest delta at which anything is told: by account, span and source."""
    rows = connection.execute(
        select(Budget.region, Budget.public_key, Budget.window, Budget.source, Budget.delta).where(
            tuple_(Budget.region, Budget.public_key).in_(accounts)
        )
    )
    found: _Deltas = {}
    for region, key, window, source, delta in rows:
        place = (region, key, window == LIFETIME, source)
        found[place] = min(delta, found.get(place, delta))
    return found


def _delta(deltas: _Deltas, account: Account, window: str, delta: float) -> float:
    """Return at which delta a ledger's spending is told: its limit is at its own, fixed for life.

    An epsilon at a larger delta is a smaller number, and beside that limit it would look like less.
    """
    span = (*account, window == LIFETIME)
    own = (deltas.get((*span, source)) for source in TOLD)
    counted = min(delta, deltas.get((*span, RELEASES), delta))
    return next((one for one in own if one is not None), counted)


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
