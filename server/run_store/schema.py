"""The tables of a run store.

``migrations`` makes them; a test says that both agree. Keys are what identifies a thing anyway
(a run's id, a region's name), so that writing the same again changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Index, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from server.run_store.columns import Finite, Json, Moment, Name, PlainText

VERSION_TABLE = "fedinterest_schema"
"""Where the schema's version stands; tells a run store from other databases."""
LIFETIME = "lifetime"
"""Of a budget, in place of a window: all windows of a ledger together."""


class Base(DeclarativeBase):
    """What all tables have in common."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy's own spelling)
        str: PlainText,
        float: Finite,
        int: BigInteger,
        datetime: Moment,
        list[Any]: Json,
        dict[str, Any]: Json,
    }


def _run_key() -> Mapped[str]:
    return mapped_column(Name, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)


class Run(Base):
    """One run, from its beginning on.

    ``status`` is ``running``, ``completed``, ``failed`` or ``interrupted``; a process that was
    killed leaves ``running``, and ``updated`` gets old. ``epsilon`` is null where nothing is
    promised. ``plan`` is a list of phases, each with name, share and noise multiplier.
    """

    __tablename__ = "run"
    __table_args__ = (Index(None, "started"), Index(None, "name", "started"))

    id: Mapped[str] = mapped_column(Name, primary_key=True)
    name: Mapped[str] = mapped_column(Name)
    version: Mapped[str]
    code: Mapped[str]
    trust_model: Mapped[str]
    epsilon: Mapped[float | None]
    delta: Mapped[float]
    declared_users: Mapped[int | None]
    n_clients: Mapped[int]
    noise: Mapped[str | None]
    simulated: Mapped[bool]
    started: Mapped[datetime]
    updated: Mapped[datetime]
    seconds: Mapped[float]
    status: Mapped[str]
    failure_type: Mapped[str | None]
    failure: Mapped[str | None]
    resumed: Mapped[int]
    config: Mapped[dict[str, Any]]
    plan: Mapped[list[Any]]
    statement: Mapped[str | None]


class Round(Base):
    """One question. ``state`` is ``planned``, ``asked`` or ``done``."""

    __tablename__ = "round"

    run_id: Mapped[str] = _run_key()
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    purpose: Mapped[str]
    state: Mapped[str]
    share: Mapped[float]
    sensitivity: Mapped[float | None]
    sigma: Mapped[float | None]
    step: Mapped[float | None]
    asked: Mapped[int]
    answered: Mapped[int]
    refused: Mapped[int]
    malformed: Mapped[int]
    late: Mapped[int]
    bytes_up: Mapped[int]
    bytes_down: Mapped[int]
    seconds: Mapped[float]
    started: Mapped[datetime | None]


class Release(Base):
    """One answer that was received: what a region was charged, not what it said."""

    __tablename__ = "release"
    __table_args__ = (Index(None, "region", "received"), Index(None, "received"))

    run_id: Mapped[str] = _run_key()
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    region: Mapped[str] = mapped_column(Name, primary_key=True)
    purpose: Mapped[str]
    public_key: Mapped[str] = mapped_column(Name)
    window: Mapped[str] = mapped_column(Name)
    entry: Mapped[int]
    sensitivity: Mapped[float]
    sigma: Mapped[float]
    step: Mapped[float]
    noise: Mapped[str]
    received: Mapped[datetime]


class Refusal(Base):
    """One request that a region did not answer."""

    __tablename__ = "refusal"
    __table_args__ = (Index(None, "region", "received"), Index(None, "received"))

    run_id: Mapped[str] = _run_key()
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    region: Mapped[str] = mapped_column(Name, primary_key=True)
    purpose: Mapped[str]
    reason: Mapped[str]
    sentence: Mapped[str]
    received: Mapped[datetime]


class Region(Base):
    """A region by its latest signed answer; ``code`` is the program that made that, as it says."""

    __tablename__ = "region"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    public_key: Mapped[str] = mapped_column(Name)
    sequence: Mapped[int]
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    last_run: Mapped[str] = mapped_column(Name)
    code: Mapped[str | None]


class Heartbeat(Base):
    """A region's agent between runs, as the server saw it at ``observed``.

    ``version`` and ``flower`` are what the region's enrolment request told at ``told``.
    """

    __tablename__ = "heartbeat"

    region: Mapped[str] = mapped_column(Name, primary_key=True)
    node_id: Mapped[str] = mapped_column(Name)
    state: Mapped[str]
    last_heartbeat: Mapped[datetime | None]
    since: Mapped[datetime | None]
    version: Mapped[str]
    flower: Mapped[str]
    told: Mapped[datetime]
    observed: Mapped[datetime]


class Map(Base):
    """A finished map; ``version`` counts the maps of runs of one name."""

    __tablename__ = "map"

    run_id: Mapped[str] = _run_key()
    version: Mapped[int]
    k: Mapped[int]
    n_groups: Mapped[int]
    size_noise: Mapped[float | None]
    warning: Mapped[str | None]
    groups: Mapped[list[Any]]


class Cluster(Base):
    """One cluster; ``x`` and ``y`` are its centroid on the first two principal axes of all."""

    __tablename__ = "cluster"
    __table_args__ = (ForeignKeyConstraint(["run_id"], ["map.run_id"], ondelete="CASCADE"),)

    run_id: Mapped[str] = mapped_column(Name, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    label: Mapped[str]
    terms: Mapped[list[Any]]
    items: Mapped[list[Any]]
    noisy_size: Mapped[float]
    size_noise: Mapped[float | None]
    parent: Mapped[int | None]
    x: Mapped[float]
    y: Mapped[float]


class Figure(Base):
    """One figure of a report. ``kind`` is ``released`` or ``oracle``."""

    __tablename__ = "figure"
    __table_args__ = (Index(None, "name"),)

    run_id: Mapped[str] = _run_key()
    name: Mapped[str] = mapped_column(Name, primary_key=True)
    value: Mapped[float | None]
    noise: Mapped[float | None]
    kind: Mapped[str]


class Report(Base):
    """The whole ``report.json``."""

    __tablename__ = "report"

    run_id: Mapped[str] = _run_key()
    text: Mapped[str]


class Spending(Base):
    """Equal releases of one ledger in one window, counted; outlives the releases' own rows."""

    __tablename__ = "spending"

    region: Mapped[str] = mapped_column(Name, primary_key=True)
    public_key: Mapped[str] = mapped_column(Name, primary_key=True)
    window: Mapped[str] = mapped_column(Name, primary_key=True)
    sensitivity: Mapped[float] = mapped_column(primary_key=True)
    sigma: Mapped[float] = mapped_column(primary_key=True)
    step: Mapped[float] = mapped_column(primary_key=True)
    releases: Mapped[int]


