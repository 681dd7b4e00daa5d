"""A release is charged against the window and against the lifetime, and neither limit is passed."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accountant import Adjacency, GaussianEvent, Unit, epsilon_of
from privacy.budget import check_budget, spending, spent_by
from privacy.errors import RefusalError
from privacy.policy import Policy
from privacy.query import LEAST_NOISE
from privacy.release import Refusal, Release
from tests.privacy.examples import SetClock, a_door, a_ledger, a_policy, a_query, giving, users

USUAL = GaussianEvent(1.0, 2.0, 2.0**-24)
"""One release; its mu is 0.5 and a hair."""
Events = list[GaussianEvent]


def epsilon_of_many(n: int, *, delta: float = 1e-6, changes: int = 1) -> float:
    return epsilon_of(changes * math.sqrt(n) * USUAL.mu, delta)


def reason(
    policy: Policy, in_window: Events, ever: Events, event: GaussianEvent = USUAL
) -> str | None:
    """Return why one more release is refused, if it is."""
    try:
        check_budget(policy, in_window, ever, event, "2026")
    except RefusalError as error:
        return error.reason
    return None


def test_a_limit_may_be_reached_but_not_passed() -> None:
    limit = epsilon_of_many(4)
    assert reason(a_policy(epsilon=limit), [USUAL] * 3, [USUAL] * 3) is None
    below = a_policy(epsilon=math.nextafter(limit, 0))
    assert reason(below, [USUAL] * 3, [USUAL] * 3) == "budget-exhausted"


def test_the_lifetimes_limit_may_be_reached_but_not_passed() -> None:
    limit = epsilon_of_many(4)
    assert reason(a_policy(epsilon=1.0, lifetime_epsilon=10.0), [], [USUAL] * 3) == (
        "budget-exhausted"
    )
    rules = {"epsilon": epsilon_of_many(1)}
    assert reason(a_policy(lifetime_epsilon=limit, **rules), [], [USUAL] * 3) is None
    below = a_policy(lifetime_epsilon=math.nextafter(limit, 0), **rules)
    assert reason(below, [], [USUAL] * 3) == "lifetime-exhausted"


@given(
    in_window=st.integers(0, 30),
    before=st.integers(0, 30),
    epsilon=st.floats(0.1, 20),
    factor=st.floats(1, 3),
    adjacency=st.sampled_from(Adjacency),
    deltas=st.tuples(st.sampled_from([1e-9, 1e-6]), st.sampled_from([1e-8, 1e-5])),
)
def test_a_release_is_allowed_exactly_if_both_limits_hold_after_it(
    in_window: int,
    before: int,
    epsilon: float,
    factor: float,
    adjacency: Adjacency,
    deltas: tuple[float, float],
) -> None:
    policy = a_policy(
        epsilon=epsilon,
        lifetime_epsilon=epsilon * factor,
        adjacency=adjacency,
        delta=deltas[0],
        lifetime_delta=deltas[1],
    )
    changes = 1 if adjacency is Adjacency.ADD_OR_REMOVE_ONE else 2
    window = epsilon_of_many(in_window + 1, delta=deltas[0], changes=changes)
    lifetime = epsilon_of_many(before + in_window + 1, delta=deltas[1], changes=changes)
    expected = None
    if lifetime > epsilon * factor:
        expected = "lifetime-exhausted"
    if window > epsilon:
        expected = "budget-exhausted"
    events = [USUAL] * in_window
    assert reason(policy, events, events + [USUAL] * before) == expected


def test_the_least_noise_that_can_be_asked_for_has_a_price() -> None:
    query = a_query(sigma=LEAST_NOISE)
    events = [GaussianEvent(query.sensitivity, query.sigma, query.step)] * 100
    price = epsilon_of(10 * 2**16, 1e-6)
    just, short = (
        a_policy(epsilon=price * factor, lifetime_epsilon=1e300) for factor in (1.001, 0.999)
    )
    assert reason(just, events[1:], events[1:], events[0]) is None
    assert reason(short, events[1:], events[1:], events[0]) == "budget-exhausted"


def test_the_sentence_has_both_figures_the_limit_the_window_and_delta() -> None:
    with pytest.raises(RefusalError) as caught:
        check_budget(a_policy(epsilon=2.5), [USUAL], [USUAL], USUAL, "2026-01-01/2026-04-01")
    assert caught.value.sentence == (
        f"This release would raise epsilon from {epsilon_of_many(1):.4f} to "
        f"{epsilon_of_many(2):.4f}, over the limit of 2.5 for window 2026-01-01/2026-04-01 "
        "(delta 1e-06). Nothing was sent."
    )


def test_the_lifetimes_sentence_has_the_lifetimes_figures() -> None:
    policy = a_policy(epsilon=2.3, lifetime_epsilon=4.5, lifetime_delta=1e-7)
    with pytest.raises(RefusalError) as caught:
        check_budget(policy, [], [USUAL] * 3, USUAL, "2026")
    assert caught.value.sentence == (
        f"This release would raise epsilon from {epsilon_of_many(3, delta=1e-7):.4f} to "
        f"{epsilon_of_many(4, delta=1e-7):.4f}, over the limit of 4.5 for the life of the ledger "
        "(delta 1e-07). Nothing was sent."
    )


def test_spending_says_what_it_is_about() -> None:
    policy = a_policy(adjacency=Adjacency.REPLACE_ONE, delta=1e-7, lifetime_delta=1e-5)
    spent = spending(policy, [USUAL], [USUAL] * 3)
    assert (spent.window.delta, spent.lifetime.delta) == (1e-7, 1e-5)
    for loss, n in ((spent.window, 1), (spent.lifetime, 3)):
        assert loss.unit is Unit.USER
        assert loss.adjacency is Adjacency.REPLACE_ONE
        assert loss.epsilon == pytest.approx(epsilon_of_many(n, delta=loss.delta, changes=2))


def test_nothing_is_spent_where_nothing_was_released(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    spent = spent_by(ledger.policy, ledger.account())
    assert (spent.window.epsilon, spent.lifetime.epsilon) == (0.0, 0.0)


def ask(door: Any, number: int, run: str = "run-1") -> str | None:
    query = a_query(run=run, round_number=number)
    answer = door.answer(query, giving({"sums": users([[1.0, 0.0]])}))
    assert isinstance(answer, Release | Refusal)
    return answer.reason if isinstance(answer, Refusal) else None


def test_a_new_window_renews_its_budget_but_not_the_lifetimes(tmp_path: Path) -> None:
    clock = SetClock()
    door = a_door(
        tmp_path,
        clock=clock,
        epsilon=epsilon_of_many(2) * 1.001,
        lifetime_epsilon=epsilon_of_many(5) * 1.001,
    )
    found = []
    for window in range(4):
        found += [ask(door, 3 * window + number) for number in (1, 2, 3)]
        spent = spent_by(door.policy, door.ledger.account())
        entries = min(2 * window + 2, 5)
        in_window = entries - 2 * window
        if in_window > 0:
            assert spent.window.epsilon == pytest.approx(epsilon_of_many(in_window))
        assert spent.lifetime.epsilon == pytest.approx(epsilon_of_many(entries))
        clock.pass_days(10)
    over, ever = "budget-exhausted", "lifetime-exhausted"
    assert found == [None, None, over, None, None, over, None, ever, ever, ever, ever, ever]


def test_what_failed_stays_charged(tmp_path: Path) -> None:
    door = a_door(tmp_path, epsilon=epsilon_of_many(2) * 1.001)
    with pytest.raises(ZeroDivisionError):
        door.answer(a_query(round_number=1), lambda window: 1 / 0)  # type: ignore[arg-type, return-value]
    assert [ask(door, number) for number in (2, 3)] == [None, "budget-exhausted"]


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(1, 50)), max_size=12))
@settings(max_examples=30)
def test_order_of_releases_does_not_matter(pairs: list[tuple[float, float]]) -> None:
    events = [GaussianEvent(sensitivity, sigma) for sensitivity, sigma in pairs]
    policy = a_policy()
    assert spending(policy, events, events) == spending(policy, events[::-1], events[::-1])


def test_a_thousand_releases_are_checked_in_ten_milliseconds() -> None:
    policy = a_policy(epsilon=50.0)
    events = [GaussianEvent(1.0, 50.0 + number / 10, 2.0**-24) for number in range(1000)]
    times = []
    for _ in range(20):
        start = time.perf_counter()
        check_budget(policy, events, events, USUAL, "2026")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01  # the least of them: other programs run here too
