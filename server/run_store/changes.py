"""What has changed in a store since somebody last looked: a word for each part of it.

Store  ->  cheap queries  ->  {"runs": "1f0c...", "audits": "93ab..."}
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from server.run_store.opening import Store
from server.run_store.records import SILENT_AFTER
from server.run_store.region_records import UNSEEN_AFTER
from server.run_store.schema import Audit, Heartbeat, Refusal, Release, Run
from server.run_store.states import RUNNING


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
    # Every write to a run, and every sign of life, moves its ``updated``. Servers' clocks differ,
    # so each run that is under way is looked at, not only the latest.
    of_runs = select(Run.status, func.count(), func.max(Run.updated)).group_by(Run.status)
    under_way = select(Run.id, Run.updated).where(Run.status == RUNNING).order_by(Run.id)
    of_audits = select(func.count(), func.max(Audit.made))
    seen = Heartbeat.observed >= now - UNSEEN_AFTER
    heard = func.max(Heartbeat.observed)
    of_agents = select(Heartbeat.state, func.count(), func.count().filter(seen), heard)
    # What retention takes out moves nothing else. Both are looked up in an index.
    oldest = (select(func.min(model.received)) for model in (Release, Refusal))
    with store.read() as connection:
        runs = connection.execute(of_runs.order_by(Run.status)).all()
        beats = connection.execute(under_way).all()
        kept = [connection.execute(query).scalar() for query in oldest]
        audits = connection.execute(of_audits).one()
        agents = connection.execute(
            of_agents.group_by(Heartbeat.state).order_by(Heartbeat.state)
        ).all()
    alive = [run for run, updated in beats if now - updated <= SILENT_AFTER]
    return {
        "runs": _word(*runs, *beats, *alive, *kept),
        "audits": _word(*audits),
        "agents": _word(*agents),
    }


def _word(*parts: Any) -> str:
    """Return a short word that differs where the parts do."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
