"""What only a simulation knows of its run: figures from exact data, and its regions' own receipts.

completed Report  ->  the run's rows, as the ServerApp left them, brought up to date
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, select, update

from server.report import ReceiptPart, Report
from server.run_store.columns import name_of
from server.run_store.errors import StoreError
from server.run_store.opening import Store
from server.run_store.putting import Row, put
from server.run_store.results import figure_rows, put_report
from server.run_store.schema import LIFETIME, Budget, Release, Run
from server.run_store.spending import recompute

RECEIPT = "receipt"
"""Source of budgets that a simulated region's ledger tells."""


def record_simulation(store: Store, report: Report) -> None:
    """Write a completed report over that of the run, with what its regions' receipts say.

    Raises
    ------
    StoreError
        If the run is not in the store; nothing was written.
    StoreAwayError
        If the store cannot be written; nothing of it was changed then.
    """
    run, now = name_of(report.run.id), datetime.now(UTC)
    with store.write() as connection:
        # Its time as well: that is how pages which are open learn that the run is another one now.
        values = {"simulated": True, "updated": now}
        changed = connection.execute(update(Run).where(Run.id == run).values(**values))
        if changed.rowcount != 1:
            raise StoreError(
                f"Run {run} is not in the run store {store.place}. Its figures were not written."
            )
        put_report(connection, {"run_id": run, "text": report.to_json()}, figure_rows(report))
        budgets = _budgets(connection, run, report, now)
        put(connection, Budget, budgets)
        recompute(connection, {(row["region"], row["public_key"]) for row in budgets}, now)


def _budgets(connection: Connection, run: str, report: Report, now: datetime) -> list[Row]:
    """Return the receipts' rows: of the ledger and window that the run's releases name."""
    latest = (
        select(Release.region, Release.public_key, Release.window)
        .where(Release.run_id == run)
        .order_by(Release.round)
    )
    ledgers = {row.region: (row.public_key, row.window) for row in connection.execute(latest)}
    return [
        row
        for receipt in report.receipts
        if (ledger := ledgers.get(name_of(receipt.region)))
        for row in _rows(receipt, *ledger, report.privacy.delta, now)
    ]


def _rows(receipt: ReceiptPart, key: str, window: str, delta: float, now: datetime) -> list[Row]:
    common = {
        "region": name_of(receipt.region),
        "public_key": key,
        "source": RECEIPT,
        "delta": delta,
        "releases": receipt.releases,
        "computed": now,
    }
    of_window = {"spent": receipt.spent_epsilon, "limit": receipt.limit_epsilon}
    ever = {"spent": receipt.lifetime_epsilon, "limit": receipt.lifetime_limit}
    return [common | of_window | {"window": window}, common | ever | {"window": LIFETIME}]
