"""What pages read of budgets, a part at a time: sorted and cut by the database.

budgets by source (counted, receipt, audit)  ->  a row for each ledger and window  ->  some of them
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    select,
    true,
)

from privacy.query import NoiseKind
from server.run_store.columns import name_of
from server.run_store.opening import Store
from server.run_store.region_records import BudgetState
from server.run_store.schema import LIFETIME, Budget, Region, Release, Run
from server.run_store.spending import RELEASES, TOLD

ORDERS: Final = ("share", "region", "window", "spent", "left", "lifetime_spent", "releases")
"""What budgets may be sorted by."""
_SEEDED: Final = NoiseKind.SEEDED.value
"""Noise that only simulations have."""


def budget_states(
    store: Store,
    *,
    region: str | None = None,
    latest: bool = False,
    order: str = "share",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
) -> list[BudgetState]:
    """Return what ledgers have spent in windows; what is unknown comes last in either order.

    Parameters
    ----------
    store : Store
    region : str, optional
        Only this region's ledgers.
    latest : bool
        Only the latest window of the ledger that each region answered from last.
    order : str
        One of :data:`ORDERS`.
    descending : bool
    limit, offset : int
        How many, and after how many.

    Raises
    ------
    ValueError
        If ``order`` is none of those.
    """
    if order not in ORDERS:
        raise ValueError(f"Budgets cannot be sorted by {order!r}, only by {', '.join(ORDERS)}.")
    query = _states(region is not None, latest, order, descending)
    values = {"size": limit, "after": offset} | (
        {} if region is None else {"name": name_of(region)}
    )
    with store.read() as connection:
        return [BudgetState(**row) for row in connection.execute(query, values).mappings()]


def count_budgets(store: Store, *, region: str | None = None) -> int:
    """Return how many ledgers' windows there are, of one region or of all."""
    chosen = [Budget.window != LIFETIME]
    if region is not None:
        chosen.append(Budget.region == name_of(region))
    spans = select(Budget.region, Budget.public_key, Budget.window).where(*chosen).distinct()
    with store.read() as connection:
        counted = select(func.count()).select_from(spans.subquery())
        return int(connection.execute(counted).scalar_one())


def count_latest(store: Store, *, share: float) -> tuple[int, int]:
    """Return of how many regions a latest window is known, and how many spent ``share`` of it.

    Where a limit of the window or of the lifetime is known, the fuller of both counts.
    """
    known = _states(False, True, "share", True).limit(None).offset(None).subquery()
    full = _larger(
        _share(known.c.spent, known.c.limit),
        _share(known.c.lifetime_spent, known.c.lifetime_limit),
    )
    counted = select(func.count(), func.count().filter(full >= share)).select_from(known)
    with store.read() as connection:
        n_known, n_full = connection.execute(counted).one()
    return int(n_known), int(n_full)


@cache  # SQLAlchemy takes longer to put this together than databases to answer it
def _states(of_region: bool, latest: bool, order: str, descending: bool) -> Select[Any]:
    chosen = [Budget.region == bindparam("name")] if of_region else []
    spans = _by_source([Budget.window != LIFETIME, *chosen], "span", Budget.window)
    ever = _by_source([Budget.window == LIFETIME, *chosen], "ever", None)
    same = and_(ever.c.region == spans.c.region, ever.c.public_key == spans.c.public_key)
    joined = spans.outerjoin(ever, same)
    if latest:
        last, names = _latest(), ("region", "public_key", "window")
        joined = joined.join(last, and_(*(last.c[name] == spans.c[name] for name in names)))
    window, lifetime = _known(spans), _known(ever)
    answered_last = and_(Region.name == spans.c.region, Region.public_key == spans.c.public_key)
    joined = joined.outerjoin(Region, answered_last).outerjoin(Run, Run.id == Region.last_run)
    state = select(
        spans.c.region,
        spans.c.public_key,
        spans.c.window,
        window["spent"],
        window["limit"],
        window["told"],
        window["told_by"],
        spans.c.releases_spent.label("counted"),
        lifetime["spent"].label("lifetime_spent"),
        lifetime["limit"].label("lifetime_limit"),
        window["delta"],
        lifetime["delta"].label("lifetime_delta"),
        func.coalesce(spans.c.releases_releases, 0).label("releases"),
        _is_simulated(spans).label("simulated"),
        window["computed"],
    )
    known = state.select_from(joined).cte("state")
    sortable: dict[str, ColumnElement[Any]] = {
        **known.c,
        "left": known.c.limit - known.c.spent,
        "share": _larger(
            _share(known.c.spent, known.c.limit),
            _share(known.c.lifetime_spent, known.c.lifetime_limit),
        ),
    }
    wanted = sortable[order]
    return (
        select(known)
        .order_by(
            wanted.is_(None),
            wanted.desc() if descending else wanted,
            known.c.region,
            known.c.window.desc(),
            known.c.public_key,
        )
        .limit(bindparam("size"))
        .offset(bindparam("after"))
    )


