"""How long a run store remembers: old releases' rows go, what they cost stays.

Releases are counted into budgets (``spending``) in the very transaction that adds them, so that
taking their rows away forgets nothing that was spent. Budgets, regions and audits stay for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from server.run_store.errors import StoreError
from server.run_store.opening import Store
from server.run_store.records import SILENT_AFTER
from server.run_store.schema import Refusal, Release, Run
from server.run_store.states import RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was taken out of a store."""

    runs: int
    releases: int
    refusals: int


def prune(store: Store, *, keep_days: float, keep_runs: int, now: datetime | None = None) -> Pruned:
    """Take out what is old; what is under way is left alone.

    An interrupted run that goes on after its releases were taken out counts those of them that it
    still has in its checkpoint a second time: budgets are then told too large, never too small.

    Parameters
    ----------
    store : Store
    keep_days : float
        Releases and refusals that are older go.
    keep_runs : int
        So many of the latest runs stay; earlier ones go with their rounds, maps and reports.
    now : datetime, optional

    Raises
    ------
    StoreError
        If a number is out of range, or the store cannot be written.
    """
    if not keep_days > 0 or keep_runs < 1:
        raise StoreError(
            f"keep_days is {keep_days} and keep_runs {keep_runs}; the first must be above 0, the "
            "second at least 1. Nothing was taken out."
        )
    moment = now or datetime.now(UTC)
    since = moment - timedelta(days=keep_days)
    with store.read() as connection:
        ordered = select(Run.id, Run.status, Run.updated).order_by(Run.started.desc(), Run.id)
        found = connection.execute(ordered).all()
    alive = {
        run.id for run in found if run.status == RUNNING and moment - run.updated <= SILENT_AFTER
    }
    still = [run.id for run in found if run.id not in alive]
    old = {run.id for run in found[keep_runs:]}
    counts = {Release: 0, Refusal: 0, Run: 0}
    for run in still:  # one at a time, so that those who write never wait long
        gone = [delete(model).where(model.run_id == run) for model in (Release, Refusal)]
        if run not in old:
            gone = [one.where(one.table.c.received < since) for one in gone]
        with store.write() as connection:
            for model, one in zip((Release, Refusal), gone, strict=True):
                counts[model] += connection.execute(one).rowcount
            if run in old:
                counts[Run] += connection.execute(delete(Run).where(Run.id == run)).rowcount
    return Pruned(runs=counts[Run], releases=counts[Release], refusals=counts[Refusal])
