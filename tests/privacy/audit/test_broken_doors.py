"""Each way to break the promise is noticed; without a fault the same examination passes.

``docs/empirical-audit.md`` says how often, over hundreds of examinations.
"""

from __future__ import annotations

import pytest

from privacy.audit import sensitivity_checks
from privacy.audit.experiment import QUICK, examine_exactly, examine_noise
from privacy.audit.sensitivity_checks import ROWS
from privacy.query import NoiseKind
from simulations.benchmarks.broken_doors import EXACT, STATISTICAL, Fault, broken

SEED = 11

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def name_of(fault: Fault) -> str:
    return fault.name


@pytest.mark.parametrize("fault", STATISTICAL, ids=name_of)
def test_statistical_checks_notice_a_door_that(fault: Fault) -> None:
    with broken(fault):
        checks = examine_noise(fault.noise, seed=SEED, effort=QUICK)
    assert not all(check.passed for check in checks)


@pytest.mark.parametrize("fault", EXACT, ids=name_of)
def test_exact_checks_notice_a_door_that(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: ROWS[name] for name in ("huge", "tied", "long in every entry", "not finite")}
    monkeypatch.setattr(sensitivity_checks, "ROWS", few)  # each fault shows in one of them
    with broken(fault):
        checks = examine_exactly(fault.noise, seed=SEED)
    assert not all(check.passed for check in checks)


def test_a_fault_ends_with_its_context() -> None:
    with broken(STATISTICAL[0]):
        pass
    checks = examine_noise(NoiseKind.SEEDED, seed=SEED, effort=QUICK)
    assert all(check.passed for check in checks)
    assert all(check.passed for check in examine_exactly(NoiseKind.SEEDED, seed=SEED))
