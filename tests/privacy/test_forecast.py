"""What a plan is said to cost is what a real door then charges, release by release."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accountant import Adjacency, epsilon_of
from privacy.budget import Spending, spending
from privacy.door import Door
from privacy.forecast import ForecastLine, PlannedRelease, forecast
from privacy.query import NoiseKind, SumQuery, TrustModel
from privacy.records import Account
from privacy.release import Refusal
from privacy.renewal import CLOCK_TOLERANCE
from privacy.window import Renewal
from tests.privacy.examples import (
    NOW,
    SetClock,
    a_block,
    a_door,
    a_policy,
    a_query,
    giving,
    users,
)

Plan = Sequence[PlannedRelease]
MU = 0.5
"""Of one release as :func:`a_plan` has them."""


def a_plan(*multipliers: float, kind: str = "cell-sums") -> list[PlannedRelease]:
    return [PlannedRelease(f"phase-{i}", kind, z) for i, z in enumerate(multipliers or (1 / MU,))]


def query_of(
    release: PlannedRelease,
    number: int,
    *,
    run: str = "run-1",
    trust_model: TrustModel = TrustModel.LOCAL,
    participants: int = 1,
    norms: Sequence[float] = (0.6, 0.8),
) -> SumQuery:
    """Ask what was planned, with two blocks and the sigma that belongs to them."""
    blocks = [a_block(f"block-{i}", clipping_norm=norm) for i, norm in enumerate(norms)]
    sensitivity = a_query(*blocks).sensitivity
    return a_query(
        *blocks,
        sigma=release.noise_multiplier * sensitivity,
        trust_model=trust_model,
        run=run,
        round_number=number,
        purpose=release.purpose,
        kind=release.kind,
        participants=participants,
    )


@dataclass(frozen=True)
class Happened:
    """What a door did with one release: why it refused, if it did, and the loss after it."""

    reason: str | None
    spending: Spending


def answered(door: Door, plan: Plan, **more: Any) -> list[Happened]:
    found = []
    for number, release in enumerate(plan, start=1):
        query = query_of(release, number, **more)
        answer = door.answer(query, giving({b.name: users([[1.0, 0.0]]) for b in query.blocks}))
        reason = answer.reason if isinstance(answer, Refusal) else None
        found.append(Happened(reason, spent_now(door)))
    return found


def spent_now(door: Door) -> Spending:
    """Add up what the door's ledger has for the window of this moment, and for all."""
    account = door.ledger.account()
    name = door.policy.window.at(door.ledger.clock()).name
    return spending(door.policy, account.events(name), account.events())


def foretold(door: Door, plan: Plan, *, account: Account | None, **more: Any) -> list[ForecastLine]:
    rest: dict[str, Any] = {"trust_model": TrustModel.LOCAL, "participants": 1} | more
    now = door.ledger.clock()
    return forecast(door.policy, account, plan, noise=door.noise.kind, now=now, **rest)


def assert_agrees(lines: Sequence[ForecastLine], happened: Sequence[Happened]) -> None:
    reasons = [line.refusal.reason if line.refusal else None for line in lines]
    assert reasons == [one.reason for one in happened]
    for line, one in zip(lines, happened, strict=True):
        for told, true in (
            (line.spending.window, one.spending.window),
            (line.spending.lifetime, one.spending.lifetime),
        ):
            assert told.epsilon == pytest.approx(true.epsilon, rel=1e-9, abs=1e-9)
            assert (told.delta, told.unit, told.adjacency) == (
                true.delta,
                true.unit,
                true.adjacency,
            )


def check(
    door: Door, plan: Plan, *, new: bool = False, run: str = "run-1", **more: Any
) -> list[str | None]:
    """Compare forecast and door over a plan, and return why releases were refused."""
    lines = foretold(door, plan, account=None if new else door.ledger.account(), **more)
    happened = answered(door, plan, run=run, **more)
    assert_agrees(lines, happened)
    return [one.reason for one in happened]


def epsilon_of_many(n: int) -> float:
    return epsilon_of(math.sqrt(n) * MU, 1e-6)


def spend(door: Door, n: int, run: str) -> None:
    for one in answered(door, a_plan(*[1 / MU] * n), run=run):
        assert one.reason is None


