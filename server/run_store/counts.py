"""What is in a store, in numbers: of one moment, and with runs' status as it is then."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select

from server.run_store.opening import Store
from server.run_store.reading_regions import PASSED
from server.run_store.records import SILENT_AFTER, Overview
from server.run_store.schema import Audit, Region, Run, Spending
from server.run_store.states import INTERRUPTED, RUNNING


def overview(store: Store, now: datetime | None = None) -> Overview:
    """Return what is in the store at ``now``, in numbers."""
    silent = (now or datetime.now(UTC)) - SILENT_AFTER
    of_runs = select(
        Run.status,
        func.count().label("runs"),
        func.count().filter(Run.updated < silent).label("silent"),
        func.max(Run.updated).label("latest"),
        func.max(Run.updated).filter(Run.updated < silent).label("latest_silent"),
    ).group_by(Run.status)
    of_audits = select(func.count(), func.count().filter(Audit.verdict != PASSED))
    # Releases' own rows go in time; what was counted of them stays.
    of_releases = select(func.sum(Spending.releases))
    with store.read() as connection:
        rows = connection.execute(of_runs).all()
        n_audits, n_failed = connection.execute(of_audits.select_from(Audit)).one()
        n_regions = connection.execute(select(func.count()).select_from(Region)).scalar_one()
        n_releases = connection.execute(of_releases).scalar()
    by_status = {row.status: row.runs for row in rows}
    fell_silent = sum(row.silent for row in rows if row.status == RUNNING)
    if fell_silent:
        by_status[RUNNING] -= fell_silent
        by_status[INTERRUPTED] = by_status.get(INTERRUPTED, 0) + fell_silent
    over = [row.latest_silent if row.status == RUNNING else row.latest for row in rows]
    return Overview(
        runs=sum(row.runs for row in rows),
        by_status=by_status,
        regions=n_regions,
        releases=int(n_releases or 0),
        audits=n_audits,
        audits_failed=n_failed,
        latest=max((row.latest for row in rows), default=None),
        ended=max((moment for moment in over if moment is not None), default=None),
    )
