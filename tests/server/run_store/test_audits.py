"""What audits tell of ledgers in a store: never less than was told before, and never forgotten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from privacy.accountant import GaussianEvent, epsilon_of
from privacy.audit.auditing import audit
from privacy.audit.document import present_setting
from privacy.door import Door
from privacy.ledger import Ledger
from privacy.query import NoiseKind
from privacy.release import Release
from server.run_store.audits import record_audit
from server.run_store.opening import Store
from server.run_store.putting import put
from server.run_store.reading_budgets import budget_states
from server.run_store.reading_regions import audits_that_stand_failed
from server.run_store.schema import AuditedLedger, Spending
from server.run_store.spending import recompute
from tests.privacy.audit.runs import PEOPLE, a_run
from tests.privacy.examples import SetClock, a_noise, a_policy, a_query, giving
from tests.server.run_store.examples import STARTED


def look_at(store: Store, folder: Path) -> str:
    return record_audit(store, audit([folder]), present_setting(), paths=[folder])


def release_again(folder: Path, region: str) -> Release:
    ledger = Ledger(
        folder / f"{region}.sqlite", a_policy(region=region), clock=SetClock(), simulated=True
    )
    query = a_query(round_number=2, nonce="another")
    answer = Door(ledger, a_noise(NoiseKind.DISCRETE)).answer(query, giving(PEOPLE))
    assert isinstance(answer, Release)
    return answer


def test_an_older_copy_of_a_ledger_that_is_audited_later_takes_nothing_back(
    store: Store, tmp_path: Path
) -> None:
    a_run(tmp_path, ("east",))
    shutil.copytree(tmp_path / "ledgers", tmp_path / "copy")
    release_again(tmp_path / "ledgers", "east")
    look_at(store, tmp_path / "ledgers")
    (before,) = budget_states(store)
    latest = look_at(store, tmp_path / "copy")
    (after,) = budget_states(store)
    assert after == before
    assert after.spent is not None
    assert after.spent > 0
    assert audits_that_stand_failed(store) == []
    failed = update(AuditedLedger).values(verdict="FAIL")
    with store.write() as connection:
        connection.execute(failed.where(AuditedLedger.audit_id != latest))
    assert audits_that_stand_failed(store) == []  # it was looked at again since
    with store.write() as connection:
        connection.execute(failed)
    assert audits_that_stand_failed(store) == [latest]


def test_what_was_counted_is_told_at_the_audited_ledgers_delta(
    store: Store, tmp_path: Path
) -> None:
    (head,) = a_run(tmp_path, ("east",))
    account = ("east", head.public_key)
    event = {"sensitivity": 2.0, "sigma": 4.0, "step": 0.0}
    names = {"region": "east", "public_key": head.public_key, "window": "2020-01-01/2020-02-01"}
    with store.write() as connection:
        put(connection, Spending, [names | event | {"releases": 400}])
        recompute(connection, [account], STARTED, delta=1e-3)
    (counted,) = budget_states(store)
    mu = GaussianEvent(**event).mu * 20
    assert counted.delta == 1e-3
    assert counted.spent == pytest.approx(epsilon_of(mu, 1e-3))
    look_at(store, tmp_path / "ledgers")
    told = {one.window: one for one in budget_states(store)}
    assert {one.delta for one in told.values()} == {1e-6}
    assert told[names["window"]].spent == pytest.approx(epsilon_of(mu, 1e-6), rel=1e-9)
    assert {one.lifetime_spent for one in told.values()} == {told[names["window"]].spent}
