"""What regions have spent: the accountant's figure, over all runs, and never forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from privacy.accountant import Adjacency, GaussianEvent, Unit, privacy_loss
from privacy.query import NoiseKind
from server.run_store import reading, reading_answers
from server.run_store.errors import StoreError
from server.run_store.opening import Store
from server.run_store.putting import put
from server.run_store.reading_budgets import budget_states
from server.run_store.region_records import BudgetState
from server.run_store.retention import prune
from server.run_store.schema import LIFETIME, Budget
from server.run_store.spending import recompute
from tests.server.run_store.examples import REGIONS, STARTED, STEP, WINDOW, MadeUp

LATER = "2026-04-01/2026-07-01"


def played(place: str, rounds: int, *, window: str = WINDOW, **told: object) -> MadeUp:
    """Record a run of so many rounds, left as it is."""
    made_up = MadeUp(place, **told)  # type: ignore[arg-type]
    recorder = made_up.recorder(beat_seconds=60)
    recorder.begin()
    for _ in range(rounds):
        made_up.ask()
        recorder.keep()
        made_up.answer(*REGIONS, window=window)
        recorder.keep()
    if rounds == 13:
        recorder.complete(made_up.report())
    recorder.stop()
    return made_up


def cost(*runs: MadeUp, delta: float = 1e-6) -> float:
    """Return epsilon of all releases of one region, release by release."""
    events = [
        GaussianEvent(record.sensitivity, record.sigma, answer.step)
        for run in runs
        for record in run.strategy.history
        for answer in record.answers[:1]
    ]
    return privacy_loss(
        events, delta=delta, unit=Unit.USER, adjacency=Adjacency.ADD_OR_REMOVE_ONE
    ).epsilon


def north(store: Store) -> dict[str, BudgetState]:
    return {line.window: line for line in budget_states(store, region="north")}


def test_budgets_are_the_accountants_over_all_runs(place: str, store: Store) -> None:
    first = played(place, 13)
    assert north(store)[WINDOW].spent == pytest.approx(cost(first), rel=1e-12)
    second = played(place, 5, run="spring-2", started=STARTED + timedelta(days=7))
    third = played(place, 13, run="summer-1", window=LATER)
    spent = north(store)
    assert spent[WINDOW].spent == pytest.approx(cost(first, second), rel=1e-12)
    assert spent[LATER].spent == pytest.approx(cost(third), rel=1e-12)
    assert spent[WINDOW].lifetime_spent == pytest.approx(cost(first, second, third), rel=1e-12)
    assert [spent[window].releases for window in (WINDOW, LATER)] == [18, 13]
    assert spent[WINDOW].limit is None


def test_spending_is_told_at_the_ledgers_own_delta_once_that_is_known(
    place: str, store: Store
) -> None:
    """Beside a limit at a smaller delta, the run's own epsilon would look like less."""
    first = played(place, 3, delta=1e-3)
    (south,) = budget_states(store, region="south")
    assert {one.delta for one in budget_states(store)} == {1e-3}
    told = {"region": "south", "public_key": south.public_key, "source": "audit", "limit": 9.0}
    row = told | {"spent": 0.1, "releases": 1, "computed": STARTED}
    with store.write() as connection:
        put(connection, Budget, [row | {"window": WINDOW, "delta": 1e-6}])
        put(connection, Budget, [row | {"window": LIFETIME, "delta": 1e-9}])
        recompute(connection, [("south", south.public_key)], STARTED)
    second = played(place, 2, run="spring-2", delta=1e-3)
    (known,) = budget_states(store, region="south")
    assert (known.delta, known.lifetime_delta) == (1e-6, 1e-9)
    assert known.spent == pytest.approx(cost(first, second, delta=1e-6), rel=1e-12)
    assert known.lifetime_spent == pytest.approx(cost(first, second, delta=1e-9), rel=1e-12)
    (other,) = budget_states(store, region="north")
    assert (other.delta, other.lifetime_delta) == (1e-3, 1e-3)


@pytest.mark.parametrize("noise", list(NoiseKind), ids=lambda noise: noise.value)
def test_noise_on_a_lattice_is_charged_as_the_regions_charge_it(
    place: str, store: Store, noise: NoiseKind
) -> None:
    run = played(place, 3, noise=noise)
    steps = {answer.step for record in run.strategy.history for answer in record.answers}
    assert steps == ({STEP} if noise is NoiseKind.DISCRETE else {0.0})
    assert north(store)[WINDOW].spent == pytest.approx(cost(run), rel=1e-12)


def test_what_was_pruned_stays_spent(place: str, store: Store) -> None:
    for number in range(4):
        played(place, 13, run=f"spring-{number}", started=STARTED + timedelta(days=30 * number))
    before = budget_states(store)
    now = STARTED + timedelta(days=100)
    found = prune(store, keep_days=50, keep_runs=3, now=now)
    assert (found.runs, found.releases) == (1, 2 * 13 * 2)
    assert [run.id for run in reading.runs(store)] == ["spring-3", "spring-2", "spring-1"]
    assert {line.run_id for line in reading_answers.releases(store)} == {"spring-2", "spring-3"}
    assert reading.cluster_map(store, "spring-0") is None
    assert reading.cluster_map(store, "spring-1") is not None
    assert budget_states(store) == before
    played(place, 13, run="spring-9", started=now)
    assert north(store)[WINDOW].releases == 5 * 13
    assert prune(store, keep_days=50, keep_runs=3, now=now).runs == 1


def test_a_run_under_way_is_not_pruned(place: str, store: Store) -> None:
    played(place, 2)
    played(place, 2, run="spring-2", started=STARTED + timedelta(days=1))
    updated = max(run.updated for run in reading.runs(store))
    assert prune(store, keep_days=1, keep_runs=1, now=updated).releases == 0
    late = updated + timedelta(hours=1)
    assert prune(store, keep_days=1, keep_runs=1, now=late).runs == 1


@pytest.mark.parametrize(("days", "runs"), [(0, 5), (-1, 5), (5, 0), (float("nan"), 5)])
def test_nothing_is_pruned_by_numbers_out_of_range(
    place: str, store: Store, days: float, runs: int
) -> None:
    played(place, 1)
    with pytest.raises(StoreError, match="Nothing was taken out"):
        prune(store, keep_days=days, keep_runs=runs)
    assert len(reading_answers.releases(store)) == 2