@pytest.mark.parametrize("noise", NoiseKind)
@pytest.mark.parametrize("new", [True, False], ids=["no ledger", "empty ledger"])
def test_forecast_for_a_new_ledger_is_what_happens(
    tmp_path: Path, noise: NoiseKind, new: bool
) -> None:
    door = a_door(tmp_path, noise=noise, epsilon=epsilon_of_many(2) * 1.001)
    plan = a_plan(2.0, 8.0, 2.5, 2.0, 20.0)
    assert check(door, plan, new=new) == [None, None, None, "budget-exhausted", None]


def test_forecast_for_a_half_spent_ledger_is_what_happens(tmp_path: Path) -> None:
    door = a_door(tmp_path, epsilon=epsilon_of_many(4) * 1.001)
    spend(door, 2, "earlier")
    over = "budget-exhausted"
    assert check(door, a_plan(2.0, 2.0, 2.0, 2.0)) == [None, None, over, over]


def test_what_is_refused_costs_nothing_and_what_is_smaller_may_still_fit(tmp_path: Path) -> None:
    door = a_door(tmp_path, epsilon=epsilon_of_many(2) * 1.001)
    spend(door, 1, "earlier")
    assert check(door, a_plan(1.0, 2.0, 1.0)) == ["budget-exhausted", None, "budget-exhausted"]


def test_forecast_knows_the_lifetimes_limit_and_the_new_window(tmp_path: Path) -> None:
    clock = SetClock()
    window, lifetime = epsilon_of_many(3) * 1.001, epsilon_of_many(5) * 1.001
    door = a_door(tmp_path, clock=clock, epsilon=window, lifetime_epsilon=lifetime)
    over, ever = "budget-exhausted", "lifetime-exhausted"
    assert check(door, a_plan(*[2.0] * 4), run="run-1") == [None, None, None, over]
    clock.pass_days(10)
    assert check(door, a_plan(*[2.0] * 3), run="run-2") == [None, None, ever]
    clock.pass_days(10)
    assert check(door, a_plan(2.0), run="run-3") == [ever]


def test_a_window_that_was_opened_under_other_rules_goes_on(tmp_path: Path) -> None:
    clock = SetClock()
    before = a_door(tmp_path, clock=clock, epsilon=epsilon_of_many(2) * 1.001)
    spend(before, 2, "earlier")
    clock.pass_days(2)
    after = a_door(tmp_path, clock=clock, epsilon=before.policy.budget.epsilon, start=NOW, days=1)
    lines = foretold(after, a_plan(2.0), account=after.ledger.account())
    happened = answered(after, a_plan(2.0))
    assert happened[0].reason == "budget-exhausted"
    assert [line.refusal and line.refusal.reason for line in lines] == ["budget-exhausted"]


RULES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "question": ({"questions": {"item-weights"}}, {}, "question-not-allowed"),
    "noise": ({"noise_kinds": {NoiseKind.DISCRETE}}, {}, "noise-kind-not-allowed"),
    "trust": ({}, {"trust_model": TrustModel.CENTRAL}, "trust-model-not-allowed"),
    "alone": ({"fewest_participants": 3}, {"participants": 2}, "too-few-participants"),
    "multiplier": ({"least_noise_multiplier": 2.1}, {}, "too-little-noise"),
}


@pytest.mark.parametrize("name", RULES)
def test_forecast_knows_the_rules(tmp_path: Path, name: str) -> None:
    rules, request, reason = RULES[name]
    assert check(a_door(tmp_path, **rules), a_plan(2.0, 2.0), **request) == [reason] * 2


def test_forecast_for_a_trusted_server_is_what_happens(tmp_path: Path) -> None:
    central = TrustModel.CENTRAL
    door = a_door(tmp_path, trust_models={central}, epsilon=epsilon_of_many(1) * 1.001)
    assert check(door, a_plan(2.0, 2.0), trust_model=central) == [None, "budget-exhausted"]


def test_forecast_counts_the_releases_of_a_run(tmp_path: Path) -> None:
    door = a_door(tmp_path, most_releases_per_run=2, epsilon=epsilon_of_many(4) * 1.001)
    spend(door, 2, "earlier")
    assert check(door, a_plan(2.0, 2.0, 2.0)) == [None, None, "too-many-releases"]


