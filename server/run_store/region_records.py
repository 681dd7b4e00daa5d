"""What readers of a run store get of regions: answers, budgets, agents and audits; in UTC.

``None`` is what the server does not know, or what is not promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from server.run_store.heartbeats import UNKNOWN

UNSEEN_AFTER = timedelta(minutes=3)
"""A server looks at regions' agents every minute at least; what it saw longer ago may be over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLine:
    """One answer that was received."""

    run_id: str
    round: int
    region: str
    purpose: str
    public_key: str
    window: str
    entry: int
    sensitivity: float
    sigma: float
    step: float
    noise: str
    received: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalLine:
    """One request that a region did not answer."""

    run_id: str
    round: int
    region: str
    purpose: str
    reason: str
    sentence: str
    received: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentOf:
    """What was spent at least, of which limit: in a window, or over a ledger's life."""

    spent: float | None
    limit: float | None
    delta: float
    is_lifetime: bool

    @property
    def share(self) -> float | None:
        """The share of the limit that is spent; None where one of them is unknown."""
        if self.spent is None or not self.limit:
            return None
        return self.spent / self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What one ledger has spent in one window, by the best that is known.

    Attributes
    ----------
    spent, lifetime_spent : float, optional
        The more of what the server counted and what was told: the ledger has charged at least
        that. None: no epsilon can be promised, or nothing is known.
    limit, lifetime_limit : float, optional
        The region's own; None: unknown to the server.
    counted : float, optional
        From answers that the server received: a lower bound of what was charged.
    told : float, optional
        As the ledger itself said, by ``told_by``: ``receipt`` of a simulation, or ``audit``.
    delta, lifetime_delta : float
        At which ``spent`` and ``lifetime_spent`` are told: the ledger's own, where that is known.
    releases : int
        Answers that the server counted.
    simulated : bool
        Whether the ledger is a simulation's.
    computed : datetime
        When ``spent`` was found.
    """

    region: str
    public_key: str
    window: str
    spent: float | None
    limit: float | None
    counted: float | None
    told: float | None
    told_by: str | None
    lifetime_spent: float | None
    lifetime_limit: float | None
    delta: float
    lifetime_delta: float | None
    releases: int
    simulated: bool
    computed: datetime

    @property
    def nearest_limit(self) -> SpentOf:
        """The window's limit, or the lifetime's where more of that is spent: either stops it."""
        window = SpentOf(spent=self.spent, limit=self.limit, delta=self.delta, is_lifetime=False)
        ever = SpentOf(
            spent=self.lifetime_spent,
            limit=self.lifetime_limit,
            delta=self.delta if self.lifetime_delta is None else self.lifetime_delta,
            is_lifetime=True,
        )
        return ever if (ever.share or 0.0) > (window.share or 0.0) else window


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRecord:
    """A region by its latest signed answer."""

    name: str
    public_key: str
    sequence: int
    first_seen: datetime
    last_seen: datetime
    last_run: str
    code: str | None
    releases: int
    refusals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatRecord:
    """A region's agent between runs.

    Attributes
    ----------
    node_id : str
        SuperLink's number of the region's node; of several enrolments, the latest one's.
    state : str
        As the server saw it: ``online``, ``offline``, ``never seen`` (enrolled, has not connected
        since), ``not registered`` (enrolled, but SuperLink does not let it in), ``revoked`` or
        ``unknown``; :meth:`state_at` is what it means later.
    last_heartbeat : datetime, optional
        None if there was none; to a minute where the agent was ended by its operator.
    since : datetime, optional
        When it came into this state, if that is known.
    observed : datetime
        When the server looked.
    version, flower : str
        Of fedinterest and Flower at the region, as of its enrolment.
    told : datetime
        When that was: later updates are not seen here.
    """

    region: str
    node_id: str
    state: str
    last_heartbeat: datetime | None
    since: datetime | None
    observed: datetime
    version: str
    flower: str
    told: datetime

    def state_at(self, now: datetime) -> str:
        """Return the state; ``unknown`` where the server has not looked for some minutes."""
        return UNKNOWN if now - self.observed > UNSEEN_AFTER else self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One audit, without its document."""

    id: str
    made: datetime
    signed_by: str
    paths: list[str]
    verdict: str
    simulated: bool
    ledgers: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedLine:
    """One ledger in one audit."""

    audit_id: str
    made: datetime
    region: str
    public_key: str
    verdict: str
    releases: int
    spent: float | None
    limit: float | None
    delta: float | None
    faults: list[str]
    incidents: list[str]
