"""What has changed in a store since somebody last looked: a word for each part of it.

Store  ->  two cheap queries  ->  {"runs": "1000-1764...-1", "audits": "3-1764..."}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from server.run_store.opening import Store
from server.run_store.records import SILENT_AFTER
from server.run_store.schema import Audit, Run
from server.run_store.snapshot import RUNNING


def versions(store: Store, now: datetime) -> Mapping[str, str]:
    """Return a word for each part, which differs as soon as the part does.

    Parameters
    ----------
    store : Store
    now : datetime
        A run that falls silent changes, too, though nobody writes that down.

    Raises
    ------
    StoreAwayError
        If the store cannot be read.
    """
    alive = (Run.status == RUNNING) & (Run.updated >= now - SILENT_AFTER)
    # Every write to a run, and every sign of life, moves ``updated``.
    of_runs = select(func.count(), func.max(Run.updated), func.count().filter(alive))
    of_audits = select(func.count(), func.max(Audit.made))
    with store.read() as connection:
        runs = connection.execute(of_runs).one()
        audits = connection.execute(of_audits).one()
    return {"runs": _word(*runs), "audits": _word(*audits)}


def _word(*parts: Any) -> str:
    return "-".join(
        f"{part.timestamp():.6f}" if isinstance(part, datetime) else str(part or 0)
        for part in parts
    )
