"""An intact door passes, whatever its noise; what the checks say of it holds."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import numpy as np
import pytest

import privacy.door
import privacy.ledger
from privacy.audit.check import Check, CheckKind
from privacy.audit.experiment import (
    FALSE_ALARMS,
    QUICK,
    SHARE,
    STATISTICAL_CHECKS,
    examine,
    examine_exactly,
    examine_noise,
)
from privacy.audit.noise_tests import (
    entries_are_independent,
    every_entry_has_noise,
    noise_is_used_once,
    size_is_promised,
)
from privacy.errors import RefusalError
from privacy.query import NoiseKind

EXACT = {
    "sensitivity-of-sums-and-counts",
    "sensitivity-of-moments",
    "order",
    "answers-tell-only-their-sums",
    "ledger",
    "budget",
}
STATISTICAL = {
    "mu-of-sums-and-counts",
    "mu-of-moments",
    "noise-size",
    "noise-in-every-entry",
    "noise-between-entries",
    "noise-used-once",
    "epsilon-of-canaries",
}


@pytest.fixture(scope="module", params=list(NoiseKind))
def checks(request: pytest.FixtureRequest) -> list[Check]:
    return examine(request.param, effort=QUICK)


def test_an_intact_door_passes_every_check(checks: list[Check]) -> None:
    assert [check for check in checks if not check.passed] == []


def test_every_check_is_there_once(checks: list[Check]) -> None:
    names = {kind: [c.name for c in checks if c.kind is kind] for kind in CheckKind}
    assert sorted(names[CheckKind.EXACT]) == sorted(EXACT)
    assert sorted(names[CheckKind.STATISTICAL]) == sorted(STATISTICAL)


def test_statistical_checks_share_one_false_alarm_rate(checks: list[Check]) -> None:
    errors = [1 - check.confidence for check in checks if check.kind is CheckKind.STATISTICAL]
    assert errors == pytest.approx([SHARE] * STATISTICAL_CHECKS)
    assert math.fsum(errors) == pytest.approx(FALSE_ALARMS)
    assert all(check.confidence == 1 for check in checks if check.kind is CheckKind.EXACT)


def test_checks_are_plain_values_that_go_into_a_report(checks: list[Check]) -> None:
    told = json.loads(json.dumps([asdict(check) for check in checks]))
    assert all(math.isfinite(one["measured"]) and one["detail"] for one in told)
    assert all(one["question"].endswith("?") for one in told)
    with pytest.raises(FrozenInstanceError):
        checks[0].passed = False  # type: ignore[misc]


def test_somebody_uses_the_whole_sensitivity(checks: list[Check]) -> None:
    found = [check.measured for check in checks if check.name.startswith("sensitivity")]
    assert all(0.99 < length <= 1 for length in found)


def test_bounds_show_most_of_what_is_betrayed(checks: list[Check]) -> None:
    found = {check.name: check.measured / 2.0 for check in checks}  # mu is 2
    assert found["mu-of-sums-and-counts"] > 0.75  # on small samples
    assert found["mu-of-moments"] > 0.5


def test_a_seed_repeats_the_whole_examination() -> None:
    one, again, other = (
        examine_noise(NoiseKind.SEEDED, seed=seed, effort=QUICK) for seed in (3, 3, 4)
    )
    assert one == again
    assert one != other


def test_a_door_that_breaks_down_fails_and_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*about: Any, **more: Any) -> Any:
        raise RuntimeError("no generator")

    monkeypatch.setattr(privacy.door, "add_noise", broken)
    found = [*examine_exactly(NoiseKind.SEEDED), *examine_noise(NoiseKind.SEEDED, effort=QUICK)]
    assert any(not check.passed and "no generator" in check.detail for check in found)


def test_a_door_that_refuses_everything_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*about: Any, **more: Any) -> None:
        raise RefusalError("closed", "This region is closed.")

    monkeypatch.setattr(privacy.ledger, "check_budget", nothing)
    found = examine_noise(NoiseKind.SEEDED, effort=QUICK)
    assert not any(check.passed for check in found)
    assert "closed" in found[0].detail


def test_made_up_users_leave_no_warnings_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("fedinterest.privacy")
    before = log.level
    examine_exactly(NoiseKind.SEEDED)
    assert not caplog.records
    assert log.level == before


# The tests of noise, on numbers whose distribution is known.

Noise = dict[str, np.ndarray[Any, np.dtype[np.float64]]]
Test = Callable[[list[Noise]], float]
TESTS: dict[str, Test] = {
    "size": size_is_promised,
    "entries": entries_are_independent,
    "once": noise_is_used_once,
    "every": lambda releases: every_entry_has_noise(releases[:3], releases[3:]),
}


def ideal(seed: int, cells: int = 300) -> list[Noise]:
    rng = np.random.default_rng(seed)
    return [
        {"sums": rng.standard_normal((cells, 2)), "counts": rng.standard_normal((cells, 1))}
        for _ in range(4)
    ]


@pytest.mark.parametrize("name", TESTS)
def test_ideal_noise_looks_odd_as_seldom_as_promised(name: str) -> None:
    found = np.array([TESTS[name](ideal(seed)) for seed in range(200)])
    # 200 draws: 5% is 10 +- 3.1, and Bonferroni's bound makes it less.
    assert (found <= 0.05).mean() <= 0.05 + 4 * 0.0155
    assert found.min() > SHARE


def scaled(part: float) -> Callable[[list[Noise]], None]:
    def change(releases: list[Noise]) -> None:
        for noise in releases:
            noise["counts"] *= part

    return change


def bare(releases: list[Noise]) -> None:
    for noise in releases[:3]:
        noise["sums"][17, 1] = 0.4


def quiet(releases: list[Noise]) -> None:
    for noise in releases:
        noise["sums"][17, 1] *= 1e-4


def shared(releases: list[Noise]) -> None:
    releases[2]["sums"][:150, 0] = -releases[0]["counts"][150:, 0]  # elsewhere, and negative


def in_place(releases: list[Noise]) -> None:
    releases[1]["sums"][:] = 0.6 * releases[0]["sums"] + 0.8 * releases[1]["sums"]


def running(releases: list[Noise]) -> None:
    sums = releases[0]["sums"]
    sums[1:] = 0.6 * sums[:-1] + 0.8 * sums[1:]


def no_number(releases: list[Noise]) -> None:
    releases[1]["counts"][3] = np.nan


FAULTS = [
    ("size", scaled(0.7)),
    ("size", scaled(1.4)),
    ("size", no_number),
    ("every", bare),
    ("every", quiet),
    ("every", scaled(0.0)),
    ("once", shared),
    ("once", in_place),
    ("once", scaled(0.0)),
    ("entries", running),
    ("entries", no_number),
]


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_each_test_of_noise_notices_its_fault(
    name: str, fault: Callable[[list[Noise]], None]
) -> None:
    releases = ideal(1)
    fault(releases)
    assert not TESTS[name](releases) >= SHARE