def test_a_release_at_the_least_noise_that_is_allowed_is_not_said_to_be_refused() -> None:
    for tenths in range(10, 200):
        multiplier = tenths / 10
        policy = a_policy(least_noise_multiplier=multiplier)
        query = query_of(a_plan(multiplier)[0], 1, norms=(1.0,))
        policy.check(query, noise=NoiseKind.SEEDED, code="")  # the door would answer
        (line,) = forecast(
            policy,
            None,
            a_plan(multiplier),
            trust_model=TrustModel.LOCAL,
            noise=NoiseKind.SEEDED,
            participants=1,
            now=NOW,
        )
        assert line.refusal is None, multiplier


def test_forecast_knows_that_the_first_window_has_not_begun(tmp_path: Path) -> None:
    door = a_door(tmp_path, start=NOW + timedelta(days=1))
    assert check(door, a_plan(2.0), new=True) == ["window-not-begun"]


@pytest.mark.parametrize("renewal", Renewal)
def test_forecast_knows_whether_a_window_is_renewed(tmp_path: Path, renewal: Renewal) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock, renewal=renewal)
    spend(door, 1, "earlier")
    clock.pass_days(10)
    expected = None if renewal is Renewal.AUTOMATIC else "window-over"
    assert check(door, a_plan(2.0)) == [expected]


def test_a_renewed_window_is_forecast_as_it_is_answered(tmp_path: Path) -> None:
    clock = SetClock()
    limit = epsilon_of_many(1) * 1.001
    door = a_door(tmp_path, clock=clock, renewal=Renewal.BY_OPERATOR, epsilon=limit)
    spend(door, 1, "earlier")
    clock.pass_days(10)
    door.ledger.renew()
    assert check(door, a_plan(2.0, 2.0)) == [None, "budget-exhausted"]


def test_forecast_knows_that_the_clock_went_back(tmp_path: Path) -> None:
    clock = SetClock()
    door = a_door(tmp_path, clock=clock)
    spend(door, 1, "earlier")
    account = door.ledger.account()
    clock.now -= 2 * CLOCK_TOLERANCE
    lines = foretold(door, a_plan(2.0), account=account)
    query = query_of(a_plan(2.0)[0], 1)
    answer = door.answer(query, giving({b.name: users([]) for b in query.blocks}))
    assert isinstance(answer, Refusal)
    assert answer.reason == "clock-went-back"
    assert [line.refusal and line.refusal.reason for line in lines] == ["clock-went-back"]


@given(
    multipliers=st.lists(st.floats(0.8, 12), min_size=1, max_size=5),
    earlier=st.integers(0, 2),
    this_window=st.integers(0, 2),
    limits=st.tuples(st.floats(0.5, 8), st.floats(1, 2)),
    adjacency=st.sampled_from(Adjacency),
    noise=st.sampled_from([NoiseKind.FLOAT, NoiseKind.SEEDED, NoiseKind.DISCRETE]),
    norms=st.lists(st.floats(1e-3, 2), min_size=1, max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_any_plan_at_any_ledger_over_two_windows_happens_as_forecast(
    multipliers: list[float],
    earlier: int,
    this_window: int,
    limits: tuple[float, float],
    adjacency: Adjacency,
    noise: NoiseKind,
    norms: list[float],
) -> None:
    clock = SetClock()
    rules: dict[str, Any] = {"epsilon": limits[0], "lifetime_epsilon": limits[0] * limits[1]}
    rules |= {"clock": clock, "noise": noise, "adjacency": adjacency}
    with tempfile.TemporaryDirectory() as folder:
        door = a_door(Path(folder), **rules)
        answered(door, a_plan(6.0) * earlier, run="earlier")
        clock.pass_days(10)
        answered(door, a_plan(6.0) * this_window, run="today")
        plan = a_plan(*multipliers)
        lines = foretold(door, plan, account=door.ledger.account())
        assert_agrees(lines, answered(door, plan, norms=norms))


def test_forecast_changes_nothing(tmp_path: Path) -> None:
    door = a_door(tmp_path)
    spend(door, 1, "earlier")
    before = door.ledger.account()
    first = foretold(door, a_plan(2.0, 2.0), account=before)
    assert foretold(door, a_plan(2.0, 2.0), account=before) == first
    assert door.ledger.account() == before


def test_a_plan_without_releases_costs_nothing(tmp_path: Path) -> None:
    assert foretold(a_door(tmp_path), [], account=None) == []
