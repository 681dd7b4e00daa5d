"""A part of the budgets, sorted by the database, says what all of them together say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from privacy.query import NoiseKind
from server.run_store import reading_answers
from server.run_store.opening import Store
from server.run_store.putting import put
from server.run_store.reading_budgets import ORDERS, budget_states, count_budgets
from server.run_store.schema import LIFETIME, Budget, Region
from tests.server.run_store.examples import STARTED, MadeUp

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 3, 9, tzinfo=UTC)
SPRING, WINTER = "2026-01-01/2026-04-01", "2025-10-01/2026-01-01"


def a_row(
    region: str, source: str, spent: float | None, limit: float | None = None, **others: Any
) -> dict[str, Any]:
    told = {"region": region, "public_key": f"key-{region}", "window": SPRING, "source": source}
    counted = {"spent": spent, "limit": limit, "delta": 1e-6, "releases": 3, "computed": NOW}
    return told | counted | others


ROWS = [
    a_row("counted", "releases", 1.0),
    a_row("full", "releases", 1.0),
    a_row("full", "audit", 3.0, 4.0, delta=1e-7, computed=LATER),
    a_row("full", "receipt", 2.0, 8.0),
    a_row("later", "releases", 3.5),
    a_row("later", "receipt", 3.0, 7.0),
    a_row("later", "releases", 6.0, window=LIFETIME, delta=1e-5),
    a_row("later", "receipt", 5.0, 6.5, window=LIFETIME),
    a_row("told", "audit", 0.5, 4.0),
    a_row("endless", "releases", None),
    a_row("full", "releases", 0.25, window=WINTER),
]


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write() as connection:
        for row in ROWS:
            put(connection, Budget, [row])
    return store


def test_what_is_known_is_the_more_of_what_was_counted_and_told(filled: Store) -> None:
    states = {(one.region, one.window): one for one in budget_states(filled)}
    full = states["full", SPRING]
    assert (full.spent, full.counted, full.told, full.told_by) == (3.0, 1.0, 3.0, "audit")
    # Delta and moment are of the number that is shown, not of another source's.
    assert (full.limit, full.delta, full.simulated) == (4.0, 1e-7, True)
    assert full.computed == LATER
    later = states["later", SPRING]
    assert (later.spent, later.limit, later.told_by) == (3.5, 7.0, "receipt")
    assert (later.delta, later.lifetime_delta) == (1e-6, 1e-5)
    assert (later.lifetime_spent, later.lifetime_limit) == (6.0, 6.5)
    told = states["told", SPRING]
    assert (told.spent, told.counted, told.releases, told.simulated) == (0.5, None, 0, False)
    assert told.computed == NOW
    counted = states["counted", SPRING]
    assert (counted.spent, counted.limit, counted.told, counted.told_by) == (1.0, None, None, None)
    assert states["endless", SPRING].spent is None


def test_nearest_to_any_limit_comes_first_and_unknown_last(filled: Store) -> None:
    spring = [one.region for one in budget_states(filled) if one.window == SPRING]
    # later: 6.0 of 6.5 over its life; full: 3 of 4; told: 0.5 of 4.
    assert spring == ["later", "full", "told", "counted", "endless"]
    upwards = [one.region for one in budget_states(filled, descending=False)]
    assert upwards[:3] == ["told", "full", "later"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_put_together_are_the_whole(filled: Store, order: str, descending: bool) -> None:
    rules: dict[str, Any] = {"order": order, "descending": descending}
    whole = budget_states(filled, limit=100, **rules)
    parts = [budget_states(filled, limit=2, offset=at, **rules) for at in range(0, 8, 2)]
    assert [one for part in parts for one in part] == whole
    assert len(whole) == count_budgets(filled) == 6


def test_one_region_and_one_order_that_there_is(filled: Store) -> None:
    assert [one.window for one in budget_states(filled, region="full", order="window")] == [
        SPRING,
        WINTER,
    ]
    assert count_budgets(filled, region="full") == 2
    assert budget_states(filled, region="' OR 1=1 --") == []
    assert count_budgets(filled, region="") == 0
    assert budget_states(filled, region="") == []
    with pytest.raises(ValueError, match="cannot be sorted by 'window; DROP'"):
        budget_states(filled, order="window; DROP")


def test_latest_is_the_last_window_of_the_ledger_that_answered_last(filled: Store) -> None:
    seen = {"sequence": 1, "first_seen": NOW, "last_seen": NOW, "last_run": "r", "code": None}
    with filled.write() as connection:
        put(connection, Budget, [a_row("full", "releases", 9.0, public_key="an-earlier-key")])
        put(connection, Region, [{"name": "full", "public_key": "key-full"} | seen])
    (one,) = budget_states(filled, latest=True)
    assert (one.region, one.window, one.public_key) == ("full", SPRING, "key-full")


@pytest.mark.parametrize(
    ("noise", "simulated"),
    [(NoiseKind.SEEDED, True), (NoiseKind.DISCRETE, False)],
    ids=["seeded", "discrete"],
)
def test_a_simulations_budgets_say_so_before_it_has_ended_and_after_it_failed(
    place: str, store: Store, noise: NoiseKind, simulated: bool
) -> None:
    """Receipts come with the end: what is under way must not look like real people's budgets."""
    recorder = (run := MadeUp(place, noise=noise)).recorder(beat_seconds=600)
    recorder.begin()
    run.play(2, recorder)
    assert [one.simulated for one in budget_states(store)] == [simulated] * 2
    assert [one.simulated for one in budget_states(store, latest=True)] == [simulated] * 2
    recorder.fail(ValueError("no more"))
    recorder.stop()
    with store.write() as connection:  # the region goes on with another ledger
        connection.execute(update(Region).values(public_key="another", last_run="gone"))
    assert [one.simulated for one in budget_states(store)] == [simulated] * 2


def test_releases_in_parts_are_all_of_them_in_the_same_order(place: str, store: Store) -> None:
    for name in ("spring", "summer"):  # at the same moments: ties are what is hard
        run = MadeUp(place, run=f"{name}-1", name=name, started=STARTED)
        recorder = run.recorder(beat_seconds=600)
        recorder.begin()
        run.play(5, recorder)
        recorder.stop()
    whole = [line for part in reading_answers.all_releases(store, most=100) for line in part]
    assert len(whole) == reading_answers.count_releases(store) == 20
    for at_once in (1, 3, 7):
        parts = list(reading_answers.all_releases(store, most=100, at_once=at_once))
        assert [line for part in parts for line in part] == whole
        assert max(len(part) for part in parts) <= at_once
    few = [line for part in reading_answers.all_releases(store, most=5, at_once=2) for line in part]
    assert few == whole[:5]
    north = list(reading_answers.all_releases(store, region="north", run_id="spring-1", most=100))
    assert [line.region for part in north for line in part] == ["north"] * 5