def _latest() -> CTE:
    """Return the latest window of the ledger that each region answered from last."""
    return (
        select(Budget.region, Budget.public_key, func.max(Budget.window).label("window"))
        .join(Region, and_(Region.name == Budget.region, Region.public_key == Budget.public_key))
        .where(Budget.window != LIFETIME)
        .group_by(Budget.region, Budget.public_key)
        .cte("latest")
    )


def _by_source(chosen: list[ColumnElement[bool]], name: str, window: Any) -> CTE:
    """Put the rows of all sources side by side."""
    keys = [Budget.region, Budget.public_key, *([] if window is None else [window])]
    columns: list[Any] = []
    for source in (RELEASES, *TOLD):
        its = Budget.source == source
        columns.append(func.max(case((its, 1))).label(source))
        columns += [
            func.max(case((its, column))).label(f"{source}_{column.key}")
            for column in (
                Budget.spent,
                Budget.limit,
                Budget.delta,
                Budget.releases,
                Budget.computed,
            )
        ]
    return select(*keys, *columns).where(*chosen).group_by(*keys).cte(name)


def _known(spans: CTE) -> dict[str, ColumnElement[Any]]:
    """Return what is known at least: the more of what was counted and what was told."""
    audited = spans.c.audit.is_not(None)

    def told(name: str) -> ColumnElement[Any]:
        return case((audited, spans.c[f"audit_{name}"]), else_=spans.c[f"receipt_{name}"])

    def of_the_larger(name: str) -> ColumnElement[Any]:
        counted = spans.c[f"releases_{name}"]
        is_told = told("spent") >= spans.c.releases_spent
        return case((is_told, told(name)), else_=func.coalesce(counted, told(name)))

    found = {
        "spent": _larger(spans.c.releases_spent, told("spent")),
        "limit": told("limit"),
        "told": told("spent"),
        "told_by": case((audited, "audit"), (spans.c.receipt.is_not(None), "receipt")),
        # Never of one source beside the number of another.
        "delta": of_the_larger("delta"),
        "computed": of_the_larger("computed"),
    }
    return {name: column.label(name) for name, column in found.items()}


def _is_simulated(spans: CTE) -> ColumnElement[bool]:
    """Tell whether a ledger is a simulation's, also of one that is under way or has failed.

    Receipts come with a simulation's end. Before that its run says so, and of a ledger that its
    region has left since, a release with noise that only simulations have.
    """
    seeded = exists().where(
        Release.region == spans.c.region,
        Release.public_key == spans.c.public_key,
        Release.noise == _SEEDED,
    )
    return case(
        (spans.c.receipt.is_not(None), true()),
        (Run.simulated.is_not(None), Run.simulated),
        else_=seeded,
    )


def _larger(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    # SQLite and PostgreSQL call it differently, and differ in what they make of NULL.
    return case((one.is_(None), other), (other > one, other), else_=one)


def _share(spent: ColumnElement[Any], limit: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((limit > 0, spent / limit))