class Budget(Base):
    """What one ledger has spent in one window, or ``lifetime``, as ``source`` knows it.

    ``releases``: computed from received answers, without a limit: that is the region's own.
    ``receipt``: a simulated region's ledger. ``audit``: an audited ledger.
    """

    __tablename__ = "budget"

    region: Mapped[str] = mapped_column(Name, primary_key=True)
    public_key: Mapped[str] = mapped_column(Name, primary_key=True)
    window: Mapped[str] = mapped_column(Name, primary_key=True)
    source: Mapped[str] = mapped_column(Name, primary_key=True)
    spent: Mapped[float | None]
    limit: Mapped[float | None]
    delta: Mapped[float]
    releases: Mapped[int]
    computed: Mapped[datetime]


class Audit(Base):
    """One audit.

    ``document`` is the audit in canonical JSON; where it was signed, ``audit.json`` as it was
    signed, so ``{"audit": ..., "signature": ...}``. ``id`` is the SHA-256 of the audit in it.
    """

    __tablename__ = "audit"
    __table_args__ = (Index(None, "made"),)

    id: Mapped[str] = mapped_column(Name, primary_key=True)
    made: Mapped[datetime]
    signed_by: Mapped[str]
    paths: Mapped[list[Any]]
    verdict: Mapped[str]
    simulated: Mapped[bool]
    document: Mapped[str]


class AuditedLedger(Base):
    """One ledger in an audit."""

    __tablename__ = "audited_ledger"
    __table_args__ = (Index(None, "region"),)

    audit_id: Mapped[str] = mapped_column(
        Name, ForeignKey("audit.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    region: Mapped[str] = mapped_column(Name)
    public_key: Mapped[str] = mapped_column(Name)
    verdict: Mapped[str]
    releases: Mapped[int]
    spent: Mapped[float | None]
    limit: Mapped[float | None]
    delta: Mapped[float | None]
    faults: Mapped[list[Any]]
    incidents: Mapped[list[Any]]
