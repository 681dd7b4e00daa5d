"""From events to one vector each: decayed, before the moment, of unit norm."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from client.interest_profile import InterestProfiles, build_profiles
from tests.client.examples import usable

ITEMS = ("bread", "milk", "tea", "soap")
VECTORS = np.eye(4, 3, dtype=np.float32) + 0.1
AS_OF = datetime.fromisoformat("2017-12-01T00:00:00+00:00")


def build(events: pd.DataFrame, half_life_days: float = 30.0) -> InterestProfiles:
    return build_profiles(events, ITEMS, VECTORS, as_of=AS_OF, half_life_days=half_life_days)


def ago(days: float) -> str:
    return (AS_OF - timedelta(days=days)).isoformat()


def random_events(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    triples = [
        (f"user-{rng.integers(5)}", ITEMS[rng.integers(4)], ago(rng.uniform(-20, 200)))
        for _ in range(n)
    ]
    return usable(triples).assign(value=rng.uniform(0.1, 5, size=n))


def oracle(events: pd.DataFrame, half_life_days: float) -> dict[str, list[float]]:
    """Add up decayed item vectors user by user, event by event."""
    sums: dict[str, list[float]] = {}
    for event in events.to_dict("records"):
        age = (AS_OF - event["timestamp"].to_pydatetime()).total_seconds() / 86400
        if age <= 0:
            continue
        weight = event["value"] * 2 ** (-age / half_life_days)
        total = sums.setdefault(event["user_id"], [0.0] * 3)
        for dimension, entry in enumerate(VECTORS[ITEMS.index(event["item_id"])].tolist()):
            total[dimension] += weight * entry
    return {
        user: [entry / math.hypot(*total) for entry in total]
        for user, total in sorted(sums.items())
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("half_life_days", [3.0, 90.0])
def test_vectors_are_the_sum_of_decayed_item_vectors(seed: int, half_life_days: float) -> None:
    events = random_events(seed)
    profiles = build(events, half_life_days)
    expected = oracle(events, half_life_days)
    assert profiles.user_ids == tuple(expected)
    np.testing.assert_allclose(profiles.vectors, list(expected.values()), atol=1e-6)
    assert profiles.vectors.dtype == np.float32


def test_an_event_counts_exactly_half_after_each_half_life() -> None:
    events = usable([("anna", item, ago(30.0 * n)) for n, item in enumerate(ITEMS) if n])
    assert build(events).counts.toarray().tolist() == [[0.0, 0.5, 0.25, 0.125]]


def test_value_multiplies_and_repeated_events_add_up() -> None:
    events = usable([("anna", "milk", ago(30.0))] * 3, value=4.0)
    assert build(events).counts[0, 1] == 3 * 4 * 0.5


def test_events_from_the_moment_on_do_not_matter() -> None:
    events = random_events(7)
    past = events[events.timestamp < AS_OF]
    one, other = build(events), build(past)
    assert len(past) < len(events)
    assert one.user_ids == other.user_ids
    np.testing.assert_array_equal(one.vectors, other.vectors)
    assert build(usable([("anna", "milk", ago(0.0)), ("bert", "tea", ago(-1.0))])).user_ids == ()


@pytest.mark.parametrize("value", [1e-30, 1.0, 1e300])
@pytest.mark.parametrize("age", [0.001, 400.0])
def test_every_vector_has_unit_norm_however_much_or_little_was_done(
    value: float, age: float
) -> None:
    events = usable([("anna", "milk", ago(age)), ("anna", "tea", ago(age + 1))], value=value)
    profiles = build(events, half_life_days=7.0)
    np.testing.assert_allclose(np.linalg.norm(profiles.vectors, axis=1), 1.0, atol=1e-6)


def test_last_days_is_the_age_of_the_latest_event_on_an_item() -> None:
    events = usable(
        [("anna", "milk", ago(9.0)), ("anna", "milk", ago(2.5)), ("bert", "tea", ago(4))]
    )
    last = build(events).last_days
    assert last.nnz == 2
    assert (last[0, 1], last[1, 2]) == (2.5, 4.0)


def test_habits_count_days_not_events() -> None:
    ages = [1.2, 1.8, 3.5]  # two of them on one day
    events = usable([("anna", "milk", ago(age)) for age in ages])
    expected = 0.5 ** (1 / 120) + 0.5 ** (3 / 120)
    assert build(events).habits[0, 1] == pytest.approx(expected)


@pytest.mark.parametrize("triples", [[], [("anna", "milk", ago(-1.0))]], ids=["none", "later"])
def test_a_region_without_events_has_no_users_and_keeps_its_dimensions(
    triples: list[tuple[str, str, str]],
) -> None:
    profiles = build(usable(triples))
    arrays: list[npt.NDArray[np.float64]] = [
        profiles.counts.toarray(),
        profiles.last_days.toarray(),
        profiles.habits.toarray(),
    ]
    assert profiles.vectors.shape == (0, 3)
    assert [array.shape for array in arrays] == [(0, 4)] * 3


@pytest.mark.parametrize("extra", [[], [("x", "milk", ago(3)), ("x", "bread", ago(2))]])
def test_one_user_does_not_change_another_in_the_last_bit(
    extra: list[tuple[str, str, str]],
) -> None:
    """Opposite vectors cancel only if rounding is the same, whoever else is there."""
    amounts = [2.0**54] + [1.0] * 19 + [2.0**54]
    events = [("anna", "bread", ago(1))] * 20 + [("anna", "milk", ago(1))]
    table = usable([*events, *extra])
    table["value"] = amounts + [1.0] * len(extra)
    opposite = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    alone = usable(events).assign(value=amounts)
    profiles, expected = (
        build_profiles(one, ITEMS, opposite, as_of=AS_OF, half_life_days=36500.0)
        for one in (table, alone)
    )
    assert profiles.vectors[0].tobytes() == expected.vectors[0].tobytes()
    assert profiles.counts[0].toarray().tobytes() == expected.counts[0].toarray().tobytes()


@pytest.mark.parametrize("seed", range(5))
def test_users_are_the_same_to_the_last_bit_with_or_without_others(seed: int) -> None:
    events = random_events(seed, n=300)
    together = build(events)
    for number, user in enumerate(together.user_ids):
        alone = build(events[events.user_id == user])
        for name in ("counts", "habits", "last_days"):
            row = getattr(together, name)[number].toarray()
            assert row.tobytes() == getattr(alone, name)[0].toarray().tobytes()
        assert together.vectors[number].tobytes() == alone.vectors[0].tobytes()
