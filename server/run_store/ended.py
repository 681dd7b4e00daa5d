"""How many runs fell silent, when one ended last, and how many audits failed: counted at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from server.run_store.opening import Store
from server.run_store.records import SILENT_AFTER
from server.run_store.schema import Audit, Run
from server.run_store.states import RUNNING

PASSED = "PASS"
"""Verdict of an audit that found nothing wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is over.

    Attributes
    ----------
    silent : int
        Runs that were left running and have given no sign of life for too long.
    moment : datetime, optional
        The last sign of life of a run that is not running now.
    audits_failed : int
        Audits with any other verdict than PASS.
    """

    silent: int
    moment: datetime | None
    audits_failed: int


def ended(store: Store, now: datetime) -> Ended:
    """Return what is over at ``now``."""
    silent = (Run.status == RUNNING) & (Run.updated < now - SILENT_AFTER)
    over = (Run.status != RUNNING) | silent
    runs = select(func.count().filter(silent), func.max(Run.updated).filter(over))
    audits = select(func.count()).select_from(Audit).where(Audit.verdict != PASSED)
    with store.read() as connection:
        count, moment = connection.execute(runs).one()
        failed = connection.execute(audits).scalar_one()
    return Ended(silent=count, moment=moment, audits_failed=failed)
